"""Look-ups that a model names: what is offered to whom, what is refused, and that it is looked up again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lxml import html
from sqlalchemy import text

from app.clinic import accounts, lookups
from app.clinic.lookups import LOOKUPS, Wish
from app.db.session import reading, transaction
from tests import drawing
from tests.days import MONDAY
from tests.web.conftest import Caller, Visitor, value

GIVEN = {
    "docid": "HSP-200",
    "date_scheduled": MONDAY.isoformat(),
    "specialization": "Cardiology",
    "patientid": "1",
    "ticketid": "DEMO-001",
    "status": "booked",
    "role": "doctor",
}


def field(name: str, kind: str, lookup: str, **parameters: str) -> str:
    rows = [("lookup", lookup), *((f"lookup.{key}", source) for key, source in parameters.items())]
    inside = "".join(f'<camunda:property id="{key}" value="{source}" />' for key, source in rows)
    start = f'<camunda:formField id="{name}" label="{name}" type="{kind}">'
    return f"{start}<camunda:properties>{inside}</camunda:properties></camunda:formField>"


CHOOSING = drawing.sequence(
    "Choosing",
    drawing.user_task(
        "t",
        field("who", "long", "patients"),
        field("heart", "enum", "doctors", specialization="'Cardiology'"),
        field("ticket", "string", "appointments", patientid="who"),
        attributes='camunda:candidateGroups="staff,patient"',
    ),
)


def fields(task: Any) -> dict[str, Any]:
    return {one["id"]: one for one in task["form"]["fields"]}


@pytest.mark.parametrize("name", LOOKUPS)
async def test_every_look_up_answers_with_and_without_what_it_takes(app: object, name: str) -> None:
    wanted = LOOKUPS[name]
    async with reading() as session:
        for names in (wanted.needs, (*wanted.needs, *wanted.takes)):
            given = {one: GIVEN[one] for one in names}
            found = await lookups.choices(session, None, name, Wish(given))
            for one in found[:2]:
                assert await lookups.fits(session, None, name, Wish(given, id=one.id))
            assert not await lookups.fits(session, None, name, Wish(given, id="nobody's"))
            await lookups.choices(session, None, name, Wish(given, search="100% of_'x\\"))
    offered = {
        "diagnoses",
        "specializations",
        "doctors",
        "free_days",
        "free_times",
        "patients",
        "appointments",
        "users",
    }
    assert bool(found) is (name in offered | {"administrators", "groups"})


async def test_a_patient_is_offered_what_is_theirs_and_nothing_of_the_desk(app: object) -> None:
    async with reading() as session:
        patient = await accounts.by_username(session, "patient")
        seen = {
            name: [one.id for one in await lookups.choices(session, patient, name, Wish(dict[str, str]()))]
            for name, one in LOOKUPS.items()
            if not one.needs
        }
    assert seen["patients"] == ["1"]
    assert seen["appointments"] == ["DEMO-001"]
    assert seen["users"] == seen["requests"] == seen["administrators"] == seen["groups"] == seen["payments"] == []
    assert len(seen["doctors"]) == 14


def test_choices_come_from_the_tables_and_what_is_sent_is_looked_up_again(caller: Callable[[str], Caller]) -> None:
    caller("modeler").deploy(CHOOSING)
    staff = caller("staff")
    task = staff.start("Choosing")["tasks"][0]["id"]
    shown = fields(staff("GET", f"/tasks/{task}"))
    assert [one["id"] for one in shown["heart"]["options"]] == ["HSP-202", "HSP-201", "HSP-200"]
    assert len(shown["who"]["options"]) == 48
    assert shown["ticket"]["options"] == []
    assert shown["ticket"]["lookup"] == {
        "name": "appointments", "more": False, "depends_on": ["who"], "missing": ["who"],
    }  # fmt: skip
    staff("POST", f"/tasks/{task}/draft", json={"variables": {"who": 2}})
    assert [one["id"] for one in fields(staff("GET", f"/tasks/{task}"))["ticket"]["options"]] == ["DEMO-002"]
    for wrong in ({"who": 4711}, {"heart": "HSP-203"}, {"who": 2, "ticket": "DEMO-001"}, {"ticket": "DEMO-001"}):
        given = {"who": None, "heart": None, "ticket": None} | wrong
        refused = staff.complete(task, 422, **given)
        assert list(refused["errors"]) == [list(wrong)[-1]]
    assert staff.complete(task, who=2, heart="HSP-200", ticket="DEMO-002")["status"] == "completed"


async def test_many_choices_are_searched_for(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    caller("modeler").deploy(CHOOSING)
    async with transaction() as session:
        await session.execute(
            text("""insert into login (username, password) select 'x' || n, '!' from generate_series(1, 60) n""")
        )
        await session.execute(
            text("""insert into patient (username, role, firstname, midname, lastname, email, mobile, patientid,
                                         birthday, age, profession, address, date_registered)
                    select 'x' || n, 2, 'Zoe', '', 'Quist' || n, '', '', 1000 + n, date '1990-01-01', 36, '', '',
                           date '2026-01-01' from generate_series(1, 60) n""")
        )
    task = caller("staff").start("Choosing")["tasks"][0]["id"]
    assert fields(caller("staff")("GET", f"/tasks/{task}"))["who"]["lookup"]["more"]
    staff = visitor("staff")
    found = staff.get(f"/tasks/{task}/choices?field=who&search=zoe+quist47").get_json()
    assert [one["id"] for one in found] == ["1047"]
    assert staff.get(f"/tasks/{task}/choices?field=who&search=1047").get_json() == found
    staff.get(f"/tasks/{task}/choices?field=nothing&search=x", 404)
    # Without scripts the button beside the field keeps what was typed and shows what fits.
    back = staff.post(f"/tasks/{task}/draft", who="Quist12", look="who").headers["Location"]
    page = html.fromstring(staff.get(back).text)
    assert page.xpath("//datalist[@id='list-who']/option/@value") == ["1012"]


async def test_a_patient_cannot_choose_another(caller: Callable[[str], Caller]) -> None:
    caller("modeler").deploy(CHOOSING)
    patient = caller("patient")
    task = patient.start("Choosing")["tasks"][0]["id"]
    assert patient.complete(task, 422, who=2)["errors"].keys() == {"who"}
    assert patient.complete(task, who=1)["status"] == "completed"
    assert await value("select count(*) from case_event where kind = 'task.completed'") == 1


def test_a_parameter_or_look_up_that_is_not_there_is_refused_with_its_cure(caller: Callable[[str], Caller]) -> None:
    wrong = CHOOSING.replace(b'"lookup.specialization"', b'"lookup.town"').replace(b'"patients"', b'"nurses"')
    problems = caller("modeler").deploy(wrong, 422)["problems"]
    found = {(one["rule"], one["element_id"]) for one in problems if one["severity"] == "error"}
    assert found == {("lookup-unknown", "t"), ("lookup-parameter", "t")}
    assert all(one["line"] and one["fix"] for one in problems)
