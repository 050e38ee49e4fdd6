"""Running instances moved to another version: tried, moved in batches while work goes on, refused with the reason."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, NotFound
from app.db.session import reading, transaction
from app.engines import migrations
from app.engines.spiff import instances, lookup, messages, models, worklist
from app.engines.spiff.specs import BundleFile
from tests.drawing import definitions, field, flow, script, sequence, user_task
from tests.engines.spiff.shapes import END, START, boundary

PAID = '<bpmn:message id="m1" name="paid" />'
OLD = sequence("P", user_task("ask", field("a")), user_task("check"), user_task("close"))
NEW = sequence("P", script("note", "seen = True"), user_task("ask", field("a"), field("b", required=True)),
               user_task("verify", attributes='camunda:candidateGroups="doctor"'), user_task("close"))  # fmt: skip


async def deploy(actor: Actor, content: bytes) -> int:
    report = await models.check([BundleFile("p.bpmn", content)])
    async with transaction() as session:
        return (await models.deploy(session, actor, report)).models[0].version


async def start(actor: Actor, **variables: Any) -> UUID:
    async with transaction() as session:
        return (await instances.start(session, actor, "P", variables)).id


async def complete(actor: Actor, instance_id: UUID, **values: Any) -> None:
    async with transaction() as session:
        view = await lookup.view(session, actor, instance_id)
        await instances.complete(session, actor, view.tasks[0].id, values)


async def view(actor: Actor, instance_id: UUID) -> Any:
    async with reading() as session:
        return await lookup.view(session, actor, instance_id)


async def migrate(actor: Actor, elements: dict[str, str] | None = None, **of: int) -> migrations.Migration:
    """To its end."""
    async with transaction() as session:
        own = await migrations.begin(
            session, actor, "P", of.get("old", 1), of.get("new", 2), elements or {}, "the form asks for more"
        )
    while (found := await _state(own)).state == "running":
        await migrations.advance()
    return found


async def _state(own: UUID) -> migrations.Migration:
    async with reading() as session:
        return await migrations.find(session, own)


async def test_instances_go_on_on_the_new_version_and_what_cannot_stays_with_its_reason(admin: Actor) -> None:
    await deploy(admin, OLD)
    here, there = await start(admin), await start(admin)
    await complete(admin, there, a="x")
    await deploy(admin, NEW)
    done = await migrate(admin)
    assert (done.state, done.moved, done.refused, done.left) == ("completed", 1, 1, 0)
    [refusal] = done.refusals
    assert (refusal.instance_id, refusal.element_id) == (there, "check")
    assert refusal.message == "the new version does not have it"
    assert refusal.fix == "map it to an element of the same kind"
    assert [(await view(admin, one)).version for one in (here, there)] == [2, 1]
    with pytest.raises(Invalid, match="b"):
        await complete(admin, here, a="x")
    await complete(admin, here, a="x", b="y")
    shown = await view(admin, here)
    assert [task.element_id for task in shown.tasks] == ["verify"]
    assert shown.tasks[0].candidate_roles == ["doctor"]


async def test_what_is_mapped_goes_along_with_its_task_claim_and_draft(admin: Actor) -> None:
    await deploy(admin, OLD)
    own = await start(admin)
    await complete(admin, own, a="x")
    task = (await view(admin, own)).tasks[0].id
    async with transaction() as session:
        await worklist.claim(session, admin, task)
    await deploy(admin, NEW)
    done = await migrate(admin, {"check": "verify"})
    assert (done.moved, done.refused) == (1, 0)
    [moved] = (await view(admin, own)).tasks
    assert (moved.id, moved.element_id, moved.state, moved.assignee) == (task, "verify", "claimed", admin.username)
    async with reading() as session:
        rows = await session.execute(
            text("select data from case_event where instance_id = :id and kind = 'instance.migrated'"), {"id": own}
        )
        [data] = rows.scalars()
    assert (data["from"], data["to"], data["reason"]) == (1, 2, "the form asks for more")


async def test_a_trial_tells_what_would_be_and_changes_nothing(admin: Actor) -> None:
    await deploy(admin, OLD)
    here, there = await start(admin), await start(admin)
    await complete(admin, there, a="x")
    waiting = definitions(
        "P", START, END, user_task("ask"), boundary("paid", "ask", "message", "m1"), '<bpmn:endEvent id="off" />',
        flow("start", "ask"), flow("ask", "end"), flow("paid", "off"), before=PAID,
    )  # fmt: skip
    await deploy(admin, waiting)
    async with reading() as session:
        found = await migrations.attempt(session, "P", 1, 2, {})
    assert (found.running, found.refused) == (2, 1)
    said = {tuple(group.elements): (group.tried, group.refused, group.begins, group.ends) for group in found.groups}
    assert said == {("ask",): (1, 0, ["paid"], []), ("check",): (1, 1, [], [])}
    assert [(await view(admin, one)).version for one in (here, there)] == [1, 1]


async def test_an_early_message_is_taken_by_who_begins_to_wait_for_it(admin: Actor) -> None:
    await deploy(admin, sequence("P", user_task("ask")))
    own = await start(admin)
    async with transaction() as session:
        await messages.publish(session, admin, "paid", {}, {}, 60)
    waiting = definitions(
        "P", START, END, user_task("ask"), boundary("paid", "ask", "message", "m1"), user_task("thank"),
        '<bpmn:endEvent id="off" />', flow("start", "ask"), flow("ask", "end"), flow("paid", "thank"),
        flow("thank", "off"), before=PAID,
    )  # fmt: skip
    await deploy(admin, waiting)
    await migrate(admin)
    assert [task.element_id for task in (await view(admin, own)).tasks] == ["thank"]


async def test_timers_and_incidents_follow_their_elements(admin: Actor) -> None:
    late = boundary("late", "ask", "timeDuration", "PT1H", interrupts=False)
    off = '<bpmn:endEvent id="off" />'
    ways = [flow("start", "ask"), flow("ask", "end")]
    await deploy(admin, definitions("P", START, END, user_task("ask"), late, off, flow("late", "off"), *ways))
    own = await start(admin)
    renamed = late.replace('"late"', '"tardy"')
    await deploy(admin, definitions("P", START, END, user_task("ask"), renamed, off, flow("tardy", "off"), *ways))
    await migrate(admin, {"late": "tardy"})
    async with reading() as session:
        rows = await session.execute(text("select element_id from timer where instance_id = :id"), {"id": own})
        assert list(rows.scalars()) == ["tardy"]
    await deploy(admin, sequence("P", script("s", "x = missing")))
    broken = await start(admin)
    await deploy(admin, sequence("P", script("t", "x = 1")))
    await migrate(admin, {"s": "t"}, old=3, new=4)
    assert [one["element_id"] for one in (await view(admin, broken)).incidents] == ["t"]
    async with transaction() as session:
        assert (await instances.retry(session, admin, broken, 1)).status == "completed"


async def test_people_who_complete_tasks_meanwhile_lose_nothing(admin: Actor) -> None:
    await deploy(admin, OLD)
    started = [await start(admin) for _ in range(24)]
    await deploy(admin, sequence("P", user_task("ask", field("a")), user_task("check"), user_task("last")))
    await asyncio.gather(migrate(admin), *(complete(admin, own, a="x") for own in started))
    shown = [await view(admin, own) for own in started]
    assert {one.version for one in shown} == {2}
    assert {tuple(task.element_id for task in one.tasks) for one in shown} == {("check",)}


async def test_one_migration_of_a_process_at_a_time_and_one_can_be_stopped(admin: Actor) -> None:
    await deploy(admin, OLD)
    own = await start(admin)
    await deploy(admin, NEW)
    async with transaction() as session:
        first = await migrations.begin(session, admin, "P", 1, 2, {}, "because")
    with pytest.raises(Conflict, match="under way"):
        await migrate(admin)
    async with transaction() as session:
        await migrations.stop(session, admin, first)
    with pytest.raises(Conflict, match="ended already"):
        async with transaction() as session:
            await migrations.stop(session, admin, first)
    assert await migrations.advance() == 0
    assert (await view(admin, own)).version == 1


async def test_what_cannot_be_asked_for_is_refused_by_name(admin: Actor) -> None:
    await deploy(admin, OLD)
    await deploy(admin, NEW)
    with pytest.raises(Invalid, match=r"elements\.nowhere"):
        await migrate(admin, {"nowhere": "ask"})
    with pytest.raises(Invalid, match=r"elements\.check"):
        await migrate(admin, {"check": "nowhere"})
    with pytest.raises(Invalid, match="to_version"):
        await migrate(admin, old=2)
    with pytest.raises(NotFound):
        await migrate(admin, new=9)
    async with transaction() as session:
        with pytest.raises(Invalid, match="reason"):
            await migrations.begin(session, admin, "P", 1, 2, {}, "  ")
        with pytest.raises(NotFound):
            await migrations.stop(session, admin, UUID(int=1))


async def test_who_began_later_on_the_old_version_stays_there(admin: Actor) -> None:
    await deploy(admin, OLD)
    await deploy(admin, NEW)
    async with transaction() as session:
        own = await migrations.begin(session, admin, "P", 1, 2, {}, "because")
    async with transaction() as session:
        later = (await instances.start(session, admin, "P", {}, version=1)).id
    while (await _state(own)).state == "running":
        await migrations.advance()
    assert (await view(admin, later)).version == 1


async def test_an_instance_that_cannot_be_read_stays_and_the_others_are_moved(admin: Actor) -> None:
    await deploy(admin, OLD)
    broken, whole = await start(admin), await start(admin)
    await deploy(admin, NEW)
    async with transaction() as session:
        await session.execute(text("update instance set state = '\\x00' where id = :id"), {"id": broken})
    done = await migrate(admin)
    assert (done.state, done.moved) == ("completed", 1)
    assert [(one.instance_id, one.message) for one in done.refusals] == [(broken, "it could not be moved: ForeignForm")]
    assert (await view(admin, whole)).version == 2
