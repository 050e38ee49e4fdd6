"""A test case made of an instance that has run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import Conflict, NotFound
from app.db.session import reading, transaction
from app.engines.spiff import clock, instances, lookup, messages, models, timers
from app.engines.spiff.dry_run import recording
from app.engines.spiff.dry_run.recording import Recording
from app.engines.spiff.specs import BundleFile
from tests.drawing import definitions, field, flow, message, script, sequence, timer, user_task
from tests.engines.spiff.shapes import END

PAID = '<bpmn:message id="m" name="paid" />'


async def start(actor: Actor, content: bytes, **variables: Any) -> UUID:
    report = await models.check([BundleFile("p.bpmn", content)])
    async with transaction() as session:
        name = (await models.deploy(session, actor, report)).models[0].process_id
    async with transaction() as session:
        return (await instances.start(session, actor, name, variables)).id


async def complete(actor: Actor, own: UUID, **values: Any) -> None:
    async with transaction() as session:
        view = await lookup.view(session, actor, own)
        await instances.complete(session, actor, view.tasks[0].id, values)


async def record(actor: Actor, own: UUID) -> Recording:
    async with reading() as session:
        return await recording.record(session, actor, own)


def steps(made: Recording) -> list[tuple[str, str, dict[str, Any]]]:
    return [(step.do, step.element, step.given) for step in made.cases.cases[0].steps]


async def test_forms_and_start_variables_are_recorded_and_the_case_holds(admin: Actor) -> None:
    model = sequence("P", user_task("ask", field("n", "long")), script("sum", "m = n + k"), user_task("thank"))
    own = await start(admin, model, k=2)
    await complete(admin, own, n=40)
    await complete(admin, own)
    made = await record(admin, own)
    (case,) = made.cases.cases
    assert (made.verdict.said, case.start, case.data["m"]) == ("", {"k": 2}, 42)
    assert steps(made) == [("form", "ask", {"n": 40}), ("form", "thank", {})]
    assert case.path == ["start", "ask", "sum", "thank", "end"]


async def test_messages_and_timers_are_recorded_where_they_came(admin: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    own = await start(admin, sequence("P", message("m1", "m"), timer("t", "PT1H"), before=PAID))
    async with transaction() as session:
        await messages.publish(session, admin, "paid", {}, {"amount": 5}, 0)
    monkeypatch.setenv("DAMS_WEB__TEST_CLOCK", "true")
    await clock.advance(admin, timedelta(hours=2))
    await timers.fire_due()
    made = await record(admin, own)
    assert steps(made) == [("message", "m1", {"amount": 5}), ("timer", "t", {})]
    assert made.verdict.holds


async def test_one_that_a_message_started_begins_there(admin: Actor) -> None:
    begins = '<bpmn:startEvent id="begin"><bpmn:messageEventDefinition messageRef="m" /></bpmn:startEvent>'
    model = definitions("P", begins, END, script("s", "y = x"), flow("begin", "s"), flow("s", "end"), before=PAID)
    report = await models.check([BundleFile("p.bpmn", model)])
    async with transaction() as session:
        await models.deploy(session, admin, report)
    async with transaction() as session:
        await messages.publish(session, admin, "paid", {}, {"x": 1}, 0)
    async with reading() as session:
        own = await session.scalar(text("select id from instance"))
    made = await record(admin, own)
    assert (steps(made), made.verdict.said) == ([("message", "begin", {"x": 1})], "")


async def test_what_went_otherwise_than_memory_can_is_told_with_its_place(admin: Actor) -> None:
    own = await start(admin, sequence("P", user_task("ask"), script("s", "y = x"), user_task("after")))
    await complete(admin, own)
    async with transaction() as session:
        await instances.retry(session, admin, own, 1, {"x": 1})
    await complete(admin, own)
    made = await record(admin, own)
    assert steps(made) == [("form", "ask", {}), ("form", "after", {})]
    assert "form after is not possible here" in made.verdict.said


async def test_only_what_has_completed_on_one_version_is_recorded(admin: Actor, patient: Actor) -> None:
    own = await start(admin, sequence("P", user_task("ask")))
    with pytest.raises(Conflict, match="running"):
        await record(admin, own)
    with pytest.raises(NotFound):
        await record(patient, own)
