"""The pages about people and the clinic: patients, doctors, waiting list, books, hours, accounts, sheets and feeds."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import time, timedelta
from io import StringIO

import pytest
from icalendar import Calendar
from lxml import html
from sqlalchemy import text

from app.clinic import books, local_time
from app.db.session import transaction
from app.engines import offers
from app.web.views import sheets
from tests.conftest import PASSWORD_OF_ALL
from tests.days import MONDAY
from tests.web.conftest import Visitor, rows, value
from tests.web.test_schedule import DOCTOR, booked, form, mark, open_day, said, slot, visit

People = Callable[[str], Visitor]


async def test_patients_are_found_by_any_part_of_what_is_known_and_reading_a_record_is_logged(visitor: People) -> None:
    desk, doctor = visitor("staff"), visitor("doctor")
    assert "Ana Cruz" in desk.get("/patients?q=cru+ana").text
    assert "Nobody fits" in desk.get("/patients?q=%25%27+or+1=1").text
    assert html.fromstring(desk.get("/patients?q=7").text).xpath("//tr[@data-row]//a/text()")
    record = desk.get("/patients/1").text
    assert "Palpitations" not in record
    assert "Palpitations" in doctor.get("/patients/1").text
    read = await rows("select actor_id, data from case_event where kind = 'patient.read' order by id")
    assert [row.data for row in read] == [{"patient": 1}] * 2
    assert "Dr. Mina Sato" in desk.get("/patients/1").text
    desk.get("/patients/999999", 404)
    visitor("patient").get("/patients/1", 403)


async def test_a_patient_moves_and_cancels_their_own_visit_and_nobody_elses(visitor: People) -> None:
    patient = visitor("patient")
    page = html.fromstring(patient.get("/my").text)
    assert page.xpath("string(//h1)").startswith("Your next visit")
    move = html.fromstring(patient.get("/my/visits/DEMO-001").text)
    target = move.xpath("//button[@name='slot']/@value")[-1]
    patient.post("/my/visits/DEMO-001/move", 303, slot=target, version=1)
    late = patient.post("/my/visits/DEMO-001/move", 409, slot=move.xpath("//button[@name='slot']/@value")[0], version=1)
    assert "Ana Cruz changed this appointment" in late.text
    assert said(patient.post("/my/visits/DEMO-001/cancel", 422, reason="", version=2)) == {
        "reason": "Say why, in up to 500 characters."
    }
    patient.post("/my/visits/DEMO-001/cancel", 303, reason="I travel", version=2)
    assert await value("select status from appointment where ticketid = 'DEMO-001'") == "cancelled"
    for path, given in (("", {}), ("/move", {"slot": slot(10)}), ("/cancel", {"reason": "x"})):
        if given:
            patient.post(f"/my/visits/DEMO-003{path}", 404, **given)
        else:
            patient.get("/my/visits/DEMO-003", 404)
    assert await value("select status from appointment where ticketid = 'DEMO-003'") == "booked"


async def test_a_freed_time_is_offered_mailed_and_taken_once(visitor: People) -> None:
    desk, patient = visitor("staff"), visitor("patient")
    day = open_day()
    async with transaction() as session:  # one slot that day, and it is taken
        await session.execute(text("delete from doctor_hours where docid = :d"), {"d": DOCTOR})
        await session.execute(
            text("""insert into doctor_hours (docid, weekday, begins, ends, slot_minutes, valid_from)
                    values (:d, 1, '09:00', '09:30', 30, date '2026-01-01')"""),
            {"d": DOCTOR},
        )
    made = await booked(desk, patient=20)
    wish = {"patient": 1, "doctor": DOCTOR, "earliest": day, "latest": day}
    assert set(said(desk.post("/waiting", 422, **(wish | {"latest": "2020-01-01", "doctor": ""})))) == {
        "latest",
        "doctor",
    }
    patient.post("/waiting", 303, **wish)
    desk.post("/waiting", 303, **(wish | {"patient": 21}))
    assert await offers.make() == 0
    desk.post(f"/schedule/visits/{made.ticketid}/cancel", 303, version=1, reason="ill")
    assert await offers.make() == 1
    assert await offers.make() == 0
    assert "has become free" in patient.get("/my").text
    assert await value("select count(*) from outbox where key like 'offer:%'") == 1
    assert "The nearest free times" in desk.post("/schedule/book", 409, **form(patient=22)).text
    offer = await value("select id from slot_offer where state = 'open'")
    patient.post(f"/offers/{offer}/accept", 303)
    patient.post(f"/offers/{offer}/accept", 303)
    assert "stay on the waiting list" in patient.get("/my").text
    taken = await visit()
    assert (taken.patientid, taken.status) == (1, "booked")
    assert len(await rows("select 1 from outbox where key like :k", k=f"visit:{taken.ticketid}:%")) == 2
    desk.post(f"/schedule/visits/{taken.ticketid}/cancel", 303, version=1, reason="ill")
    assert await offers.make() == 1
    second = await value("select id from slot_offer where state = 'open'")
    visitor("doctor").post(f"/offers/{second}/decline", 303)
    patient.post(f"/offers/{second}/accept", 404)
    entry = await value("select id from waiting_entry where patientid = 21")
    desk.post(f"/waiting/{entry}/withdraw", 303)
    assert "Nobody waits" in desk.get("/waiting").text


async def test_a_doctors_hours_make_slots_and_only_the_desk_or_the_doctor_changes_them(visitor: People) -> None:
    desk, doctor = visitor("staff"), visitor("doctor")
    given = {"weekday": 6, "begins": "10:00", "ends": "12:00", "slot_minutes": 20, "valid_from": open_day()}
    wrong = desk.post(f"/doctors/{DOCTOR}/hours", 422, **(given | {"slot_minutes": 3, "weekday": 9, "begins": "x"}))
    assert set(said(wrong)) == {"slot_minutes", "weekday", "begins"}
    desk.post(f"/doctors/{DOCTOR}/hours", 303, **given)
    again = desk.post(f"/doctors/{DOCTOR}/hours", 422, **(given | {"begins": "11:00", "ends": "13:00"}))
    assert said(again) == {"begins": "The doctor has hours then already."}
    doctor.post(f"/doctors/{DOCTOR}/hours", 403, **given)
    doctor.post("/doctors/HSP-200/hours", 303, **given)
    admin = visitor("admin")
    admin.post("/clinic/hours", 303, weekday=6, opens="09:00", closes="13:00")
    sunday = open_day() + timedelta(days=5)
    page = desk.get(f"/schedule?day={sunday}&doctor={DOCTOR}").text
    assert page.count('name="slot"') == 6
    admin.post("/clinic/holidays", 303, day=sunday, name="=Feast")
    assert said(admin.post("/clinic/holidays", 422, day=sunday, name="Again")) == {
        "day": "This day is a holiday already."
    }
    assert desk.get(f"/schedule?day={sunday}&doctor={DOCTOR}").text.count('name="slot"') == 0
    desk.post("/clinic/holidays", 403, day=sunday, name="x")
    number = await value("select max(id) from doctor_hours where docid = :d", d=DOCTOR)
    desk.post(f"/doctors/{DOCTOR}/hours/{number}/delete", 303)
    desk.post(f"/doctors/{DOCTOR}/hours/{number}/delete", 404)
    assert "America/New_York" in desk.get("/clinic").text


async def test_lists_are_searched_paged_and_saved_without_formulas(visitor: People) -> None:
    desk, admin = visitor("staff"), visitor("admin")
    async with transaction() as session:
        await session.execute(text("update patient set lastname = '=cmd|x', address = '+1' where patientid = 5"))
        await session.execute(
            text("""insert into payment (paymentid, ticketid, patientid, charge, amount, discount, status)
                    select 'P-' || n, 'T-' || n, 1 + n % 40, 10, 10, 0, true from generate_series(1, 120) n""")
        )
        await session.execute(
            text("""insert into request (docid, adminid, details, status)
                    values ('HSP-200', 'HSP-100', '@sum(a)', false)""")
        )
    for path in ("/patients.csv", "/payments.csv", "/requests.csv", "/diagnoses.csv"):
        found = list(csv.reader(StringIO(admin.get(path).get_data(as_text=True).lstrip("\ufeff"))))
        assert len(found) > 1, path
        assert [cell for row in found for cell in row if cell[:1] in ("=", "+", "-", "@")] == [], path
    assert "'=cmd|x" in admin.get("/patients.csv").text
    assert "'@sum(a)" in admin.get("/requests.csv").text
    assert await value("select count(*) from case_event where kind = 'records.exported'") == 6
    page = html.fromstring(desk.get("/payments").text)
    assert len(page.xpath("//tr[@data-row]")) == 50
    older = html.fromstring(desk.get(page.xpath("//a[text()='Older']/@href")[0]).text)
    assert older.xpath("string((//tr[@data-row])[1]/td[1])") == "T-70"
    assert len(html.fromstring(desk.get("/payments?q=T-70").text).xpath("//tr[@data-row]")) == 1
    assert "Palpitations" in admin.get("/diagnoses?q=ana+cruz").text
    desk.get("/diagnoses", 403)
    for few_and_many in ("an", "ana cruz palp", "%", "_a_", "\\", "12345678901", "a b c d e f g h"):
        admin.get("/diagnoses", query_string={"q": few_and_many})
        desk.get("/payments", query_string={"q": few_and_many})
        admin.get("/requests", query_string={"q": few_and_many})
        admin.get("/admin", query_string={"q": few_and_many})
    found = html.fromstring(desk.get("/payments?q=t-").text)
    assert len(found.xpath("//tr[@data-row]")) == 50
    assert html.fromstring(desk.get("/payments?q=%25").text).xpath("//tr[@data-row]") == []


async def test_a_book_is_found_by_its_own_words_and_by_the_patients_newest_first(database_url: str) -> None:
    """Each word of three letters or more is looked up in an index; shorter ones are found as well."""
    async with transaction() as session:
        await session.execute(
            text("""insert into payment (paymentid, ticketid, patientid, charge, amount, discount, status)
                    select 'P-' || n, 'AB-' || n, 1 + n % 40, 10, 10, 0, true from generate_series(1, 120) n""")
        )
        name = await session.scalar(text("select lower(lastname) from patient where patientid = 8"))
        theirs = await books.page(session, books.PAYMENTS, str(name), limit=200)
        assert {8} <= {row["number"] for row in theirs}
        assert {row["ticket"] for row in theirs} >= {"AB-7", "AB-47", "AB-87"}
        assert theirs == sorted(theirs, key=lambda row: -row["id"])
        by_number = await books.page(session, books.PAYMENTS, "8", limit=500)
        assert {"AB-7", "AB-8", "AB-118"} <= {row["ticket"] for row in by_number}
        assert [row["ticket"] for row in await books.page(session, books.PAYMENTS, "ab-12", limit=3)] == [
            "AB-120",
            "AB-12",
        ]
        second = await books.page(session, books.PAYMENTS, "ab-", before=theirs[0]["id"], limit=2)
        assert all(row["id"] < theirs[0]["id"] for row in second)


async def test_a_large_clinics_day_sheet_comes_in_parts(visitor: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "DOCTORS", 1)
    desk = visitor("staff")
    begins, ends = (local_time.instant(MONDAY, time(9, minute), field="time") for minute in (0, 30))
    async with transaction() as session:
        docids = (await session.execute(text("select empid from doctor where status order by 1 limit 2"))).scalars()
        for number, docid in enumerate(docids.all()):
            await session.execute(
                text("""insert into appointment (ticketid, patientid, docid, priority_level, date_scheduled,
                            time_scheduled, consult_hrs, during)
                        values ('S-' || cast(:n as int), 11 + cast(:n as int), :docid, 3, :day, '09:00',
                                0.5, tstzrange(:begins, :ends))"""),
                {"n": number, "docid": docid, "day": MONDAY, "begins": begins, "ends": ends},
            )
    first = html.fromstring(desk.get(f"/schedule/sheet?day={MONDAY}").text)
    assert len(first.xpath("//section[contains(@class, 'sheet')]")) == 1
    assert "part 1 of 2" in first.text_content()
    second = html.fromstring(desk.get(first.xpath("string(//a[text()='More doctors']/@href)")).text)
    shown = first.text_content() + second.text_content()
    assert ("S-0" in shown, "S-1" in shown) == (True, True)
    assert second.xpath("//a[text()='More doctors']") == []


async def test_accounts_are_administered_and_a_lock_out_is_released(visitor: People) -> None:
    admin = visitor("admin")
    assert "Rosa Alvarez" in admin.get("/admin?q=alvarez&role=staff").text
    new = {"username": "night", "password": "long-enough", "roles": ["staff"], "display_name": "Night Desk"}
    assert set(said(admin.post("/admin/users", 422, **(new | {"username": "x" * 21, "password": "short"})))) == {
        "username",
        "password",
    }
    admin.post("/admin/users", 303, **new)
    assert "is taken" in said(admin.post("/admin/users", 409, **new))["username"]
    admin.post("/admin/groups", 303, group="Overbooking")
    assert said(admin.post("/admin/groups", 422, group="staff")) == {"group": "A role has this name already."}
    admin.post("/admin/users/night/roles", 303, roles=["staff", "ops"], groups=["overbooking"])
    refused = admin.post("/admin/users/admin/roles", 409, roles=["staff"])
    assert "last administrator" in refused.text

    def sign_in(password: str, status: int) -> None:
        visitor("").sign_in("night", password, status)

    for _ in range(5):
        sign_in("wrong", 401)
    sign_in("long-enough", 429)
    admin.post("/admin/users/night/unlock", 303)
    sign_in("long-enough", 303)
    admin.post("/admin/users/night/password", 303, password="another-long-one")
    sign_in("long-enough", 401)
    sign_in("another-long-one", 303)
    admin.post("/admin/users/night/disable", 303)
    sign_in("another-long-one", 401)
    admin.post("/admin/users/night/enable", 303)
    admin.post("/admin/groups/overbooking/delete", 303)
    visitor("staff").get("/admin", 403)
    assert PASSWORD_OF_ALL not in admin.get("/admin/users/staff").text


async def test_the_day_is_printed_saved_and_subscribed_to_until_the_address_is_revoked(visitor: People) -> None:
    desk, stranger = visitor("staff"), visitor("")
    made = await booked(desk)
    mark(desk, made.ticketid, "arrived", 1)
    sheet = desk.get(f"/schedule/sheet?day={open_day()}").text
    assert made.ticketid in sheet
    saved = desk.get(f"/schedule.csv?day={open_day()}&doctor={DOCTOR}").get_data(as_text=True)
    line = next(csv.DictReader(StringIO(saved.lstrip("\ufeff"))))
    assert (line["ticket"], line["state"], line["begins"][-5:]) == (made.ticketid, "waiting", "09:00")
    page = html.fromstring(desk.post("/calendar", 200, doctor=DOCTOR).text)
    address = page.xpath("string(//input[@id='address']/@value)").partition("localhost")[2]
    calendar = Calendar.from_ical(stranger.get(address).get_data())
    event = next(one for one in calendar.walk("VEVENT") if made.ticketid in one["summary"])
    assert event.decoded("dtstart") == made.during.lower
    name = await value("select lastname from patient where patientid = 7")
    assert name not in stranger.get(address).text
    desk.post("/calendar/revoke", 303, doctor=DOCTOR)
    stranger.get(address, 404)
    visitor("doctor").post("/calendar", 403, doctor=DOCTOR)
    patient = visitor("patient")
    own = html.fromstring(patient.post("/calendar", 200).text).xpath("string(//input[@id='address']/@value)")
    assert "DEMO-001" in stranger.get(own.partition("localhost")[2]).text
