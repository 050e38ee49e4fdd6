"""Service tasks that another engine does: asked for once, answered once, caught or shown when they fail."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import Conflict
from app.db.session import reading, transaction
from app.engines import control, relay, runs
from app.engines.spiff import instances, lookup, messages
from tests import drawing
from tests.engines.spiff.test_instances import complete, deploy, start

CATCH = (
    '<bpmn:boundaryEvent id="caught" attachedToRef="job"><bpmn:errorEventDefinition errorRef="full" />'
    '</bpmn:boundaryEvent><bpmn:endEvent id="else" />' + drawing.flow("caught", "else")
)
FULL = '<bpmn:error id="full" name="Full" errorCode="full" />'


def service(topic: str = "pipeline:count", inner: str = "", attributes: str = "") -> str:
    """A service task `job`."""
    parameters = f"<bpmn:extensionElements><camunda:inputOutput>{inner}</camunda:inputOutput></bpmn:extensionElements>"
    return (
        f'<bpmn:serviceTask id="job" name="Count" camunda:type="external" camunda:topic="{topic}" {attributes}>'
        f"{parameters if inner else ''}</bpmn:serviceTask>"
    )


def asked(name: str, expression: str) -> str:
    return f'<camunda:inputParameter name="{name}">{expression}</camunda:inputParameter>'


def kept(name: str, expression: str) -> str:
    return f'<camunda:outputParameter name="{name}">{expression}</camunda:outputParameter>'


CAUGHT = drawing.sequence("Own", service(), before=FULL).replace(
    b"</bpmn:process>", CATCH.encode() + b"</bpmn:process>"
)


async def announce(name: str, *roles: str) -> None:
    """As a worker does that offers this pipeline."""
    async with transaction() as session:
        await session.execute(
            text("""insert into pipeline (name, title, description, input_schema, roles)
                        values (:name, :name, '', '{}', :roles)"""),
            {"name": name, "roles": list(roles or ("staff",))},
        )


async def run_of(instance_id: UUID) -> Any:
    async with reading() as session:
        return (
            await session.execute(text("select * from engine_run where instance_id = :id"), {"id": instance_id})
        ).one()


async def ends(run_id: UUID, result: Any = None, *, failing: str = "") -> None:
    """The engine says how the run ended, and the relay carries it to the task."""
    async with transaction() as session:
        if failing:
            await runs.failed(session, run_id, failing, "it did not work")
        else:
            await runs.completed(session, run_id, result)
    await carry()


async def carry() -> None:
    for effect in await relay.claim(100):
        if effect.kind == runs.TOLD:
            await relay.deliver(effect)


async def shown(actor: Actor, instance_id: UUID) -> Any:
    async with reading() as session:
        return await lookup.view(session, actor, instance_id)


async def test_a_job_is_asked_for_with_its_inputs_and_its_result_goes_on(staff: Actor) -> None:
    await announce("count")
    task = service(inner=asked("docid", "${doctor}") + asked("kind", "long"))
    await deploy(staff, drawing.sequence("Own", task, drawing.user_task("next")))
    instance = await start(staff, "Own", variables={"doctor": "HSP-1"})
    assert [(one["kind"], one["name"], one["element_id"]) for one in instance.waiting] == [
        ("job", "pipeline:count", "job")
    ]
    run = await run_of(instance.id)
    assert (run.engine, run.name, run.status, run.input) == (
        "celery", "count", "requested", {"docid": "HSP-1", "kind": "long"},
    )  # fmt: skip
    assert run.case_no == instance.case
    await ends(run.id, {"patients": 2})
    after = await shown(staff, instance.id)
    assert (after.variables, [one.element_id for one in after.tasks]) == (
        {"doctor": "HSP-1", "patients": 2}, ["next"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "inner", "result", "variables"),
    [
        ("", "", [1, 2], {"result": [1, 2]}),
        ('camunda:resultVariable="found"', "", {"a": 1}, {"found": {"a": 1}}),
        ("", kept("twice", "${a * 2}"), {"a": 4, "b": 1}, {"twice": 8}),
        ('camunda:resultVariable="found"', kept("first", "${found[0]}"), [7, 8], {"first": 7}),
        ("", "", None, {"result": None}),
    ],
)
async def test_what_of_a_result_is_kept_is_said_by_the_model(
    staff: Actor, attributes: str, inner: str, result: Any, variables: Any
) -> None:
    await announce("count")
    await deploy(staff, drawing.sequence("Own", service(inner=inner, attributes=attributes)))
    instance = await start(staff, "Own")
    await ends((await run_of(instance.id)).id, result)
    after = await shown(staff, instance.id)
    assert (after.status, after.variables) == ("completed", variables)


async def test_a_step_beside_it_asks_for_nothing_again_and_an_answer_counts_once(staff: Actor) -> None:
    await announce("count")
    both = drawing.definitions(
        "Own", '<bpmn:startEvent id="start" />', drawing.gateway("parallel", "g"), service(), drawing.user_task("a"),
        drawing.user_task("b"), '<bpmn:endEvent id="end" /><bpmn:endEvent id="end2" />',
        drawing.flow("start", "g"), drawing.flow("g", "job"), drawing.flow("g", "a"), drawing.flow("a", "b"),
        drawing.flow("job", "end"), drawing.flow("b", "end2"),
    )  # fmt: skip
    await deploy(staff, both)
    instance = await start(staff, "Own")
    await complete(staff, instance.tasks[0].id)
    run = await run_of(instance.id)  # one, still
    await ends(run.id, {"x": 1})
    async with transaction() as session:
        await session.execute(text("update outbox set state = 'pending', next_at = now() where kind = 'bpmn-job'"))
    await carry()
    after = await shown(staff, instance.id)
    assert (after.status, [one.element_id for one in after.tasks]) == ("running", ["b"])
    async with reading() as session:
        told = "select count(*) from case_event where kind = 'job.completed'"
        assert await session.scalar(text(told)) == 1


async def test_a_failure_that_the_model_catches_goes_its_way(staff: Actor) -> None:
    await announce("count")
    await deploy(
        staff,
        drawing.sequence("Own", service(), before=FULL).replace(
            b"</bpmn:process>", CATCH.encode() + b"</bpmn:process>"
        ),
    )
    instance = await start(staff, "Own")
    await ends((await run_of(instance.id)).id, failing="full")
    after = await shown(staff, instance.id)
    async with reading() as session:
        trace = [row.element_id for row in await lookup.trace(session, staff, instance.id)]
        open_incidents = await session.scalar(text("select count(*) from incident where resolved_at is null"))
    assert (after.status, trace[-1], open_incidents) == ("completed", "else", 0)


async def test_a_failure_that_nothing_catches_stays_an_incident_and_may_be_mended(staff: Actor) -> None:
    await announce("count")
    await deploy(
        staff,
        drawing.sequence("Own", service(), before=FULL).replace(
            b"</bpmn:process>", CATCH.encode() + b"</bpmn:process>"
        ),
    )
    instance = await start(staff, "Own")
    run = await run_of(instance.id)
    await ends(run.id, failing="broken")
    waiting = await shown(staff, instance.id)
    assert (waiting.status, [one["kind"] for one in waiting.waiting]) == ("running", ["job"])
    async with reading() as session:
        assert await session.scalar(text("select code from incident where resolved_at is null")) == "broken"
    async with transaction() as session:
        await runs.again(session, run.id, staff.id)
    await ends(run.id, {"x": 1})
    assert (await shown(staff, instance.id)).status == "completed"


async def test_a_second_failure_goes_the_way_that_the_model_draws_for_it(staff: Actor) -> None:
    await announce("count")
    await deploy(staff, CAUGHT)
    instance = await start(staff, "Own")
    run = await run_of(instance.id)
    await ends(run.id, failing="broken")
    async with transaction() as session:
        await runs.again(session, run.id, staff.id)
    await ends(run.id, failing="full")
    assert (await shown(staff, instance.id)).status == "completed"


@pytest.mark.parametrize("topic", ["pipeline:nobody", "zeebe:Nowhere", "zeebe:Own"])
async def test_what_its_engine_refuses_is_an_incident_and_no_lost_step(staff: Actor, topic: str) -> None:
    await deploy(staff, drawing.sequence("Own", drawing.user_task("first"), service(topic)))
    instance = await start(staff, "Own")
    after = await complete(staff, instance.tasks[0].id)
    assert (after.status, [one["kind"] for one in after.waiting]) == ("running", ["job"])
    run = await run_of(instance.id)
    assert (run.status, run.name) == ("failed", topic.partition(":")[2])


async def test_what_was_refused_is_asked_for_again_with_all_that_the_task_gave(staff: Actor, ops: Actor) -> None:
    await deploy(staff, drawing.sequence("Own", service(inner=asked("docid", "HSP-1"))))
    instance = await start(staff, "Own")
    refused = await run_of(instance.id)
    assert (refused.status, refused.error) == (
        "failed",
        "No worker offers a pipeline 'count' that may be started by itself.",
    )
    await announce("count")
    async with transaction() as session:
        await control.retry(session, ops, refused.id)
    with pytest.raises(Conflict):
        async with transaction() as session:
            await control.retry(session, ops, refused.id)
    async with reading() as session:
        rows = (await session.execute(text("select id, status, input from engine_run order by id"))).all()
        assert await session.scalar(text("select count(*) from incident where resolved_at is null")) == 0
    assert [(row.status, row.input) for row in rows] == [
        ("cancelled", {}),
        ("requested", {"docid": "HSP-1"}),
    ]
    await ends(rows[1].id, {"x": 1})
    assert (await shown(staff, instance.id)).status == "completed"


async def test_an_exact_amount_is_handed_over_as_its_text(staff: Actor) -> None:
    await announce("count")
    fields = '<camunda:formField id="charge" label="Charge" type="money" />'
    form = f"<bpmn:extensionElements><camunda:formData>{fields}</camunda:formData></bpmn:extensionElements>"
    ask = f'<bpmn:userTask id="ask" name="Ask">{form}</bpmn:userTask>'
    task = service(inner=asked("charge", "${charge}") + asked("twice", "${charge + charge}"))
    await deploy(staff, drawing.sequence("Own", ask, task))
    instance = await start(staff, "Own")
    await complete(staff, instance.tasks[0].id, charge="80.10")
    assert (await run_of(instance.id)).input == {"charge": "80.10", "twice": "160.20"}


async def test_an_answer_for_a_cancelled_instance_changes_nothing(staff: Actor) -> None:
    await announce("count")
    await deploy(staff, drawing.sequence("Own", service()))
    instance = await start(staff, "Own")
    run = await run_of(instance.id)
    async with transaction() as session:
        await instances.cancel(session, staff, instance.id, "by mistake")
    assert (await run_of(instance.id)).status == "cancelled"
    async with reading() as session:
        assert await session.scalar(text("select count(*) from outbox where kind = 'celery-revoke'")) == 1
    await ends(run.id, {"x": 1})
    after = await shown(staff, instance.id)
    assert (after.status, after.variables) == ("cancelled", {})


async def test_a_result_that_cannot_be_kept_is_an_incident_at_the_task(staff: Actor) -> None:
    await announce("count")
    await deploy(staff, drawing.sequence("Own", service(inner=kept("first", "${found[0]}"))))
    instance = await start(staff, "Own")
    await ends((await run_of(instance.id)).id, {"x": 1})
    [incident] = (await shown(staff, instance.id)).incidents
    assert (incident["element_id"], incident["code"]) == ("job", "name-not-set")


async def test_a_pipeline_that_belongs_to_a_call_of_its_own_is_not_started_by_a_model(staff: Actor) -> None:
    async with transaction() as session:
        await session.execute(
            text("""insert into pipeline (name, title, description, input_schema, roles)
                    values ('signup', 'signup', '', '{}', '{}')""")
        )
    await deploy(staff, drawing.sequence("Own", service("pipeline:signup")))
    instance = await start(staff, "Own")
    assert (await run_of(instance.id)).status == "failed"


async def test_an_event_that_ends_the_task_calls_its_job_off(staff: Actor) -> None:
    await announce("count")
    stop = (
        '<bpmn:boundaryEvent id="stopped" attachedToRef="job"><bpmn:messageEventDefinition messageRef="stop" />'
        f'</bpmn:boundaryEvent><bpmn:endEvent id="else" />{drawing.flow("stopped", "else")}</bpmn:process>'
    )
    model = drawing.sequence("Own", service(), before='<bpmn:message id="stop" name="Stop" />')
    await deploy(staff, model.replace(b"</bpmn:process>", stop.encode()))
    instance = await start(staff, "Own")
    async with transaction() as session:
        assert (await messages.publish(session, staff, "Stop", {}, {})).delivered == 1
    assert (await shown(staff, instance.id)).status == "completed"
    assert (await run_of(instance.id)).status == "cancelled"
