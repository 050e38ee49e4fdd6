"""Instances in PostgreSQL: each completion in its own transaction, nothing lost between two, losers are told."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import Conflict, Forbidden, Invalid, ModelRefused, NotFound
from app.db.session import reading, transaction
from app.engines.spiff import instances, lookup, messages, models, worklist
from app.engines.spiff.records import InstanceView
from app.engines.spiff.specs import BundleFile
from tests import drawing
from tests.conftest import as_owner
from tests.engines.spiff.conformance.data import KEYED
from tests.engines.spiff.shapes import catch

APPOINTMENT = drawing.definitions(
    "Visit",
    '<bpmn:startEvent id="start" />',
    drawing.user_task("specialty", drawing.field("specialization", required=True)),
    drawing.user_task("patient", drawing.field("patientid", "long", required=True), drawing.field("note")),
    drawing.script("evaluate", "proceed = patientid > 0"),
    drawing.gateway("exclusive", "complete", default="refused"),
    '<bpmn:endEvent id="booked" /><bpmn:endEvent id="dropped" />',
    drawing.flow("start", "specialty"),
    drawing.flow("specialty", "patient"),
    drawing.flow("patient", "evaluate"),
    drawing.flow("evaluate", "complete"),
    drawing.flow("complete", "booked", "proceed == True"),
    drawing.flow("complete", "dropped", flow_id="refused"),
)


async def deploy(actor: Actor, *files: bytes, activate: bool = True) -> list[Any]:
    report = await models.check([BundleFile(f"model{n}.bpmn", content) for n, content in enumerate(files)])
    async with transaction() as session:
        return (await models.deploy(session, actor, report, activate=activate)).models


async def start(actor: Actor, process_id: str = "Visit", **further: Any) -> InstanceView:
    async with transaction() as session:
        return await instances.start(session, actor, process_id, further.pop("variables", {}), **further)


async def complete(actor: Actor, task_id: UUID, key: str | None = None, **values: Any) -> InstanceView:
    async with transaction() as session:
        return await instances.complete(session, actor, task_id, values, key=key)


async def events(case: str) -> list[str]:
    async with reading() as session:
        rows = await session.execute(text("select kind from case_event where case_no = :c order by id"), {"c": case})
        return list(rows.scalars())


async def test_a_visit_goes_from_start_to_end_with_one_transaction_per_step(staff: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    instance = await start(staff)
    assert [task.element_id for task in instance.tasks] == ["specialty"]
    instance = await complete(staff, instance.tasks[0].id, specialization="Cardiology")
    assert [task.element_id for task in instance.tasks] == ["patient"]
    instance = await complete(staff, instance.tasks[0].id, patientid="7", note="knee")
    assert (instance.status, instance.tasks) == ("completed", [])
    assert instance.variables == {"specialization": "Cardiology", "patientid": 7, "note": "knee", "proceed": True}
    async with reading() as session:
        trace = await lookup.trace(session, staff, instance.id)
    assert [row.element_id for row in trace if row.event == "completed"] == [
        "start",
        "specialty",
        "patient",
        "evaluate",
        "complete",
        "booked",
    ]
    assert [row.seq for row in trace] == list(range(1, len(trace) + 1))
    assert await events(instance.case) == ["instance.started", "task.completed", "task.completed"]


async def test_the_answer_of_a_step_equals_what_the_database_says(staff: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    started = await start(staff, business_key="B-1")
    async with reading() as session:
        assert await lookup.view(session, staff, started.id) == started
    stepped = await complete(staff, started.tasks[0].id, specialization="ENT")
    async with reading() as session:
        assert await lookup.view(session, staff, started.id) == stepped


async def test_a_restart_between_two_steps_loses_nothing(staff: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    instance = await start(staff)
    models.forget()
    instance = await complete(staff, instance.tasks[0].id, specialization="Cardiology")
    models.forget()
    instance = await complete(staff, instance.tasks[0].id, patientid=1)
    assert instance.status == "completed"


async def test_the_saved_state_holds_neither_the_specification_nor_predicted_tasks(staff: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    instance = await start(staff)
    async with reading() as session:
        state = await session.scalar(text("select state from instance where id = :id"), {"id": instance.id})
    assert len(state) < 500
    for later in (b"patient", b"evaluate", b"booked", b"proceed"):
        assert later not in state


async def test_two_people_on_one_task_one_wins_and_the_other_is_told_who(staff: Actor, doctor: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    instance = await start(staff)
    task = instance.tasks[0].id
    results = await asyncio.gather(
        *(complete(who, task, specialization=who.username) for who in (staff, doctor) * 4), return_exceptions=True
    )
    won = [result for result in results if isinstance(result, InstanceView)]
    lost = [result for result in results if isinstance(result, Conflict)]
    assert (len(won), len(lost)) == (1, 7)
    winner = staff if won[0].variables["specialization"] == "staff" else doctor
    assert {error.context["first_by"] for error in lost} == {winner.display_name}
    assert all(error.context["first_at"] for error in lost)


async def test_a_double_clicked_submit_is_one_completion(staff: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    instance = await start(staff)
    task = instance.tasks[0].id
    views = await asyncio.gather(*(complete(staff, task, "form-1", specialization="ENT") for _ in range(4)))
    assert {view.id for view in views} == {instance.id}
    assert {tuple(task.element_id for task in view.tasks) for view in views} == {("patient",)}
    assert (await events(instance.case)).count("task.completed") == 1


async def test_the_same_start_key_starts_one_instance(staff: Actor, doctor: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    started = await asyncio.gather(*(start(staff, key="once") for _ in range(5)))
    assert len({view.id for view in started}) == 1
    assert (await start(doctor, key="once")).id != started[0].id


async def test_a_completion_with_wrong_fields_writes_nothing(staff: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    instance = await start(staff)
    with pytest.raises(Invalid) as refused:
        await complete(staff, instance.tasks[0].id)
    assert set(refused.value.errors) == {"specialization"}
    async with reading() as session:
        assert await lookup.view(session, staff, instance.id) == instance
    assert await events(instance.case) == ["instance.started"]


async def test_names_that_are_not_fields_of_the_form_are_never_stored(staff: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    instance = await start(staff)
    instance = await complete(staff, instance.tasks[0].id, specialization="ENT", proceed=True, patientid=3)
    assert instance.variables == {"specialization": "ENT"}


async def test_a_task_of_other_people_does_not_exist_for_me(staff: Actor, patient: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    instance = await start(staff)
    with pytest.raises(NotFound):
        await complete(patient, instance.tasks[0].id, specialization="ENT")
    async with reading() as session:
        with pytest.raises(NotFound):
            await lookup.view(session, patient, instance.id)
        assert (await worklist.tasks(session, patient)).items == []
        assert (await lookup.search(session, patient)).items == []


async def test_a_candidate_group_opens_a_task_to_its_members_only(staff: Actor, doctor: Actor, patient: Actor) -> None:
    lane = drawing.sequence("Own", drawing.user_task("mine", attributes='camunda:candidateGroups="Patient"'))
    await deploy(staff, lane)
    instance = await start(staff, "Own")
    with pytest.raises(NotFound):
        await complete(doctor, instance.tasks[0].id)
    assert (await complete(patient, instance.tasks[0].id)).status == "completed"


async def test_claim_release_and_draft(staff: Actor, doctor: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    task = (await start(staff)).tasks[0].id
    async with transaction() as session:
        await worklist.claim(session, staff, task)
        await worklist.save_draft(session, staff, task, {"specialization": "half", "foreign": "x"})
    async with transaction() as session:
        with pytest.raises(Conflict) as lost:
            await worklist.claim(session, doctor, task)
        assert lost.value.context["first_by"] == staff.display_name
    with pytest.raises(Conflict, match=staff.display_name):
        await complete(doctor, task, specialization="ENT")
    async with transaction() as session:
        assert (await worklist.task(session, staff, task)).draft == {"specialization": "half"}
        await worklist.release(session, staff, task)
        await worklist.claim(session, doctor, task)
        assert (await worklist.counts(session, doctor))["mine"] == 1


async def test_the_worklist_pages_through_all_tasks_soonest_due_first(staff: Actor) -> None:
    due = drawing.sequence("Due", drawing.user_task("soon", attributes='camunda:dueDate="PT1H"'))
    await deploy(staff, APPOINTMENT)
    await deploy(staff, due)
    for _ in range(3):
        await start(staff)
    for _ in range(2):
        await start(staff, "Due")
    seen: list[str] = []
    cursor = None
    while True:
        async with reading() as session:
            page = await worklist.tasks(session, staff, cursor=cursor, limit=2)
        seen += [row.element_id for row in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == ["soon", "soon", "specialty", "specialty", "specialty"]


async def test_a_failing_script_is_an_incident_and_can_be_retried_with_a_corrected_value(
    staff: Actor, ops: Actor
) -> None:
    broken = drawing.sequence(
        "Broken", drawing.user_task("form", drawing.field("n", "long")), drawing.script("s", "x = 1 / n")
    )
    await deploy(staff, broken)
    instance = await complete(staff, (await start(staff, "Broken")).tasks[0].id, n=0)
    assert instance.status == "failed"
    assert [(i["n"], i["element_id"]) for i in instance.incidents] == [(1, "s")]
    async with transaction() as session:
        with pytest.raises(Forbidden):
            await instances.retry(session, staff, instance.id, 1, {"n": 2})
    async with transaction() as session:
        view = await instances.retry(session, ops, instance.id, 1, {"n": 2})
    assert (view.status, view.incidents, view.variables["x"]) == ("completed", [], 0.5)


async def test_a_cancelled_instance_leaves_nothing_open(staff: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    instance = await start(staff)
    async with transaction() as session:
        with pytest.raises(Invalid):
            await instances.cancel(session, staff, instance.id, " ")
        await instances.cancel(session, staff, instance.id, "patient called")
    async with reading() as session:
        view = await lookup.view(session, staff, instance.id)
        trace = await lookup.trace(session, staff, instance.id)
    assert (view.status, view.tasks) == ("cancelled", [])
    assert (trace[-1].element_id, trace[-1].event) == ("specialty", "cancelled")
    with pytest.raises(Conflict):
        await complete(staff, instance.tasks[0].id, specialization="ENT")


async def test_running_instances_stay_on_their_version(staff: Actor) -> None:
    assert [(m.version, m.changed) for m in await deploy(staff, APPOINTMENT)] == [(1, True)]
    old = await start(staff)
    assert [(m.version, m.changed) for m in await deploy(staff, APPOINTMENT)] == [(1, False)]
    changed = APPOINTMENT.replace(b"patientid &gt; 0", b"patientid &gt; 5")
    assert [(m.version, m.changed) for m in await deploy(staff, changed)] == [(2, True)]
    assert ((await start(staff)).version, (await start(staff, version=1)).version) == (2, 1)
    old = await complete(staff, old.tasks[0].id, specialization="ENT")
    assert (await complete(staff, old.tasks[0].id, patientid=3)).variables["proceed"] is True


async def test_a_version_deployed_inactive_is_not_started_by_default(staff: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    await deploy(staff, APPOINTMENT.replace(b"&gt; 0", b"&gt; 5"), activate=False)
    assert (await start(staff)).version == 1


async def test_a_refused_model_stores_nothing(staff: Actor) -> None:
    bad = drawing.sequence("Bad", drawing.script("s", "import os"))
    with pytest.raises(ModelRefused) as refused:
        await deploy(staff, APPOINTMENT, bad)
    assert [problem.element_id for problem in refused.value.problems if problem.severity == "error"] == ["s"]
    async with reading() as session:
        assert await models.listing(session) == []


async def test_an_early_message_is_taken_by_the_instance_it_was_meant_for(staff: Actor) -> None:
    waits = drawing.sequence(
        "Waits",
        drawing.user_task("who", drawing.field("ticket")),
        drawing.message("arrived", "m"),
        before='<bpmn:message id="m" name="Arrived" />',
    )
    await deploy(staff, waits)
    async with transaction() as session:
        early = await messages.publish(session, staff, "Arrived", {"ticket": "T-2"}, {"room": 4}, ttl=60)
    assert (early.delivered, early.stored) == (0, True)
    first = await complete(staff, (await start(staff, "Waits")).tasks[0].id, ticket="T-1")
    assert (first.status, first.waiting[0]["name"]) == ("running", "Arrived")
    second = await complete(staff, (await start(staff, "Waits")).tasks[0].id, ticket="T-2")
    assert (second.status, second.variables["room"]) == ("completed", 4)
    async with transaction() as session:
        assert (await messages.publish(session, staff, "Arrived", {"ticket": "T-1"}, {})).delivered == 1


async def test_an_early_message_of_another_conversation_is_left_for_its_own(staff: Actor) -> None:
    await deploy(staff, drawing.sequence("p", catch("a", "message", "m1"), catch("b", "message", "m2"), before=KEYED))
    async with transaction() as session:
        for order in (2, 1):
            assert (await messages.publish(session, staff, "refused", {}, {"order": order}, ttl=60)).stored
    for order in (1, 2):
        begun = await start(staff, "p")
        async with transaction() as session:
            assert (await messages.publish(session, staff, "paid", {}, {"order": order})).delivered == 1
        async with reading() as session:
            found = await lookup.view(session, staff, begun.id)
        assert (found.status, found.variables["order"]) == ("completed", order)


async def test_search_finds_by_variable_element_and_pages(staff: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    made = [await start(staff) for _ in range(3)]
    await complete(staff, made[1].tasks[0].id, specialization="ENT")
    async with reading() as session:
        found = await lookup.search(session, staff, variable="specialization=ENT")
        assert [row.id for row in found.items] == [made[1].id]
        found = await lookup.search(session, staff, element="specialty", limit=1)
        assert [row.id for row in found.items] == [made[2].id]
        found = await lookup.search(session, staff, element="specialty", limit=1, cursor=found.next)
        assert ([row.id for row in found.items], found.next) == ([made[0].id], None)


async def test_what_happened_cannot_be_unwritten(staff: Actor) -> None:
    await deploy(staff, APPOINTMENT)
    await start(staff)
    for change in ("update case_event set kind = 'x'", "delete from case_event", "truncate case_event"):
        with pytest.raises(Exception, match="append-only"):
            await as_owner(change)
        with pytest.raises(Exception, match="permission denied"):
            async with transaction() as session:
                await session.execute(text(change))
