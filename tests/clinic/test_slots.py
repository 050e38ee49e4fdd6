"""Free slots: hours, opening hours, holidays, blocks, appointments, holds; and who gets one of two that want it."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.clinic import local_time, slots
from app.core.errors import Conflict, Invalid
from app.db.session import Session, transaction
from tests.clinic.conftest import DOCTOR, OTHER, fill, hours
from tests.days import MONDAY, sunday_of


def at(hour: int, minute: int = 0, day: date = MONDAY) -> datetime:
    return local_time.instant(day, time(hour, minute), field="time")


async def shown(session: Session, day: date = MONDAY) -> list[str]:
    return [
        f"{slot.begins.astimezone(local_time.zone()):%H:%M} {slot.state}"
        for slot in await slots.of_days(session, [DOCTOR], day)
    ]


async def block(session: Session, begins: datetime, ends: datetime) -> None:
    await session.execute(
        text("insert into doctor_block (docid, during, kind) values (:docid, tstzrange(:begins, :ends), 'leave')"),
        {"docid": DOCTOR, "begins": begins, "ends": ends},
    )


async def appointment(session: Session, begins: datetime, status: str = "booked", docid: str = DOCTOR) -> None:
    await session.execute(
        text("""insert into appointment (ticketid, patientid, docid, priority_level, date_scheduled, time_scheduled,
                    consult_hrs, during, status)
                values (:ticket, 1, :docid, 3, :day, :at, 0.5, tstzrange(:begins, :ends), :status)"""),
        {
            "ticket": uuid4().hex[:12],
            "docid": docid,
            "day": begins.date(),
            "at": begins.time(),
            "begins": begins,
            "ends": begins + timedelta(minutes=30),
            "status": status,
        },
    )


async def test_a_day_is_the_doctors_hours_in_slots(clinic: Session) -> None:
    assert await shown(clinic) == [f"{hour:02}:{minute:02} free" for hour in (9, 10, 11) for minute in (0, 30)]
    assert await shown(clinic, MONDAY + timedelta(days=1)) == []


async def test_what_is_taken_is_not_free_and_says_why(clinic: Session) -> None:
    await appointment(clinic, at(9))
    await appointment(clinic, at(9, 30), "cancelled")
    await block(clinic, at(10, 15), at(10, 45))
    await slots.hold(clinic, None, DOCTOR, at(11), instance_id=uuid4())
    assert await shown(clinic) == [
        "09:00 busy",
        "09:30 free",
        "10:00 busy-unavailable",
        "10:30 busy-unavailable",
        "11:00 busy-tentative",
        "11:30 free",
    ]


async def test_a_holiday_has_no_slots_and_closing_time_ends_the_day(clinic: Session) -> None:
    await clinic.execute(text("insert into holiday (day, name) values (:day, 'Founders day')"), {"day": MONDAY})
    assert await shown(clinic) == []
    await clinic.execute(text("update opening_hours set closes = time '10:30' where weekday = 0"))
    assert await shown(clinic, MONDAY + timedelta(days=7)) == ["09:00 free", "09:30 free", "10:00 free"]


async def test_hours_over_the_change_of_the_clock_lose_and_gain_an_hour(clinic: Session) -> None:
    spring, autumn = sunday_of(3, 2), sunday_of(11, 1)
    await clinic.execute(text("update opening_hours set opens = time '00:00' where weekday = 6"))
    await hours(clinic, DOCTOR, 6, time(1), time(4), 60)
    assert await shown(clinic, spring) == ["01:00 free", "03:00 free"]
    assert await shown(clinic, autumn) == ["01:00 free", "01:00 free", "02:00 free", "03:00 free"]


async def test_a_past_slot_cannot_be_had(clinic: Session) -> None:
    await clinic.execute(
        text("update service_clock set offset_seconds = :ahead"),
        {"ahead": int((at(10, 1) - datetime.now(UTC)).total_seconds())},
    )
    assert [line for line in await shown(clinic) if line.endswith("free")] == ["10:30 free", "11:00 free", "11:30 free"]


async def test_a_hold_ends_by_itself_and_a_second_one_of_the_same_form_moves_it(clinic: Session) -> None:
    form = uuid4()
    await slots.hold(clinic, None, DOCTOR, at(9), instance_id=form)
    await slots.hold(clinic, None, DOCTOR, at(9, 30), instance_id=form)
    assert (await shown(clinic))[:2] == ["09:00 free", "09:30 busy-tentative"]
    await clinic.execute(text("update slot_hold set expires_at = dams_now()"))
    assert (await shown(clinic))[1] == "09:30 free"


async def test_a_held_slot_is_refused_to_others_with_the_three_nearest(clinic: Session) -> None:
    await slots.hold(clinic, None, DOCTOR, at(10), instance_id=uuid4())
    with pytest.raises(Conflict, match=r"The nearest free times: .*09:00; .*09:30; .*10:30") as lost:
        await slots.hold(clinic, None, DOCTOR, at(10), instance_id=uuid4())
    assert lost.value.context["nearest"] == [moment.isoformat() for moment in (at(9), at(9, 30), at(10, 30))]
    with pytest.raises(slots.Taken):
        await slots.take(clinic, None, DOCTOR, at(10), at(10, 30), uuid4())


async def test_a_time_without_a_slot_is_refused_beside_its_field(clinic: Session) -> None:
    with pytest.raises(Invalid) as refused:
        await slots.hold(clinic, None, DOCTOR, at(9, 10), instance_id=uuid4())
    assert list(refused.value.errors) == ["time_scheduled"]


async def test_each_doctor_has_a_time_of_his_own(clinic: Session) -> None:
    await slots.hold(clinic, None, DOCTOR, at(9), instance_id=uuid4())
    held = await slots.hold(clinic, None, OTHER, at(9), instance_id=uuid4())
    assert held.docid == OTHER


async def test_of_many_who_want_one_slot_one_holds_it(database_url: str) -> None:
    async with transaction() as session:
        await fill(session)

    async def want() -> bool:
        try:
            async with transaction() as session:
                await slots.hold(session, None, DOCTOR, at(9), instance_id=uuid4())
        except Conflict:
            return False
        return True

    assert sum(await asyncio.gather(*(want() for _ in range(20)))) == 1
