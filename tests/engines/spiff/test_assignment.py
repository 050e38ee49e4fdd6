"""Who does a task and what a process starts with, where Camunda 7's attributes say so."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import Invalid, NotFound
from app.db.session import reading
from tests import drawing
from tests.engines.spiff.test_instances import complete, deploy, start


async def stored(task_id: Any) -> Any:
    async with reading() as session:
        return (
            await session.execute(
                text("""select t.state, l.username, t.candidates from user_task t
                        left join login l on l.id = t.assignee_id where t.id = :id"""),
                {"id": task_id},
            )
        ).one()


async def test_a_task_of_the_initiator_is_given_to_who_started_the_process(staff: Actor, doctor: Actor) -> None:
    opening = '<bpmn:startEvent id="start" camunda:initiator="starter" />'
    await deploy(staff, drawing.begun(opening, drawing.user_task("mine", attributes='camunda:assignee="${starter}"')))
    instance = await start(staff, "Own")
    assert instance.tasks[0].assignee == staff.username
    assert tuple(await stored(instance.tasks[0].id)) == ("claimed", staff.username, [])
    with pytest.raises(NotFound):
        await complete(doctor, instance.tasks[0].id)
    assert (await complete(staff, instance.tasks[0].id)).variables["starter"] == staff.username
    async with reading() as session:
        told = await session.scalar(text("select payload->'to_login' from outbox where kind = 'mail'"))
    assert told == [staff.username]


async def test_groups_and_people_are_computed_when_the_task_opens(staff: Actor, doctor: Actor, patient: Actor) -> None:
    lane = drawing.user_task(
        "mine",
        attributes='camunda:candidateGroups="${team}, night" camunda:candidateUsers="${people}, ana"',
    )
    await deploy(staff, drawing.sequence("Own", drawing.script("s", "team = 'Patient'\npeople = ['bo', 'cy']"), lane))
    instance = await start(staff, "Own")
    candidates = ["night", "patient", "user:ana", "user:bo", "user:cy"]
    assert sorted((await stored(instance.tasks[0].id)).candidates) == candidates
    assert sorted(instance.tasks[0].candidate_roles) == candidates
    with pytest.raises(NotFound):
        await complete(doctor, instance.tasks[0].id)
    assert (await complete(patient, instance.tasks[0].id)).status == "completed"


@pytest.mark.parametrize(("attribute", "person"), [("nobody", "nobody"), ("${who}", "nobody"), ("${who}", "")])
async def test_a_task_for_somebody_without_an_account_goes_to_the_desk(
    staff: Actor, attribute: str, person: str
) -> None:
    mine = drawing.user_task("mine", attributes=f'camunda:assignee="{attribute}"')
    await deploy(staff, drawing.sequence("Own", mine))
    instance = await start(staff, "Own", variables={"who": person})
    assert tuple(await stored(instance.tasks[0].id)) == ("ready", None, ["admin", "doctor", "staff"])
    assert (await complete(staff, instance.tasks[0].id)).status == "completed"


@pytest.mark.parametrize("value", [7, ["a", "b"], {"a": 1}, "x" * 201])
async def test_what_is_no_name_is_an_incident_that_names_no_value(staff: Actor, value: Any) -> None:
    mine = drawing.user_task("mine", attributes='camunda:assignee="${who}"')
    await deploy(staff, drawing.sequence("Own", mine))
    instance = await start(staff, "Own", variables={"who": value})
    [incident] = instance.incidents
    assert (instance.status, incident["element_id"], incident["code"]) == ("failed", "mine", "variable-type")
    assert str(value) not in incident["message"]


async def test_each_task_of_a_collection_goes_to_its_person(staff: Actor, doctor: Actor) -> None:
    many = (
        '<bpmn:userTask id="mine" camunda:assignee="${person}"><bpmn:multiInstanceLoopCharacteristics '
        'camunda:collection="people" camunda:elementVariable="person" /></bpmn:userTask>'
    )
    await deploy(staff, drawing.sequence("Own", many))
    instance = await start(staff, "Own", variables={"people": [staff.username, doctor.username]})
    assert sorted(task.assignee or "" for task in instance.tasks) == sorted([staff.username, doctor.username])


async def test_a_start_form_is_checked_and_its_values_are_kept(staff: Actor) -> None:
    fields = (drawing.field("age", "long", required=True), drawing.field("city", default="Manila"))
    await deploy(staff, drawing.begun(drawing.start_form(*fields), drawing.user_task("next")))
    with pytest.raises(Invalid) as refused:
        await start(staff, "Own", variables={"age": "old"})
    assert list(refused.value.errors) == ["age"]
    with pytest.raises(Invalid):
        await start(staff, "Own")
    async with reading() as session:
        assert await session.scalar(text("select count(*) from instance")) == 0
    instance = await start(staff, "Own", variables={"age": "41", "further": True})
    assert instance.variables == {"age": 41, "city": "Manila", "further": True}


async def test_a_called_process_fills_in_no_start_form_and_has_no_initiator(staff: Actor) -> None:
    opening = drawing.start_form(drawing.field("age", "long", required=True), attributes='camunda:initiator="starter"')
    called = drawing.begun(opening, drawing.user_task("inner")).replace(b'"Own"', b'"Inner"')
    outer = drawing.sequence("Outer", '<bpmn:callActivity id="call" calledElement="Inner" />')
    await deploy(staff, called, outer)
    instance = await start(staff, "Outer")
    assert (instance.tasks[0].element_id, instance.variables) == ("inner", {})
