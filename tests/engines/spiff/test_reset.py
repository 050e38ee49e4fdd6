"""Going back to a state that an instance has been in, and beginning a second one there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.db.session import reading, transaction
from app.engines.spiff import clock, instances, lookup, messages, models, reset, timers
from app.engines.spiff.dry_run.rebuilding import NotRebuilt
from app.engines.spiff.specs import BundleFile
from tests.drawing import field, message, script, sequence, timer, user_task

PAID = '<bpmn:message id="m" name="paid" />'
THREE = sequence(
    "P", user_task("ask", field("n", "long")), script("sum", "m = n + k"), user_task("check"), user_task("last")
)


async def begin(actor: Actor, content: bytes, **variables: Any) -> UUID:
    report = await models.check([BundleFile("p.bpmn", content)])
    async with transaction() as session:
        await models.deploy(session, actor, report)
    async with transaction() as session:
        return (await instances.start(session, actor, "P", variables)).id


async def complete(actor: Actor, own: UUID, **values: Any) -> None:
    async with transaction() as session:
        view = await lookup.view(session, actor, own)
        await instances.complete(session, actor, view.tasks[0].id, values)


async def stops(actor: Actor, own: UUID) -> list[reset.Stop]:
    async with reading() as session:
        return (await reset.stops(session, actor, own))[2]


async def back(actor: Actor, own: UUID, to: int) -> Any:
    async with transaction() as session:
        return await reset.go_back(session, actor, own, to, "a wrong number")


async def open_tasks(own: UUID) -> list[str]:
    async with reading() as session:
        rows = await session.execute(
            text("select element_id from user_task where instance_id = :id and state in ('ready', 'claimed')"),
            {"id": own},
        )
        return list(rows.scalars())


async def test_an_instance_goes_back_with_the_values_it_had_and_goes_on_from_there(admin: Actor) -> None:
    own = await begin(admin, THREE, k=1)
    await complete(admin, own, n=4)
    await complete(admin, own)
    newest, after_ask, start = await stops(admin, own)
    assert [one.open for one in (newest, after_ask, start)] == [["last"], ["check"], ["ask"]]
    view = await back(admin, own, start.event_id)
    assert ([task.element_id for task in view.tasks], view.variables) == (["ask"], {"k": 1})
    assert await open_tasks(own) == ["ask"]
    await complete(admin, own, n=10)
    await complete(admin, own)
    await complete(admin, own)
    async with reading() as session:
        done = await lookup.view(session, admin, own)
    assert (done.status, done.variables) == ("completed", {"k": 1, "n": 10, "m": 11})


async def test_it_can_go_back_again_after_it_went_back(admin: Actor) -> None:
    own = await begin(admin, THREE, k=1)
    await complete(admin, own, n=4)
    _, start = await stops(admin, own)
    await back(admin, own, start.event_id)
    await complete(admin, own, n=5)
    points = await stops(admin, own)
    assert [one.kind for one in points] == ["task.completed", "instance.reset", "task.completed", "instance.started"]
    view = await back(admin, own, points[2].event_id)
    assert (view.tasks[0].element_id, view.variables) == ("check", {"k": 1, "n": 4, "m": 5})


async def test_messages_timers_and_corrections_are_lived_through_again(
    admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = sequence(
        "P", message("m1", "m"), timer("t", "PT1H"), script("s", "y = x + amount"), user_task("end_it"), before=PAID
    )
    own = await begin(admin, model)
    async with transaction() as session:
        await messages.publish(session, admin, "paid", {}, {"amount": 5}, 0)
    monkeypatch.setenv("DAMS_WEB__TEST_CLOCK", "true")
    await clock.advance(admin, timedelta(hours=2))
    await timers.fire_due()
    async with transaction() as session:
        await instances.retry(session, admin, own, 1, {"x": 2})
    found = await stops(admin, own)
    assert [one.open for one in found] == [["end_it"], [], ["t"], ["m1"]]
    view = await back(admin, own, found[2].event_id)
    assert [item["element_id"] for item in view.waiting] == ["t"]
    assert view.variables == {"amount": 5}
    async with reading() as session:
        assert await session.scalar(text("select count(*) from timer where instance_id = :id"), {"id": own}) == 1
        assert await session.scalar(text("select count(*) from incident where resolved_at is null")) == 0


async def test_a_second_instance_begins_there_and_the_first_stays_as_it_is(admin: Actor) -> None:
    own = await begin(admin, THREE, k=1)
    await complete(admin, own, n=4)
    await complete(admin, own)
    _, after_ask, _ = await stops(admin, own)
    async with transaction() as session:
        second = await reset.fork(session, admin, own, after_ask.event_id, "two answers")
    assert ([task.element_id for task in second.tasks], second.variables["m"]) == (["check"], 5)
    assert await open_tasks(own) == ["last"]
    async with reading() as session:
        assert second.case == (await lookup.view(session, admin, own)).case
    await complete(admin, second.id)
    await complete(admin, second.id)
    with pytest.raises(NotRebuilt, match="forked"):
        await stops(admin, second.id)


async def test_one_that_has_ended_is_forked_but_does_not_go_back(admin: Actor) -> None:
    own = await begin(admin, sequence("P", user_task("ask")))
    await complete(admin, own)
    _, start = await stops(admin, own)
    with pytest.raises(Conflict, match="completed"):
        await back(admin, own, start.event_id)
    async with transaction() as session:
        assert (await reset.fork(session, admin, own, start.event_id, "once more")).tasks


async def test_a_life_that_cannot_be_made_again_is_refused(admin: Actor) -> None:
    own = await begin(admin, THREE, k=1)
    await complete(admin, own, n=4)
    async with transaction() as session:
        await session.execute(
            text("""update instance set variables = jsonb_set(variables, '{m}', '99') where id = :id"""), {"id": own}
        )
    with pytest.raises(NotRebuilt, match="other values than it does: m"):
        await stops(admin, own)


async def test_who_may_and_what_is_asked_for(admin: Actor, staff: Actor) -> None:
    own = await begin(admin, THREE, k=1)
    await complete(admin, own, n=4)
    newest, start = await stops(admin, own)
    with pytest.raises(Conflict, match="already"):
        await back(admin, own, newest.event_id)
    with pytest.raises(NotFound):
        await back(admin, own, start.event_id + 10**9)
    async with transaction() as session:
        with pytest.raises(Invalid, match="reason"):
            await reset.go_back(session, admin, own, start.event_id, " ")
        with pytest.raises(Forbidden):
            await reset.go_back(session, staff, own, start.event_id, "because")
        with pytest.raises(NotFound):
            await reset.go_back(session, admin, UUID(int=1), start.event_id, "because")


async def test_what_was_done_outside_since_is_listed(admin: Actor) -> None:
    own = await begin(admin, THREE, k=1)
    await complete(admin, own, n=4)
    async with transaction() as session:
        await session.execute(
            text("""insert into engine_run (id, engine, name, instance_id, status)
                    values (gen_random_uuid(), 'mail', 'thanks', :id, 'completed')"""),
            {"id": own},
        )
    newest, start = await stops(admin, own)
    assert [one.name for one in start.since] == ["mail: thanks"]
    assert [one.name for one in newest.since] == ["mail: thanks"]
