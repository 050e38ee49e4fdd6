"""What ops sees over all engines, and what it can do about it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.settings import settings
from app.db.session import Session, reading, transaction
from app.engines import control, heartbeat, operations, outbox, runs
from app.engines import relay as carrier
from app.engines.operations import Incident
from tests.conftest import alone
from tests.drawing import field, script, sequence, user_task
from tests.engines.conftest import Post, ask_for_mail, deploy, relay, start, value
from tests.waiting import until


async def listed() -> list[Incident]:
    async with reading() as session:
        return await operations.incidents(session)


async def stuck_instance(admin: Actor) -> UUID:
    await deploy(admin, sequence("P", script("count", "n = missing + 1"), user_task("ask", field("a"))))
    view = await start(admin, "P")
    assert view.incidents
    return view.id


async def ask(session: Session, run: runs.Run, key: str) -> None:
    await outbox.enqueue(session, "probe", key, {"run": str(run.id)})


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "HOMES", {})
    monkeypatch.setattr(control, "_retries", {"airflow": ask})
    monkeypatch.setattr(control, "_cancels", {"airflow": ask})


async def carry() -> None:
    """What a relay process does with what is due."""
    for effect in await carrier.claim(10):
        await carrier.deliver(effect)


async def failed_run() -> UUID:
    async with transaction() as session:
        run_id = await runs.request(session, "airflow", "report", {}, external_id="manual-1", case="A-7")
        assert run_id
        await runs.failed(session, run_id, "task-failed", "count_login failed")
    return run_id


async def test_incidents_of_every_kind_stand_in_one_list_oldest_first(
    ops: Actor, admin: Actor, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stuck_instance(admin)
    await failed_run()
    post.usual = "550 no such mailbox"
    await ask_for_mail("k")
    await carry()
    found = [one for one in await listed() if one.what != "mail" or one.engine == "outbox"]
    assert {one.engine for one in found} == {"spiff", "airflow", "outbox"}
    assert [one.id for one in found] == sorted(one.id for one in found)
    assert all(one.can_retry and one.can_cancel for one in found)
    assert next(one for one in found if one.engine == "airflow").case == "A-7"


async def test_a_failed_run_is_retried_and_leaves_the_list(ops: Actor) -> None:
    run_id = await failed_run()
    async with transaction() as session:
        await operations.retry(session, ops, (await listed())[0].id)
    assert await listed() == []
    assert await value("select status from engine_run where id = :id", id=run_id) == "requested"


async def test_a_stuck_instance_comes_back_when_the_retry_fails_too(ops: Actor, admin: Actor) -> None:
    await stuck_instance(admin)
    before = [one for one in await listed() if one.engine == "spiff"]
    async with transaction() as session:
        await operations.retry(session, ops, before[0].id)
    after = [one for one in await listed() if one.engine == "spiff"]
    assert len(after) == 1
    assert after[0].id != before[0].id


async def test_a_stuck_instance_is_cancelled_with_a_reason(ops: Actor, admin: Actor) -> None:
    instance_id = await stuck_instance(admin)
    number = next(one.id for one in await listed() if one.engine == "spiff")
    async with transaction() as session:
        with pytest.raises(Invalid):
            await operations.cancel(session, ops, number, "")
        await operations.cancel(session, ops, number, "drawn wrongly")
    assert await value("select status from instance where id = :id", id=instance_id) == "cancelled"


async def test_a_parked_effect_is_sent_again_or_left_for_good(ops: Actor, post: Post) -> None:
    post.usual = "550 no such mailbox"
    for key in ("one", "two"):
        await ask_for_mail(key)
    await carry()
    first, second = await listed()
    async with transaction() as session:
        await operations.cancel(session, ops, first.id, "the address is gone")
    assert [one.id for one in await listed()] == [second.id]
    post.usual = "250 taken"
    async with transaction() as session:
        await operations.retry(session, ops, second.id)
    await carry()
    assert await value("select count(*) from outbox where state = 'sent'") == 1
    assert await listed() == []
    assert await value("select data->>'reason' from case_event where kind = 'outbox.given-up'") == "the address is gone"


async def test_only_ops_may_and_a_closed_incident_is_not_found(ops: Actor, staff: Actor) -> None:
    await failed_run()
    number = (await listed())[0].id
    async with transaction() as session:
        with pytest.raises(Forbidden):
            await operations.retry(session, staff, number)
        await operations.cancel(session, ops, number, "not needed")
        for act in (operations.retry(session, ops, number), operations.cancel(session, ops, number, "again")):
            with pytest.raises(NotFound):
                await act


async def test_what_waits_to_be_sent_is_counted_by_kind_and_state(ops: Actor, post: Post) -> None:
    async with transaction() as session:
        for key in ("a", "b"):
            await outbox.enqueue(session, "probe", key, {})
        await outbox.enqueue(session, "mail", "c", {})
        await session.execute(text("update outbox set attempts = 3 where key = 'b'"))
        found = await operations.waiting(session)
    assert [(one.kind, one.state, one.count) for one in found] == [
        ("mail", "pending", 1),
        ("probe", "pending", 1),
        ("probe", "tried again", 1),
    ]


async def test_counts_stop_at_their_bound(ops: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MOST", 2)
    async with transaction() as session:
        for number in range(3):
            await runs.request(session, "airflow", "report", {}, external_id=str(number))
        assert (await operations.counts(session)).runs == {"airflow": 2}


@pytest.mark.parametrize("asked", ["case", "instance", "task", "run", "effect", "external"])
async def test_any_id_finds_what_it_names(admin: Actor, asked: str) -> None:
    await deploy(admin, sequence("P", user_task("ask", field("a"))))
    view = await start(admin, "P")
    run_id = await failed_run()
    async with transaction() as session:
        await outbox.enqueue(session, "probe", "k", {}, case=view.case)
    effect = await value("select id from outbox where kind = 'probe'")
    ids = {
        "case": view.case.lower(),
        "instance": str(view.id),
        "task": f" {view.tasks[0].id} ",
        "run": str(run_id),
        "effect": str(effect),
        "external": "manual-1",
    }
    kinds = {"case": "instance", "run": "airflow run", "external": "airflow run"}
    async with reading() as session:
        found = await operations.find(session, ids[asked])
    assert [one.kind for one in found] == [kinds.get(asked, asked)]


@pytest.mark.parametrize("asked", ["", "nothing", "x" * 500, "%", "' or 1=1 --"])
async def test_what_is_no_id_finds_nothing(admin: Actor, asked: str) -> None:
    async with reading() as session:
        assert await operations.find(session, asked) == []


@pytest.mark.slow
async def test_a_killed_worker_is_silent_within_ten_seconds_and_a_stopped_one_is_gone(database_url: str) -> None:
    async def alive() -> list[bool]:
        async with reading() as session:
            return [sign.alive for sign in await heartbeat.signs(session) if sign.kind == "relay"]

    async def is_(states: list[bool]) -> bool:
        return await alive() == states

    async def silent() -> bool:
        """The age counts at the moment that judged: a busy machine may ask late, but never be told too long."""
        async with transaction() as session:  # in which there is one moment
            [sign] = await heartbeat.signs(session)
            age = await session.scalar(text("select now() - cast(:seen as timestamptz)"), {"seen": sign.seen_at})
        assert not sign.alive or age <= timedelta(seconds=10)
        return not sign.alive

    with relay() as process:
        await until(lambda: is_([True]))
        process.kill()
        await until(silent)
    with relay() as process:
        await until(lambda: is_([False, True]))
        process.terminate()
        await until(lambda: is_([False]))


async def test_the_queue_is_counted_at_the_broker_of_celery_wherever_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = alone("operations")
    monkeypatch.setenv("DAMS_CELERY__BROKER_URL", broker)
    monkeypatch.setenv("DAMS_REDIS__URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(operations, "ANSWER_SECONDS", 60.0)
    settings.cache_clear()
    async with Redis.from_url(broker) as redis:
        await redis.delete(operations.CELERY_QUEUE)
        assert await operations.queued() == 0
        await redis.rpush(operations.CELERY_QUEUE, "one", "two")
        assert await operations.queued() == 2
        await redis.delete(operations.CELERY_QUEUE)
    monkeypatch.setenv("DAMS_CELERY__BROKER_URL", "redis://127.0.0.1:1/0")
    settings.cache_clear()
    assert await operations.queued() is None
