"""The desk's day by its pages: book, move, mark, cancel, block, walk-in; every refusal says why and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import html
from sqlalchemy import text

from app.clinic import local_time
from app.db.session import transaction
from tests.days import CLOSED
from tests.web.conftest import Visitor, at_once, rows, value

DOCTOR = "HSP-201"


@cache
def open_day(weeks: int = 3) -> date:
    """A Tuesday some weeks ahead that is no holiday of the demo; its doctors see patients from nine on."""
    day = datetime.now(UTC).date() + timedelta(weeks=weeks)
    day += timedelta(days=(1 - day.weekday()) % 7)
    return day + timedelta(days=7) if (day.month, day.day) in CLOSED else day


def at(hour: int, minute: int = 0, day: date | None = None) -> datetime:
    return local_time.instant(day or open_day(), time(hour, minute), field="time")


def slot(hour: int, minute: int = 0, docid: str = DOCTOR, day: date | None = None) -> str:
    return f"{docid} {at(hour, minute, day).isoformat()}"


def form(hour: int = 9, minute: int = 0, **further: Any) -> dict[str, Any]:
    given = {"doctor": DOCTOR, "patient": 7, "day": open_day().isoformat(), "time": f"{hour:02}:{minute:02}"}
    return given | {"priority": 3} | further


async def visit(**where: Any) -> Any:
    found = await rows(
        "select * from appointment where docid = :docid and date_scheduled = :day order by id",
        **({"docid": DOCTOR, "day": open_day()} | where),
    )
    return found[-1] if found else None


async def booked(desk: Visitor, **further: Any) -> Any:
    desk.post("/schedule/book", 303, **form(**further))
    return await visit()


def mark(desk: Visitor, ticket: str, to: str, version: int, expected: int = 303) -> str:
    """Press the button that gives this status; the page that answers."""
    given = {"csrf_token": desk.token, "status": to, "version": version}
    answer = desk.browser.post(f"/schedule/visits/{ticket}/mark", data=given)
    assert answer.status_code == expected, answer.text[:2000]
    return answer.text


def said(answer: Any) -> dict[str, str]:
    """The sentences beside the fields of a page."""
    page = html.fromstring(answer.text)
    return {one.get("id").removeprefix("wrong-"): one.text_content() for one in page.xpath("//*[@class='wrong-text']")}


async def mails(ticket: str) -> list[Any]:
    return [
        row.key for row in await rows("select key from outbox where key like :k order by key", k=f"visit:{ticket}:%")
    ]


@pytest.fixture
def desk(visitor: Callable[[str], Visitor]) -> Visitor:
    return visitor("staff")


async def test_a_free_slot_is_held_searched_for_and_booked_for_its_whole_length(desk: Visitor) -> None:
    held = desk.post("/schedule/hold", 303, slot=slot(9))
    where = urlsplit(held.headers["Location"])
    assert where.path == "/schedule/book"
    assert await value("select count(*) from slot_hold where docid = :d", d=DOCTOR) == 1
    page = desk.get(f"{held.headers['Location']}&q=cruz")
    assert "Held for you until" in page.text
    assert "Ana Cruz" in page.text
    given = {name: found[0] for name, found in parse_qs(where.query).items()}
    desk.post("/schedule/book", 303, **given, patient=1, priority=2)
    made = await visit()
    assert (made.patientid, made.status, made.priority_level) == (1, "booked", 2)
    assert (made.during.lower, made.during.upper) == (at(9), at(9, 30))
    assert await value("select count(*) from slot_hold") == 0
    assert await mails(made.ticketid) == [f"visit:{made.ticketid}:1:doctor", f"visit:{made.ticketid}:1:patient"]


async def test_whoever_holds_a_slot_keeps_it_from_others_and_they_are_shown_the_nearest_three(
    desk: Visitor, visitor: Callable[[str], Visitor]
) -> None:
    desk.post("/schedule/hold", 303, slot=slot(9))
    other = visitor("admin")
    page = html.fromstring(other.post("/schedule/hold", 409, slot=slot(9)).text)
    near = page.xpath("//section[@aria-label='Nearest free times']//button/@value")
    assert len(near) == 3
    other.post("/schedule/hold", 303, slot=near[0])
    refused = other.post("/schedule/book", 409, **form())
    assert len(html.fromstring(refused.text).xpath("//*[@role='alert']//button[@name='slot']")) == 3
    assert await visit() is None
    desk.post("/schedule/release", 303)
    other.post("/schedule/book", 303, **form())


@pytest.mark.parametrize(
    ("wrong", "field", "sentence"),
    [
        ({"patient": ""}, "patient", "Choose a patient."),
        ({"patient": "999999"}, "patient", "There is no patient of this number."),
        ({"patient": "1 or 1=1"}, "patient", "Choose a patient."),
        ({"day": "tomorrow"}, "day", "Write a day such as 2026-11-30."),
        ({"day": "9999-12-31"}, "day", "This day is too far away."),
        ({"day": "2020-01-07"}, "day", "This time is past."),
        ({"time": "25:00"}, "time", "There is no such time."),
        ({"time": "<script>"}, "time", "Write a time such as 09:30."),
        ({"time": "23:10"}, "time", "The doctor sees nobody at this time."),
        ({"priority": "9"}, "priority", "Write a whole number from 1 to 5."),
        ({"overbook": "yes", "overbooked": ""}, "overbooked", "Say why in up to 200 characters."),
        ({"overbook": "yes", "overbooked": "x" * 201}, "overbooked", "Say why in up to 200 characters."),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_booked(
    visitor: Callable[[str], Visitor], wrong: dict[str, str], field: str, sentence: str
) -> None:
    refused = visitor("admin").post("/schedule/book", 422, **(form() | wrong))
    assert sentence in said(refused)[field]
    assert await visit() is None
    assert await value("select count(*) from outbox where key like 'visit:%'") == 0


async def test_a_closed_day_says_why_it_is_closed(desk: Visitor) -> None:
    sunday = open_day() + timedelta(days=5)
    assert said(desk.post("/schedule/book", 422, **form(day=sunday.isoformat())))["day"].startswith(
        "The clinic is closed on Sunday"
    )
    async with transaction() as session:
        await session.execute(text("insert into holiday (day, name) values (:d, 'Harvest')"), {"d": open_day()})
    assert "Harvest" in said(desk.post("/schedule/book", 422, **form()))["day"]
    assert "Harvest" in desk.get(f"/schedule?day={open_day()}").text


async def test_an_hour_that_does_not_exist_is_refused_and_one_that_comes_twice_is_asked_about(desk: Visitor) -> None:
    year = datetime.now(UTC).year + 1
    second_sunday = date(year, 3, 8) + timedelta(days=(6 - date(year, 3, 8).weekday()) % 7)
    first_sunday = date(year, 11, 1) + timedelta(days=(6 - date(year, 11, 1).weekday()) % 7)
    async with transaction() as session:
        await session.execute(text("insert into opening_hours (weekday, opens, closes) values (6, '00:00', '06:00')"))
        await session.execute(
            text("""insert into doctor_hours (docid, weekday, begins, ends, slot_minutes, valid_from)
                    values (:docid, 6, '00:00', '06:00', 30, date '2026-01-01')"""),
            {"docid": DOCTOR},
        )
    gap = desk.post("/schedule/book", 422, **form(2, 30, day=second_sunday.isoformat()))
    assert "does not exist" in said(gap)["time"]
    twice = desk.post("/schedule/book", 422, **form(1, 30, day=first_sunday.isoformat()))
    assert "comes twice" in said(twice)["time"]
    assert html.fromstring(twice.text).xpath("//select[@name='fold']")
    desk.post("/schedule/book", 303, **form(1, 30, day=first_sunday.isoformat(), fold=1))
    made = await visit(day=first_sunday)
    assert made.during.lower == local_time.instant(first_sunday, time(1, 30), field="time", second=True)


async def test_the_visit_goes_from_arrived_to_done_and_each_step_is_written_down(desk: Visitor) -> None:
    made = await booked(desk)
    for version, status in enumerate(("arrived", "checked-in", "fulfilled", "booked"), 1):
        mark(desk, made.ticketid, status, version)
        assert (await visit()).status == status
    kinds = await rows("select kind from case_event where data ->> 'ticket' = :t order by id", t=made.ticketid)
    assert [row.kind for row in kinds] == [
        f"appointment.{one}" for one in ("booked", "arrived", "checked-in", "fulfilled", "booked")
    ]
    page = desk.get(f"/schedule/visits/{made.ticketid}").text
    assert "the patient arrived" in page


async def test_nobody_has_missed_what_has_not_begun_and_a_missed_one_can_be_taken_back(desk: Visitor) -> None:
    made = await booked(desk)
    early = mark(desk, made.ticketid, "noshow", 1, 409)
    assert "has not begun yet" in early
    async with transaction() as session:
        await session.execute(
            text("update appointment set during = tstzrange(now() - interval '1 hour', now()) where ticketid = :t"),
            {"t": made.ticketid},
        )
    mark(desk, made.ticketid, "noshow", 1)
    mark(desk, made.ticketid, "booked", 2)
    assert (await visit()).status == "booked"


async def test_a_stale_version_is_told_who_did_what_and_changes_nothing(
    desk: Visitor, visitor: Callable[[str], Visitor]
) -> None:
    made = await booked(desk)
    doctor = visitor("doctor")
    mark(doctor, made.ticketid, "arrived", 1)
    late = [mark(desk, made.ticketid, "checked-in", 1, 409)]
    for path, given in (("cancel", {"reason": "ill"}), ("move", {"slot": slot(11)})):
        late.append(desk.post(f"/schedule/visits/{made.ticketid}/{path}", 409, version=1, **given).text)
    for page in late:
        assert "Dr. Mina Sato changed this appointment" in page
        assert "here and waiting" in page
    assert ((await visit()).status, (await visit()).version) == ("arrived", 2)


async def test_an_appointment_is_moved_by_button_or_by_hand_and_the_old_time_is_free(desk: Visitor) -> None:
    made = await booked(desk)
    desk.post(f"/schedule/visits/{made.ticketid}/move", 303, version=1, slot=slot(10))
    assert (await visit()).during.lower == at(10)
    wrong = desk.post(f"/schedule/visits/{made.ticketid}/move", 422, version=2, day=open_day(), time="10:07")
    assert "sees nobody" in said(wrong)["time"]
    desk.post(f"/schedule/visits/{made.ticketid}/move", 303, version=2, day=open_day(), time="11:00")
    assert (await visit()).during.lower == at(11)
    assert len(await mails(made.ticketid)) == 6
    await booked(desk, patient=8)
    taken = desk.post(f"/schedule/visits/{made.ticketid}/move", 409, version=3, slot=slot(9))
    assert "The nearest free times" in taken.text


async def test_a_cancellation_wants_a_reason_and_tells_both(desk: Visitor) -> None:
    made = await booked(desk)
    without = desk.post(f"/schedule/visits/{made.ticketid}/cancel", 422, version=1, reason=" ")
    assert said(without)["reason"] == "Say why, in up to 500 characters."
    desk.post(f"/schedule/visits/{made.ticketid}/cancel", 303, version=1, reason="Travels")
    found = await visit()
    assert (found.status, found.remarks) == ("cancelled", "Travels")
    assert f"visit:{made.ticketid}:2:patient" in await mails(made.ticketid)


async def test_overbooking_needs_the_right_and_a_reason_and_guards_the_patient_still(
    desk: Visitor, visitor: Callable[[str], Visitor]
) -> None:
    await booked(desk)
    on_top = form(overbook="yes", overbooked="emergency", patient=8)
    assert "Overbooking is for" in desk.post("/schedule/book", 403, **on_top).text
    admin = visitor("admin")
    admin.post("/schedule/book", 303, **on_top)
    found = await visit()
    assert (found.patientid, found.overbooked) == (8, "emergency")
    admin.post("/schedule/book", 409, **(on_top | {"doctor": "HSP-202", "patient": 8, "time": "09:00"}))
    first = (await rows("select ticketid from appointment where date_scheduled = :d order by id", d=open_day()))[0]
    desk.post(f"/schedule/visits/{first.ticketid}/cancel", 303, version=1, reason="moved")
    desk.post("/schedule/book", 409, **form(patient=9))


async def test_a_member_of_the_overbooking_group_may(desk: Visitor) -> None:
    await booked(desk)
    async with transaction() as session:
        await session.execute(text("insert into candidate_group (name) values ('overbooking')"))
        await session.execute(
            text("""insert into group_member (group_id, login_id) select g.id, l.id from candidate_group g, login l
                    where g.name = 'overbooking' and l.username = 'staff'""")
        )
    desk.post("/schedule/book", 303, **form(overbook="yes", overbooked="family of the last one", patient=8))


async def test_blocked_time_is_free_for_nobody_until_it_is_given_back(desk: Visitor) -> None:
    day = open_day().isoformat()
    given = {"doctor": DOCTOR, "kind": "leave", "reason": "training", "from_day": day, "until_day": day}
    backwards = desk.post("/schedule/block", 422, **given, from_time="11:00", until_time="09:00")
    assert said(backwards)["until_time"] == "The end comes before the beginning."
    desk.post("/schedule/block", 303, **given, from_time="09:00", until_time="11:00")
    assert "is not free" in desk.post("/schedule/book", 409, **form()).text
    desk.post("/schedule/hold", 409, slot=slot(9))
    assert "training" in desk.get(f"/schedule?day={day}&doctor={DOCTOR}").text
    number = await value("select id from doctor_block")
    desk.post(f"/schedule/blocks/{number}/delete", 303)
    desk.post("/schedule/hold", 303, slot=slot(9))
    desk.post(f"/schedule/blocks/{number}/delete", 404)


async def test_somebody_without_an_appointment_is_taken_in_now(desk: Visitor) -> None:
    async with transaction() as session:
        await session.execute(text("delete from holiday"))
        await session.execute(
            text("""insert into opening_hours (weekday, opens, closes)
                    select n, '00:00', '00:01' from generate_series(0, 6) n on conflict do nothing""")
        )
    assert "Choose one" in said(desk.post("/schedule/walk-in", 422, doctor=DOCTOR))["patient"]
    desk.post("/schedule/walk-in", 303, doctor=DOCTOR, patient=7)
    made = (await rows("select * from appointment where ticketid like 'W-%'"))[0]
    assert (made.status, made.patientid) == ("arrived", 7)
    refused = desk.post("/schedule/walk-in", 409, doctor=DOCTOR, patient=8)
    assert "is not free" in said(refused)["doctor"]


async def test_the_schedule_shows_day_and_week_and_a_doctor_begins_with_their_own(
    desk: Visitor, visitor: Callable[[str], Visitor]
) -> None:
    made = await booked(desk)
    name = await value("select firstname || ' ' || lastname from patient where patientid = 7")
    day = desk.get(f"/schedule?day={open_day()}&doctor={DOCTOR}").text
    assert name in day
    assert made.ticketid in day
    week = html.fromstring(desk.get(f"/schedule?day={open_day()}&view=week&doctor={DOCTOR}").text)
    assert len(week.xpath("//table[contains(@class, 'agenda')]/thead//th")) == 8
    own = html.fromstring(visitor("doctor").get(f"/schedule?day={open_day()}").text)
    assert [one.strip() for one in own.xpath("//table//thead//a/text()")] == ["Dr. Mina Sato"]
    assert "No doctor has hours" in desk.get("/schedule?day=2020-01-05").text
    assert desk.get("/schedule?day=<script>&page=-1&view=x").status_code == 200


async def test_a_patients_own_double_booking_is_refused(desk: Visitor) -> None:
    await booked(desk)
    refused = desk.post("/schedule/book", 409, **form(doctor="HSP-202"))
    assert "The patient has another appointment then." in refused.text


def test_patients_do_not_see_the_schedule(visitor: Callable[[str], Visitor]) -> None:
    visitor("patient").get("/schedule", 403)


async def test_a_race_for_one_slot_has_one_winner_and_clear_answers_for_the_others(
    visitor: Callable[[str], Visitor],
) -> None:
    people = [visitor("staff") for _ in range(8)]
    answers = at_once(
        *(
            (
                lambda who=who, n=n: who.browser.post(
                    "/schedule/book", data={"csrf_token": who.token, **form(patient=10 + n)}
                )
            )
            for n, who in enumerate(people)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [303] + [409] * 7
    for answer in answers:
        if answer.status_code == 409:
            assert len(html.fromstring(answer.text).xpath("//*[@role='alert']//button[@name='slot']")) == 3
    assert (
        await value(
            "select count(*) from appointment where date_scheduled = :d and docid = :doc", d=open_day(), doc=DOCTOR
        )
        == 1
    )


async def test_an_appointment_goes_to_another_doctor_and_all_three_are_told(desk: Visitor) -> None:
    made = await booked(desk)
    page = html.fromstring(desk.get(f"/schedule/visits/{made.ticketid}").text)
    others = page.xpath("string(//a[text()='With another doctor']/@href)")
    grid = html.fromstring(desk.get(others.replace(f"day={made.date_scheduled}", f"day={open_day()}")).text)
    assert len({one.partition(" ")[0] for one in grid.xpath("//button[@name='slot']/@value")}) >= 1
    to = f"/schedule/visits/{made.ticketid}/move"
    desk.post(to, 303, slot=slot(10, docid="HSP-202"), version=made.version)
    (moved,) = await rows("select * from appointment where ticketid = :t", t=made.ticketid)
    assert (moved.docid, moved.during.lower, moved.patientid) == ("HSP-202", at(10), made.patientid)
    keys = [key.rpartition(":")[2] for key in await mails(made.ticketid) if f":{moved.version}:" in key]
    assert sorted(keys) == ["doctor", "former", "patient"]
    sent = {
        row.key.rpartition(":")[2]: row.payload
        for row in await rows(
            "select key, payload from outbox where key like :k", k=f"visit:{made.ticketid}:{moved.version}:%"
        )
    }
    assert sent["doctor"]["to_login"] != sent["former"]["to_login"]
    assert "with Dr." in sent["patient"]["text"]
    assert await visit(docid=DOCTOR) is None
    again = await booked(desk, patient=8)
    taken = desk.post(f"/schedule/visits/{again.ticketid}/move", 409, slot=slot(10, docid="HSP-202"), version=1)
    assert "not free" in taken.text
    desk.post(f"/schedule/visits/{again.ticketid}/move", 422, slot=slot(3, docid="HSP-202"), version=1)
    assert (await visit()).docid == DOCTOR
