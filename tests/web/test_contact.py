"""A patient's contact data, changed by the desk and by the patient; reminders, mailed to who wants them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lxml import html
from sqlalchemy import text

from app.db.session import transaction
from app.engines import reminders
from tests.web.conftest import Visitor, rows, value
from tests.web.test_schedule import said

GIVEN = {"email": "ana.new@demo.example", "mobile": "555-0199", "address": "2 Harbour Street", "reminders": "true"}


def shown(person: Visitor, at: str) -> dict[str, str]:
    """What the form of contact data holds now, with the mark of what was seen."""
    page = html.fromstring(person.get(at).text)
    (form,) = page.xpath("//form[contains(@action, '/contact')]")
    return {one.name: one.get("value") or "" for one in form.xpath(".//input[@name!='csrf_token']")}


async def test_the_desk_changes_how_a_patient_is_reached(visitor: Callable[[str], Visitor]) -> None:
    desk = visitor("staff")
    was = shown(desk, "/patients/1")["was"]
    desk.post("/patients/1/contact", 303, **GIVEN, was=was)
    (row,) = await rows(
        "select p.email, p.mobile, p.address, l.email as login from patient p join login l using (username)"
        " where patientid = 1"
    )
    assert (row.email, row.mobile, row.address, row.login) == (*list(GIVEN.values())[:3], GIVEN["email"])
    (event,) = await rows("select data from case_event where kind = 'patient.contact-changed'")
    assert event.data["fields"] == ["address", "email", "mobile"]
    assert "ana.new" not in str(event.data)
    desk.post("/patients/1/contact", 303, **GIVEN, was=was)  # the same again changes nothing, however old the page
    assert await value("select count(*) from case_event where kind = 'patient.contact-changed'") == 1


async def test_who_comes_second_sees_both_versions_and_decides_again(visitor: Callable[[str], Visitor]) -> None:
    desk, patient = visitor("staff"), visitor("patient")
    was = shown(desk, "/patients/1")["was"]
    patient.post("/my/contact", 303, **(GIVEN | {"mobile": "555-0777"}), was=shown(patient, "/my")["was"])
    lost = desk.post("/patients/1/contact", 409, **(GIVEN | {"mobile": "555-0888"}), was=was)
    page = html.fromstring(lost.text)
    assert page.xpath("string(//input[@name='mobile']/@value)") == "555-0888"
    assert "now: 555-0777" in page.text_content()
    assert await value("select mobile from patient where patientid = 1") == "555-0777"
    again = page.xpath("string(//input[@name='was']/@value)")
    desk.post("/patients/1/contact", 303, **(GIVEN | {"mobile": "555-0888"}), was=again)
    assert await value("select mobile from patient where patientid = 1") == "555-0888"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"mobile": "call me"}, "mobile"),
        ({"mobile": "5" * 30}, "mobile"),
        ({"address": ""}, "address"),
        ({"address": "x" * 201}, "address"),
        ({"email": "", "mobile": ""}, "mobile"),
    ],
)
async def test_what_cannot_be_is_said_beside_its_field(
    visitor: Callable[[str], Visitor], wrong: dict[str, str], field: str
) -> None:
    before = await value("select address from patient where patientid = 1")
    for person, at, to in (
        (visitor("staff"), "/patients/1", "/patients/1/contact"),
        (visitor("patient"), "/my", "/my/contact"),
    ):
        assert list(said(person.post(to, 422, **(GIVEN | wrong), was=shown(person, at)["was"]))) == [field]
    assert await value("select address from patient where patientid = 1") == before


def test_nobody_changes_somebody_elses(visitor: Callable[[str], Visitor]) -> None:
    visitor("patient").post("/patients/2/contact", 403, **GIVEN, was="")
    visitor("modeler").post("/my/contact", 403, **GIVEN, was="")
    visitor("staff").post("/patients/999999/contact", 404, **GIVEN, was="")


async def soon(ticket: str, **further: Any) -> None:
    """A visit in 23 hours that was booked two days ago."""
    async with transaction() as session:
        await session.execute(
            text("""insert into appointment (ticketid, patientid, docid, priority_level, date_scheduled, time_scheduled,
                        consult_hrs, during, changed_at)
                    select :ticket, :patient, :docid, 3, (at at time zone 'America/New_York')::date,
                           (at at time zone 'America/New_York')::time, 0.5, tstzrange(at, at + interval '30 min'),
                           now() - make_interval(hours => :booked)
                    from (select dams_now() + make_interval(mins => :ahead) as at) soon"""),
            {"ticket": ticket, "patient": 7, "docid": "HSP-201", "ahead": 23 * 60, "booked": 48} | further,
        )


async def reminded() -> list[str]:
    return [row.key for row in await rows("select key from outbox where key like 'reminder:%' order by key")]


async def test_a_visit_is_reminded_of_once_for_each_time_it_has(visitor: Callable[[str], Visitor]) -> None:
    async with transaction() as session:
        await session.execute(text("delete from appointment"))
    await soon("R-1")
    assert await reminders.make() == 1
    assert await reminders.make() == 0
    assert await reminded() == ["reminder:R-1:1:24h"]
    async with transaction() as session:
        await session.execute(
            text("""update appointment set during = tstzrange(at, at + interval '30 min'),
                           date_scheduled = (at at time zone 'America/New_York')::date,
                           time_scheduled = (at at time zone 'America/New_York')::time
                    from (select now() + interval '1 hour' as at) sooner""")
        )
    assert await reminders.make() == 1
    assert await reminded() == ["reminder:R-1:1:24h", "reminder:R-1:1:2h"]


async def test_who_wants_none_has_just_booked_or_is_looked_after_elsewhere_is_not_reminded(
    visitor: Callable[[str], Visitor],
) -> None:
    async with transaction() as session:
        await session.execute(text("delete from appointment"))
    await soon("R-2", booked=0)
    await soon("R-3", patient=8, docid="HSP-202", ahead=26 * 60)
    await soon("R-4", patient=1, docid="HSP-203")
    patient = visitor("patient")
    sent = {name: given for name, given in shown(patient, "/my").items() if name != "reminders"}
    patient.post("/my/contact", 303, **sent)
    assert "You are not reminded" in patient.get("/my").text
    assert await reminders.make() == 0
    async with transaction() as session:
        await session.execute(
            text("update appointment set status = 'cancelled', changed_at = now() - interval '3 days'")
        )
    assert await reminders.make() == 0
