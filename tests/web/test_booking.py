"""Booking on its four pages: order, back and reload, a lost slot, and what is written at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import text

from app.db.session import transaction
from tests.days import MONDAY, SUNDAY, holiday
from tests.web.conftest import ENTRIES, Caller, Visitor, at_once, rows, value

MODEL = (Path(__file__).resolve().parents[2] / "bpmn/spiff/appointment.bpmn").read_text()
PAGES = ("expertise", "select", "schedule", "patient")
GIVEN: list[dict[str, str]] = [
    {"specialization": "Cardiology"},
    {"docid": "HSP-200"},
    {"slot": f"{MONDAY}T10:30"},
    {"patientid": "7", "priority_level": "2"},
]
WITHOUT_NAMES = [('<camunda:property id="lookup', '<camunda:property id="x'), ('name="effect"', 'name="x"')]


def fill(person: Visitor, steps: int = 4, **changed: str) -> str:
    """Walk the first pages; the address after the last."""
    at = "/doctor/expertise"
    for number in range(steps):
        at = go(person, number, **changed)
    return at


def go(person: Visitor, number: int, status: int = 303, **changed: str) -> str:
    given = GIVEN[number] | {name: text_ for name, text_ in changed.items() if name in GIVEN[number]}
    return person.post(f"/doctor/{PAGES[number]}", status, **given).headers.get("Location", "")


def heading(person: Visitor, at: str) -> str:
    return html.fromstring(person.get(at).text).xpath("string(//h1)")


async def test_a_booking_is_written_whole(visitor: Callable[[str], Visitor]) -> None:
    staff = visitor("staff")
    at = fill(staff)
    assert at.startswith("/doctor/booked/")
    page = html.fromstring(staff.get(at).text)
    assert page.xpath("string(//h1)") == "The appointment is booked"
    (made,) = await rows("select * from appointment where docid = 'HSP-200' and patientid = 7")
    assert (made.status, made.priority_level, str(made.date_scheduled)) == ("booked", 2, str(MONDAY))
    assert made.ticketid in page.text_content()
    case = await value("select case_no from instance where id = :id", id=made.instance_id)
    told = await rows("select kind from case_event where case_no = :case order by id", case=case)
    assert [row.kind for row in told][-4:] == [
        "task.completed", "appointment.booked", "document.issued", "document.issued",
    ]  # fmt: skip
    mails = await rows("select payload from outbox where kind = 'mail' and instance_id = :id", id=made.instance_id)
    assert sorted(name for row in mails for name in row.payload if name.startswith("to_")) == [
        "to_doctor",
        "to_patient",
    ]
    pdf, calendar = page.xpath("//a[contains(@href, '/documents/')]/@href")
    assert staff.get(pdf).data.startswith(b"%PDF-")
    assert f"DTSTART:{MONDAY:%Y%m%d}T".encode() in staff.get(calendar).data
    visitor("modeler").get(pdf, 404)
    assert await value("select count(*) from slot_hold") == 0


async def test_a_page_is_not_reached_before_the_one_before_it(visitor: Callable[[str], Visitor]) -> None:
    staff = visitor("staff")
    for page in PAGES[1:]:
        assert staff.get(f"/doctor/{page}", 302).headers["Location"] == "/doctor/expertise"
        assert staff.post(f"/doctor/{page}", 303, docid="HSP-200").headers["Location"] == "/doctor/expertise"
    at = go(staff, 0)
    assert at.startswith("/doctor/select?booking=")
    assert staff.get("/doctor/patient", 302).headers["Location"] == at
    assert go(staff, 3) == at
    assert await value("select count(*) from instance") == 1


async def test_doctors_are_those_of_the_chosen_specialization(visitor: Callable[[str], Visitor]) -> None:
    staff = visitor("staff")
    at = fill(staff, 1, specialization="Neurology")
    page = html.fromstring(staff.get(at).text)
    assert page.xpath("//input[@name='docid']/@value") == ["HSP-210", "HSP-209"]
    staff.post("/doctor/select", 422, docid="HSP-200")
    assert await value("select variables->>'docid' from instance") is None


@pytest.mark.parametrize(
    ("step", "missing"),
    [
        *((0, name) for name in ("specialization",)),
        (1, "docid"),
        (2, "date_scheduled"),
        (2, "time_scheduled"),
        (3, "patientid"),
        (3, "ticketid"),
        (3, "priority_level"),
    ],
)
async def test_a_page_is_not_left_with_an_empty_field(
    visitor: Callable[[str], Visitor], step: int, missing: str
) -> None:
    staff = visitor("staff")
    fill(staff, step)
    given: dict[str, Any] = {name: str(text_) for name, text_ in list(ENTRIES.values())[step].items()} | {missing: ""}
    before = await rows("select id, revision from instance")
    page = html.fromstring(staff.post(f"/doctor/{PAGES[step]}", 422, **given).text)
    assert page.xpath(f"//*[@data-summary]//a[@href='#f-{missing}']")
    assert await rows("select id, revision from instance") == before
    assert await value("select count(*) from appointment where docid = 'HSP-200' and patientid = 7") == 0


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        (0, {"specialization": "<script>alert(1)</script>"}),
        (0, {"specialization": "x" * 5000}),
        (1, {"docid": "HSP-203"}),
        (1, {"docid": "' or 1=1 --"}),
        *((2, {"slot": slot}) for slot in ("9999-12-31T10:30", "0001-01-01T00:00", "2020-01-06T10:30", "nonsense")),
        *((2, {"slot": slot}) for slot in (f"{SUNDAY}T10:30", f"{holiday()}T10:30", f"{MONDAY}T10:31")),
        (3, {"patientid": "4711"}),
        (3, {"patientid": "9" * 30}),
        (3, {"ticketid": "DEMO-001"}),
        (3, {"ticketid": "a b"}),
        (3, {"priority_level": "6"}),
    ],
)
async def test_a_wrong_value_is_a_sentence_and_writes_nothing(
    visitor: Callable[[str], Visitor], step: int, wrong: dict[str, str]
) -> None:
    staff = visitor("staff")
    fill(staff, step)
    before = await rows("select id, revision from instance")
    given = GIVEN[step] | {"ticketid": "T-77"} | wrong
    answer = staff.browser.post(f"/doctor/{PAGES[step]}", data={"csrf_token": staff.token, **given})
    assert answer.status_code in (409, 422), answer.status
    page = html.fromstring(answer.text)
    assert page.xpath("//*[@data-summary]")
    assert "<script>alert" not in answer.text
    assert await rows("select id, revision from instance") == before
    assert await value("select count(*) from appointment where ticketid = 'T-77'") == 0


def test_looking_for_choices_writes_nothing_and_needs_a_booking(visitor: Callable[[str], Visitor]) -> None:
    staff = visitor("staff")
    for page in PAGES[1:]:
        assert staff.post(f"/doctor/{page}", look="x").headers["Location"] == "/doctor/expertise"
    fill(staff, 3)
    page = html.fromstring(staff.post("/doctor/patient", 200, look="patientid", patientid="Ito").text)
    assert page.xpath("string(//h1)") == "For whom?"
    assert staff.get("/doctor/choices/3?field=patientid&search=ito").get_json()
    assert staff.get("/doctor/choices/9?field=nothing&search=ito").get_json() == []


async def test_going_back_begins_again_in_the_same_case_with_what_is_known(visitor: Callable[[str], Visitor]) -> None:
    staff = visitor("staff")
    fill(staff, 3)
    assert heading(staff, "/doctor/expertise") == "What kind of doctor?"
    chosen = html.fromstring(staff.get("/doctor/select").text).xpath("//input[@name='docid'][@checked]/@value")
    assert chosen == ["HSP-200"]
    at = staff.post("/doctor/select", docid="HSP-201").headers["Location"]
    assert heading(staff, at) == "When?"
    found = await rows("select case_no, status, variables->>'docid' as docid from instance order by started_at")
    assert [(row.status, row.docid) for row in found] == [("cancelled", "HSP-200"), ("running", "HSP-201")]
    assert len({row.case_no for row in found}) == 1
    assert await value("select count(*) from slot_hold") == 0


async def test_the_same_submission_twice_is_one(visitor: Callable[[str], Visitor]) -> None:
    staff = visitor("staff")
    first = staff.post("/doctor/expertise", specialization="Cardiology", key="k-1").headers["Location"]
    assert staff.post("/doctor/expertise", specialization="Cardiology", key="k-1").headers["Location"] == first
    go(staff, 1)
    go(staff, 2)
    last = {"patientid": "7", "ticketid": "T-1", "priority_level": "2", "key": "k-4"}
    booked = staff.post("/doctor/patient", **last).headers["Location"]
    assert staff.post("/doctor/patient", **last).headers["Location"] == booked
    assert await value("select count(*) from instance") == 1
    assert await value("select count(*) from appointment where ticketid = 'T-1'") == 1


async def test_a_session_that_ended_loses_nothing(visitor: Callable[[str], Visitor]) -> None:
    first = visitor("staff")
    at = fill(first, 2)
    again = visitor("")
    sent = again.get(at, 302).headers["Location"]
    again.sign_in("staff")
    assert heading(again, at) == "When?"
    assert "/login?next=" in sent
    assert at in html.fromstring(again.get("/doctor/expertise").text).xpath("//a/@href")
    visitor("doctor").get(at, 302)


async def test_a_taken_slot_is_answered_with_the_three_nearest(visitor: Callable[[str], Visitor]) -> None:
    first, second = visitor("staff"), visitor("doctor")
    fill(first, 3)
    fill(second, 2)
    page = html.fromstring(second.post("/doctor/schedule", 422, slot=f"{MONDAY}T10:30").text)
    near = page.xpath("//section[@aria-label='Nearest free times']//button/@value")
    assert near == [f"{MONDAY}T{at}" for at in ("09:30", "10:00", "11:00")]
    assert second.post("/doctor/schedule", slot=near[0]).headers["Location"].startswith("/doctor/patient")


async def test_a_slot_lost_on_the_last_page_leads_to_the_first_with_the_nearest(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    slow, quick = visitor("staff"), caller("doctor")
    fill(slow, 3)
    async with transaction() as session:
        await session.execute(text("update slot_hold set expires_at = now() - interval '1 minute'"))
    instance = quick.start()
    for entries in ENTRIES.values():
        instance = quick.complete(instance["tasks"][0]["id"], **entries)
    assert instance["status"] == "completed"
    at = slow.post("/doctor/patient", patientid="8", ticketid="T-8", priority_level="4").headers["Location"]
    page = html.fromstring(slow.get(at).text)
    assert page.xpath("string(//h1)") == "What kind of doctor?"
    assert page.xpath("//input[@name='specialization'][@checked]/@value") == ["Cardiology"]
    near = page.xpath("//section[@aria-label='Nearest free times']//button/@value")
    assert len(near) == 3
    at = slow.post("/doctor/schedule", slot=near[1]).headers["Location"]
    last = html.fromstring(slow.get(at).text)
    assert last.xpath("string(//select[@name='patientid']/option[@selected]/@value)") == "8"
    assert (
        slow.post("/doctor/patient", patientid="8", ticketid="T-8", priority_level="4")
        .headers["Location"]
        .startswith("/doctor/booked/")
    )
    assert await value("select count(*) from appointment where ticketid in ('T-8', 'T-100')") == 2


async def test_a_patient_books_for_themselves_and_for_nobody_else(visitor: Callable[[str], Visitor]) -> None:
    patient = visitor("patient")
    at = fill(patient, 4, patientid="7")
    assert "Ana Cruz" in patient.get(at).text
    assert await value("select patientid from appointment where date_scheduled = :day", day=MONDAY) == 1
    pdf = html.fromstring(patient.get(at).text).xpath("//a[contains(@href, '/documents/')]/@href")[0]
    assert patient.get(pdf).data.startswith(b"%PDF-")
    for who in (patient, visitor("doctor")):
        coming = html.fromstring(who.get("/home").text).xpath("//section[@aria-label='Next appointments']")[0]
        assert f"Mon {MONDAY.day} {MONDAY:%b %Y}, 10:30" in coming.text_content()
    visitor("modeler").get("/doctor/expertise", 403)
    visitor("staff").get(at, 404)


def test_of_many_who_want_one_slot_one_books_and_the_others_are_told(app: Flask, visitor: Any) -> None:
    people = [visitor(name) for name in ("staff", "doctor", "admin", "patient") for _ in range(2)]
    for person in people:
        fill(person, 2)

    def want(person: Visitor) -> int:
        given = {"csrf_token": person.token, "slot": f"{MONDAY}T10:30"}
        return person.browser.post("/doctor/schedule", data=given).status_code

    answers = at_once(*[lambda person=person: want(person) for person in people])
    assert answers.count(303) == 1
    assert set(answers) <= {303, 409, 422}


async def test_a_version_without_names_is_booked_by_its_pages_all_the_same(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    model = MODEL
    for name, other in WITHOUT_NAMES:
        model = model.replace(name, other)
    assert caller("modeler").deploy(model.encode())["models"][0]["version"] == 2
    staff = visitor("staff")
    at = fill(staff, 1)
    assert len(html.fromstring(staff.get(at).text).xpath("//input[@name='docid']")) == 3
    go(staff, 1)
    go(staff, 2)
    assert await value("select count(*) from slot_hold") == 1
    assert go(staff, 3).startswith("/doctor/booked/")
    assert await value("select count(*) from document") == 2
