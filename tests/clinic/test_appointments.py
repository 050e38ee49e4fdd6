"""Appointments: no double booking under races and random input, the clinic's clock, statuses and who may see what."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from sqlalchemy import text

from app.clinic import appointments
from app.clinic.appointments import Wanted
from app.core.actor import Actor
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.loop import loop_thread
from app.core.settings import settings
from app.db.session import dispose, reading, transaction
from tests.conftest import own_database

NOON = time(12)


def soon(days: int = 30) -> date:
    """A day far enough from both changes of the clock in New York."""
    day = datetime.now(UTC).date() + timedelta(days=days)
    return day if day.month not in (3, 11) else day + timedelta(days=32)


DAY = soon()
WANTED = Wanted("TK-1", 1, "HSP-200", 2, DAY, NOON, Decimal("0.50"))


@pytest.fixture
async def clinic(monkeypatch: pytest.MonkeyPatch, people_template: str, _settings: None) -> AsyncIterator[str]:
    """Doctors and patients of the demo, without its appointments."""
    async with own_database(monkeypatch, people_template) as url:
        yield url


async def book(wanted: Wanted, actor: Actor | None = None) -> appointments.Appointment:
    async with transaction() as session:
        return await appointments.book(session, actor, wanted)


async def errors_of(wanted: Wanted) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        await book(wanted)
    return caught.value.errors


async def person(username: str) -> Actor:
    async with reading() as session:
        row = (await session.execute(text("select id, roles from login where username = :n"), {"n": username})).one()
    return Actor(row.id, username, username, frozenset(row.roles))


async def rows() -> int:
    async with reading() as session:
        return await session.scalar(text("select count(*) from appointment")) or 0


async def test_a_booked_appointment_is_in_the_table_with_every_field(clinic: str) -> None:
    made = await book(WANTED)
    async with reading() as session:
        row = (await session.execute(text("select * from appointment"))).one()
        kinds = [r.kind for r in await session.execute(text("select kind from case_event where kind ~ '^appointment'"))]
    assert (row.ticketid, row.patientid, row.docid, row.priority_level) == ("TK-1", 1, "HSP-200", 2)
    assert (row.date_scheduled, row.time_scheduled, row.consult_hrs) == (DAY, NOON, Decimal("0.50"))
    assert (row.status, row.during.lower, row.during.upper) == ("booked", made.begins, made.ends)
    assert made.ends - made.begins == timedelta(minutes=30)
    assert made.begins.astimezone(UTC).hour in (16, 17)  # noon in New York
    assert kinds == ["appointment.booked"]


async def test_a_ticket_is_used_once_even_after_it_was_cancelled(clinic: str) -> None:
    await book(WANTED)
    async with transaction() as session:
        await appointments.cancel(session, None, "TK-1", "patient asked")
    with pytest.raises(Conflict, match="used before"):
        await book(replace(WANTED, date_scheduled=DAY + timedelta(days=1)))


async def test_a_taken_slot_is_refused_for_the_doctor_and_for_the_patient(clinic: str) -> None:
    await book(WANTED)
    with pytest.raises(Conflict, match="HSP-200 is not free"):
        await book(replace(WANTED, ticketid="TK-2", patientid=2, time_scheduled=time(12, 29)))
    with pytest.raises(Conflict, match="patient has another"):
        await book(replace(WANTED, ticketid="TK-3", docid="HSP-201", time_scheduled=time(11, 31)))
    assert await rows() == 1


async def test_one_may_begin_when_another_ends(clinic: str) -> None:
    await book(WANTED)
    await book(replace(WANTED, ticketid="TK-2", time_scheduled=time(12, 30)))
    await book(replace(WANTED, ticketid="TK-3", time_scheduled=time(11, 30)))
    assert await rows() == 3


async def test_a_cancelled_appointment_frees_its_time_and_keeps_the_reason(clinic: str) -> None:
    await book(WANTED)
    async with transaction() as session:
        gone = await appointments.cancel(session, None, "TK-1", "  the doctor is ill ")
        again = await appointments.cancel(session, None, "TK-1", "said twice")
    assert (gone.status, gone.remarks) == ("cancelled", "the doctor is ill")
    assert again.remarks == "the doctor is ill"
    await book(replace(WANTED, ticketid="TK-2"))


async def test_cancelling_needs_a_reason(clinic: str) -> None:
    await book(WANTED)
    async with transaction() as session:
        for reason in ("", "  ", "x" * 501):
            with pytest.raises(Invalid):
                await appointments.cancel(session, None, "TK-1", reason)


async def test_every_wrong_field_is_named_at_once(clinic: str) -> None:
    errors = await errors_of(Wanted(" T", 999, "HSP-999", 9, date(2020, 1, 2), NOON, Decimal("99")))
    assert set(errors) == {"ticketid", "patientid", "docid", "priority_level", "date_scheduled", "consult_hrs"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ticketid", ""),
        ("ticketid", "x" * 21),
        ("ticketid", "a\nb"),
        ("priority_level", 0),
        ("priority_level", 6),
        ("consult_hrs", Decimal("0.04")),
        ("consult_hrs", Decimal("0.505")),
        ("consult_hrs", Decimal("NaN")),
        ("consult_hrs", Decimal("Infinity")),
        ("patientid", 2**40),
        ("docid", "HSP-9'; --"),
        ("date_scheduled", date(9999, 12, 31)),
    ],
)
async def test_a_value_that_cannot_be_is_refused_on_its_field(clinic: str, field: str, value: Any) -> None:
    assert set(await errors_of(replace(WANTED, **{field: value}))) == {field}
    assert await rows() == 0


async def test_a_doctor_who_no_longer_works_here_sees_nobody(clinic: str) -> None:
    async with transaction() as session:
        await session.execute(text("update doctor set status = false where empid = 'HSP-200'"))
    assert "docid" in await errors_of(WANTED)


async def test_an_hour_earlier_today_is_past(clinic: str) -> None:
    async with transaction() as session:
        await session.execute(
            text("update service_clock set offset_seconds = extract(epoch from cast(:to as timestamptz) - now())"),
            {"to": datetime.combine(DAY, NOON, tzinfo=UTC) + timedelta(hours=6)},
        )
    assert set(await errors_of(WANTED)) == {"time_scheduled"}
    await book(replace(WANTED, time_scheduled=time(18)))


def clock_change(month: int) -> date:
    """The Sunday on which New York's clocks change: the second of March, the first of November."""
    today = datetime.now(UTC).date()
    year = today.year + (today.month >= month)
    sundays = [date(year, month, day) for day in range(1, 15) if date(year, month, day).weekday() == 6]
    return sundays[1] if month == 3 else sundays[0]


async def test_a_local_time_that_does_not_exist_is_refused_on_its_field(clinic: str) -> None:
    errors = await errors_of(replace(WANTED, date_scheduled=clock_change(3), time_scheduled=time(2, 30)))
    assert set(errors) == {"time_scheduled"}
    assert "does not exist" in errors["time_scheduled"]


async def test_a_local_time_that_comes_twice_is_asked_about_and_both_can_be_booked(clinic: str) -> None:
    twice = replace(WANTED, date_scheduled=clock_change(11), time_scheduled=time(1, 30))
    assert "twice" in (await errors_of(twice))["time_scheduled"]
    first = await book(replace(twice, fold=0))
    second = await book(replace(twice, ticketid="TK-2", fold=1))
    assert second.begins - first.begins == timedelta(hours=1)


async def test_moving_frees_the_old_time_and_takes_the_new_one(clinic: str) -> None:
    await book(WANTED)
    await book(replace(WANTED, ticketid="TK-2", time_scheduled=time(14)))
    async with transaction() as session:
        with pytest.raises(Conflict, match="not free"):
            await appointments.reschedule(session, None, "TK-1", DAY, time(14, 15))
        moved = await appointments.reschedule(session, None, "TK-1", DAY, time(15))
        same = await appointments.reschedule(session, None, "TK-1", DAY, time(15))
    assert moved == same
    assert moved.time_scheduled == time(15)
    await book(replace(WANTED, ticketid="TK-3"))
    async with reading() as session:
        told = await session.scalar(text("select count(*) from case_event where kind = 'appointment.rescheduled'"))
    assert told == 1


async def test_it_may_be_moved_within_its_own_time(clinic: str) -> None:
    await book(WANTED)
    async with transaction() as session:
        moved = await appointments.reschedule(session, None, "TK-1", DAY, time(12, 10))
    assert moved.time_scheduled == time(12, 10)


STEPS = {
    "cancel": lambda s, t: appointments.cancel(s, None, t, "asked for"),
    "check_in": lambda s, t: appointments.check_in(s, None, t),
    "no_show": lambda s, t: appointments.no_show(s, None, t),
    "fulfil": lambda s, t: appointments.fulfil(s, None, t),
    "move": lambda s, t: appointments.reschedule(s, None, t, DAY + timedelta(days=2), NOON),
}


class Undone(Exception):
    """Rolls a step back."""


@pytest.mark.parametrize(
    ("before", "allowed"),
    [
        ("booked", {"cancel", "check_in", "no_show", "fulfil", "move"}),
        ("checked-in", {"cancel", "fulfil"}),
        ("fulfilled", set()),
        ("cancelled", set()),
        ("noshow", set()),
    ],
)
async def test_a_status_may_only_be_followed_by_what_makes_sense(clinic: str, before: str, allowed: set[str]) -> None:
    await book(WANTED)
    async with transaction() as session:
        await session.execute(text("update appointment set status = :s"), {"s": before})
    possible: set[str] = set()
    for name, step in STEPS.items():
        with contextlib.suppress(Undone, Conflict):
            async with transaction() as session:
                if name == "no_show":
                    await session.execute(
                        text("update appointment set during = tstzrange(now() - interval '1 h', now())")
                    )
                after = await step(session, "TK-1")
                if after.status != before or name == "move":
                    possible.add(name)
                raise Undone
    assert possible == allowed


async def test_nobody_misses_an_appointment_before_its_time(clinic: str) -> None:
    await book(WANTED)
    async with transaction() as session:
        with pytest.raises(Conflict, match="not begun"):
            await appointments.no_show(session, None, "TK-1")


async def test_a_patient_books_and_sees_nobody_else(clinic: str) -> None:
    patient = await person("patient")
    await book(WANTED, patient)
    with pytest.raises(Forbidden):
        await book(replace(WANTED, ticketid="TK-2", patientid=2, time_scheduled=time(15)), patient)
    other = await book(replace(WANTED, ticketid="TK-3", patientid=2, time_scheduled=time(16)), await person("staff"))
    async with reading() as session:
        assert (await appointments.details(session, patient, "TK-1")).ticketid == "TK-1"
        for actor, ticket in ((patient, other.ticketid), (patient, "TK-9"), (None, "TK-9")):
            with pytest.raises(NotFound):
                await appointments.details(session, actor, ticket)


async def racing(one: Callable[[int], Awaitable[bool]]) -> list[bool]:
    """Two hundred of them, as many at once as there are connections."""
    lanes = asyncio.Semaphore(settings().database.pool_size)

    async def queued(number: int) -> bool:
        async with lanes:
            return await one(number)

    return await asyncio.gather(*(queued(number) for number in range(200)))


async def test_of_two_hundred_who_want_the_same_slot_one_gets_it(clinic: str) -> None:
    async def one(number: int) -> bool:
        try:
            await book(replace(WANTED, ticketid=f"TK-{number}", patientid=1 + number % 40))
        except Conflict:
            return False
        return True

    assert sum(await racing(one)) == 1
    assert await rows() == 1


async def test_of_two_hundred_who_use_the_same_ticket_one_gets_it(clinic: str) -> None:
    async def one(number: int) -> bool:
        wanted = replace(WANTED, docid=f"HSP-{200 + number % 14}", patientid=1 + number % 40)
        try:
            await book(replace(wanted, time_scheduled=time(8 + number % 9, 30 * (number % 2))))
        except Conflict:
            return False
        return True

    assert sum(await racing(one)) == 1


MINUTE = st.integers(0, 23 * 4).map(lambda quarter: time(quarter // 4, 15 * (quarter % 4)))
BOOKINGS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(200, 202), MINUTE, st.sampled_from(["0.25", "0.50", "0.75", "2"])),
    min_size=2,
    max_size=25,
)
OVERLAPS = text("""
    select count(*) from appointment a join appointment b on a.id < b.id and a.during && b.during
     and (a.docid = b.docid or a.patientid = b.patientid)
     and a.status not in ('cancelled', 'noshow', 'fulfilled') and b.status not in ('cancelled', 'noshow', 'fulfilled')
""")


@pytest.mark.usefixtures("loop_of_examples")
@given(BOOKINGS, st.sets(st.integers(0, 24)))
@hypothesis(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_booked_moved_and_cancelled_at_once_no_two_overlap(
    wishes: list[tuple[int, int, time, str]], called_off: set[int]
) -> None:
    async def run() -> tuple[int, int]:
        async with transaction() as session:
            await session.execute(text("delete from appointment"))

        async def one(number: int, wish: tuple[int, int, time, str]) -> bool:
            patient, doctor, at, hours = wish
            wanted = Wanted(f"T{number}", patient, f"HSP-{doctor}", 1, DAY, at, Decimal(hours))
            try:
                async with transaction() as session:
                    await appointments.book(session, None, wanted)
                if number in called_off:
                    async with transaction() as session:
                        await appointments.cancel(session, None, f"T{number}", "random")
                elif number % 3 == 0:
                    async with transaction() as session:
                        await appointments.reschedule(session, None, f"T{number}", DAY, time(at.hour, 5))
            except Conflict:
                return False
            return True

        await asyncio.gather(*(one(number, wish) for number, wish in enumerate(wishes)))
        async with reading() as session:
            return await session.scalar(OVERLAPS) or 0, await session.scalar(
                text("select count(*) from appointment")
            ) or 0

    overlaps, booked = loop_thread.run(run())
    assert overlaps == 0
    assert booked >= 1


@pytest.fixture
def loop_of_examples(clinic: str) -> Iterator[None]:
    """Hypothesis calls a plain function, so its examples run on a loop of their own."""
    yield
    loop_thread.run(dispose())
