"""Booking, moving, cancelling, holding and the waiting list in any order, against a model that knows what is free."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from app.clinic import appointments, desk, local_time, slots, turns, waiting
from app.clinic.appointments import Wanted
from app.core.actor import Actor
from app.core.errors import Conflict, Invalid
from app.core.loop import loop_thread
from app.db.care import LIVE
from app.db.session import Session, dispose, reading, transaction
from tests.clinic.conftest import DOCTOR, OTHER, fill
from tests.days import MONDAY

TIMES = [time(9 + n // 2, 30 * (n % 2)) for n in range(6)]
PEOPLE = [Actor(-n, f"desk{n}", f"Desk {n}", frozenset({"staff"})) for n in (1, 2)]
DOCTORS, PATIENTS = (DOCTOR, OTHER), (1, 2, 3, 4, 5)
REFUSED = (Conflict, Invalid)
OVERLAPS = text(f"""select count(*) from appointment a join appointment b on a.id < b.id and a.during && b.during
    and (a.docid = b.docid or a.patientid = b.patientid)
    where {LIVE.replace("status", "a.status")} and {LIVE.replace("status", "b.status")}""")  # noqa: S608 - a constant
CLASHES = text(f"""select (select count(*) from slot_hold h join appointment a using (docid)
        where h.during && a.during and h.expires_at > dams_now() and {LIVE})
    + (select count(*) from slot_offer o join appointment a using (docid)
        where o.during && a.during and o.state = 'open' and {LIVE})
    + (select count(*) from slot_offer o join slot_hold h using (docid)
        where o.during && h.during and o.state = 'open' and h.expires_at > dams_now())""")  # noqa: S608 - a constant


def instant(at: time) -> datetime:
    return local_time.instant(MONDAY, at, field="time")


class Agenda(RuleBasedStateMachine):
    """The model: who has which slot, who holds which, who is offered which. The database must agree at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.booked: dict[str, tuple[str, int, time]] = {}
        self.held: dict[str, tuple[str, time]] = {}
        self.offered: dict[UUID, tuple[str, int, time]] = {}
        self.numbers = 0
        self._do(self._empty)

    async def _empty(self, session: Session) -> None:
        for table in ("slot_offer", "waiting_entry", "slot_hold", "appointment"):
            await session.execute(text(f"delete from {table}"))  # noqa: S608 - four names

    def _do(self, what: Any, *given: Any) -> Any:
        """Run one step in a transaction of its own; what is refused gives the error."""

        async def step() -> Any:
            async with transaction() as session:
                return await what(session, *given)

        try:
            return loop_thread.run(step())
        except REFUSED as error:
            return error

    def _taken(self, docid: str, at: time, person: Actor) -> bool:
        """Whether anybody but *person*'s own hold keeps this slot."""
        return (
            any(one[0] == docid and one[2] == at for one in self.booked.values())
            or any(who != person.username and one == (docid, at) for who, one in self.held.items())
            or any(one[0] == docid and one[2] == at for one in self.offered.values())
        )

    def _busy(self, patient: int, at: time, but: str = "") -> bool:
        return any(one[1] == patient and one[2] == at for ticket, one in self.booked.items() if ticket != but)

    @rule(person=st.sampled_from(PEOPLE), docid=st.sampled_from(DOCTORS), at=st.sampled_from(TIMES))
    def hold(self, person: Actor, docid: str, at: time) -> None:
        before = self.held.pop(person.username, None)
        free = not self._taken(docid, at, person)
        answer = self._do(desk.hold, person, docid, instant(at))
        assert isinstance(answer, slots.Hold) == free, answer
        if free:
            self.held[person.username] = (docid, at)
        elif before:
            self.held[person.username] = before  # the refusal undid the whole step

    @rule(
        person=st.sampled_from(PEOPLE),
        docid=st.sampled_from(DOCTORS),
        patient=st.sampled_from(PATIENTS),
        at=st.sampled_from(TIMES),
    )
    def book(self, person: Actor, docid: str, patient: int, at: time) -> None:
        self.numbers += 1
        ticket = f"M-{self.numbers}"
        free = not self._taken(docid, at, person) and not self._busy(patient, at)
        wanted = Wanted(ticket, patient, docid, 3, MONDAY, at, Decimal("0.50"))
        answer = self._do(desk.book, person, wanted)
        assert isinstance(answer, appointments.Appointment) == free, answer
        if free:
            self.booked[ticket] = (docid, patient, at)
            if self.held.get(person.username) == (docid, at):
                del self.held[person.username]

    @precondition(lambda self: self.booked)
    @rule(
        person=st.sampled_from(PEOPLE),
        data=st.data(),
        docid=st.sampled_from((None, *DOCTORS)),
        at=st.sampled_from(TIMES),
    )
    def move(self, person: Actor, data: st.DataObject, docid: str | None, at: time) -> None:
        """To another time, another doctor, or both; to where it is already changes nothing."""
        ticket = data.draw(st.sampled_from(sorted(self.booked)))
        former, patient, before = self.booked[ticket]
        to = docid or former
        stays = (former, before) == (to, at)
        free = stays or (not self._taken(to, at, person) and not self._busy(patient, at, ticket))
        answer = self._do(desk.move, person, ticket, None, instant(at), docid)
        assert isinstance(answer, tuple) == free, answer
        if free:
            self.booked[ticket] = (to, patient, at)
            if not stays and self.held.get(person.username) == (to, at):
                del self.held[person.username]

    @precondition(lambda self: self.booked)
    @rule(person=st.sampled_from(PEOPLE), data=st.data())
    def cancel(self, person: Actor, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.booked)))
        made = self._do(appointments.cancel, person, ticket, "because")
        assert made.status == "cancelled"
        del self.booked[ticket]

    @rule(patient=st.sampled_from(PATIENTS), docid=st.sampled_from(DOCTORS))
    def wait(self, patient: int, docid: str) -> None:
        wish = waiting.Wish(patient, docid, None, MONDAY, MONDAY)
        assert isinstance(self._do(waiting.join, PEOPLE[0], wish), int)

    @rule()
    def offer(self) -> None:
        for one in self._do(turns.offer_next, 200):
            at = one.begins.astimezone(local_time.zone()).time()
            assert not self._taken(one.docid, at, Actor(0, "", "", frozenset()))
            self.offered[one.id] = (one.docid, one.patientid, at)

    @precondition(lambda self: self.offered)
    @rule(data=st.data(), takes=st.booleans())
    def answer(self, data: st.DataObject, takes: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.offered)))
        docid, patient, at = self.offered[number]
        if not takes:
            self._do(waiting.decline, PEOPLE[0], number)
            del self.offered[number]
            return
        free = not self._busy(patient, at)
        answer = self._do(waiting.accept, PEOPLE[0], number)
        assert isinstance(answer, appointments.Appointment) == free, answer
        if free:
            del self.offered[number]
            self.booked[answer.ticketid] = (docid, patient, at)

    @invariant()
    def nobody_is_in_two_places(self) -> None:
        async def look() -> tuple[int, int, set[tuple[str, str]]]:
            async with reading() as session:
                live = await session.execute(text(f"select ticketid, docid from appointment where {LIVE}"))  # noqa: S608
                tickets = {(row.ticketid, row.docid) for row in live}
                return await session.scalar(OVERLAPS) or 0, await session.scalar(CLASHES) or 0, tickets

        overlaps, clashes, tickets = loop_thread.run(look())
        assert (overlaps, clashes) == (0, 0)
        assert tickets == {(ticket, docid) for ticket, (docid, _patient, _at) in self.booked.items()}


@pytest.fixture
def agenda(database_url: str) -> Iterator[None]:
    """Two doctors with six slots each on that Monday, and five patients; the examples run on a loop of their own."""

    async def prepare() -> None:
        async with transaction() as session:
            await fill(session)

    loop_thread.run(prepare())
    yield
    loop_thread.run(dispose())


def test_whatever_the_desk_does_nothing_is_given_twice(agenda: None) -> None:
    run_state_machine_as_test(
        Agenda,
        settings=hypothesis(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


def test_the_test_clock_frees_what_is_held_too_long(agenda: None) -> None:
    """Five minutes later nobody has to give anything back."""
    machine = Agenda()
    machine.hold(PEOPLE[0], DOCTOR, TIMES[0])

    async def later(session: Session) -> None:
        await session.execute(text("update slot_hold set expires_at = dams_now() - interval '1 second'"))

    machine._do(later)
    machine.held.clear()
    machine.hold(PEOPLE[1], DOCTOR, TIMES[0])
    assert slots.HOLD_MINUTES * timedelta(minutes=1) == timedelta(minutes=5)
