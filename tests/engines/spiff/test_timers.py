"""Timers fire from PostgreSQL: once, never early, by whichever relay is there; a broken instance stops nobody."""

from __future__ import annotations

import contextlib
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.actor import Actor
from app.db.session import transaction
from app.engines.spiff import timers
from tests import drawing
from tests.conftest import as_owner
from tests.engines.conftest import OFTEN, deploy, relay, start, status, value
from tests.waiting import until

HOUR = drawing.sequence("Hour", drawing.timer("pause", "PT1H"))
SECOND = drawing.sequence("Second", drawing.timer("pause", "PT1S"))


async def pass_hours(count: int) -> None:
    async with transaction() as session:
        await session.execute(
            text("update service_clock set offset_seconds = offset_seconds + :s"), {"s": count * 3600}
        )


async def completed(*instances: UUID) -> None:
    async def all_completed() -> bool:
        sql = "select count(*) from instance where status = 'completed' and id = any(:ids)"
        return await value(sql, ids=list(instances)) == len(instances)

    await until(all_completed)


async def steps(instance: UUID) -> int:
    return await value(
        "select count(*) from case_event where kind = 'instance.proceeded' and instance_id = :id", id=instance
    )


async def spoil(instance: UUID) -> None:
    async with transaction() as session:
        await session.execute(text("update instance set state = 'spoilt' where id = :id"), {"id": instance})


async def test_a_timer_fires_when_it_is_due_and_not_before(staff: Actor) -> None:
    await deploy(staff, HOUR)
    await deploy(staff, SECOND)
    later, soon = await start(staff, "Hour"), await start(staff, "Second")
    due = await value("select due_at from timer where instance_id = :id", id=soon.id)
    with relay():
        await completed(soon.id)
    assert await status(later.id) == "running"
    sql = "select ended_at >= :due from instance where id = :id"
    assert await value(sql, due=due, id=soon.id)


async def test_two_relays_fire_each_timer_once(staff: Actor) -> None:
    await deploy(staff, HOUR)
    started = [(await start(staff, "Hour")).id for _ in range(30)]
    with relay(), relay():
        await until(_two_relays)
        await pass_hours(1)
        await completed(*started)
    assert [await steps(one) for one in started] == [1] * 30


async def _two_relays() -> bool:
    return await value("select count(*) from worker_heartbeat") == 2


async def test_what_became_due_while_no_relay_ran_fires_at_its_start(staff: Actor) -> None:
    await deploy(staff, HOUR)
    started = await start(staff, "Hour")
    with relay():
        await until(_one_relay)
    await pass_hours(1)
    assert await status(started.id) == "running"
    with relay():
        await completed(started.id)
    assert await steps(started.id) == 1


async def _one_relay() -> bool:
    return await value("select count(*) from worker_heartbeat") == 1


async def test_a_relay_killed_while_it_fires_leaves_every_timer_to_the_next(staff: Actor) -> None:
    await deploy(staff, HOUR)
    started = [(await start(staff, "Hour")).id for _ in range(20)]
    await pass_hours(1)

    async def some() -> bool:
        return await value("select count(*) from instance where status = 'completed'") >= 3

    with relay() as killed:
        await until(some)
        killed.kill()
        killed.wait()
    with relay():
        await completed(*started)
    assert [await steps(one) for one in started] == [1] * 20


async def test_an_instance_that_cannot_proceed_is_one_incident_and_stops_no_other(staff: Actor) -> None:
    await deploy(staff, HOUR)
    broken, whole = await start(staff, "Hour"), await start(staff, "Hour")
    await spoil(broken.id)
    await pass_hours(1)
    with relay():
        await completed(whole.id)
        another = await start(staff, "Hour")
        await pass_hours(1)  # the broken one is due again
        await completed(another.id)
    sql = "select count(*) from incident where instance_id = :id and code = 'engine-error' and resolved_at is null"
    assert await value(sql, id=broken.id) == 1
    assert await status(broken.id) == "running"


async def test_a_step_that_the_database_refuses_stops_no_other(staff: Actor) -> None:
    await deploy(staff, HOUR)
    refused, whole = await start(staff, "Hour"), await start(staff, "Hour")
    await as_owner(f"alter table instance add constraint refused check (id <> '{refused.id}' or revision = 1)")
    await pass_hours(1)
    with relay():
        await completed(whole.id)
    sql = "select message from incident where instance_id = :id and code = 'engine-error'"
    assert "IntegrityError" in await value(sql, id=refused.id)


async def test_an_instance_that_somebody_holds_is_left_alone_and_fired_later(staff: Actor) -> None:
    await deploy(staff, HOUR)
    held, free = await start(staff, "Hour"), await start(staff, "Hour")
    await pass_hours(1)
    async with contextlib.AsyncExitStack() as holding:
        session = await holding.enter_async_context(transaction())
        await session.execute(text("select 1 from instance where id = :id for update"), {"id": held.id})
        assert await timers.fire_due() == 1
        assert (await status(held.id), await status(free.id)) == ("running", "completed")
    assert await timers.fire_due() == 1
    assert await status(held.id) == "completed"


@pytest.mark.parametrize("bound", ["1", "3"])
async def test_what_a_bound_left_unfinished_the_relay_finishes(
    staff: Actor, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    counting = drawing.sequence("Long", *(drawing.script(f"s{n}", f"x{n} = {n}") for n in range(12)))
    await deploy(staff, counting)
    monkeypatch.setenv("DAMS_ENGINE__STEPS_PER_REQUEST", bound)
    from app.core.settings import settings

    settings.cache_clear()
    started = await start(staff, "Long")
    assert started.status == "running"
    with relay(OFTEN):
        await completed(started.id)
    assert await value("select variables->>'x11' from instance") == "11"


async def test_the_relay_knows_when_the_next_timer_is_due(staff: Actor) -> None:
    assert await timers.next_due() is None
    await deploy(staff, HOUR)
    await start(staff, "Hour")
    seconds = await timers.next_due()
    assert seconds is not None
    assert 3500 < seconds <= 3600
    await pass_hours(2)
    assert await timers.next_due() == 0
