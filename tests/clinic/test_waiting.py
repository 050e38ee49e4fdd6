"""The waiting list: one offer at a time, in order, for a limited time; taken once; what it replaces is freed."""

from __future__ import annotations

import asyncio
from datetime import date, time, timedelta

import pytest
from sqlalchemy import event, text

from app.clinic import appointments, local_time, slots, turns, waiting
from app.clinic.waiting import Offer, Wish
from app.core.actor import Actor
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.db.session import Session, transaction
from tests.clinic.conftest import DOCTOR, fill
from tests.days import MONDAY

DESK = Actor(0, "desk", "Desk", frozenset({"staff"}))


async def actor(session: Session, username: str) -> Actor:
    number = await session.scalar(text("select id from login where username = :name"), {"name": username})
    return Actor(number, username, username, frozenset({"patient"}))


async def only_slots(session: Session, count: int) -> None:
    """Leave the doctor *count* slots on that Monday, from nine on."""
    await session.execute(
        text("update doctor_hours set ends = :ends"), {"ends": time(9 + count // 2, 30 * (count % 2))}
    )


def wish(patientid: int, **further: object) -> Wish:
    given = {"docid": DOCTOR, "specialization": None, "earliest": MONDAY, "latest": MONDAY} | further
    return Wish(patientid, **given)  # pyright: ignore[reportArgumentType]


async def join(session: Session, *patients: int) -> list[int]:
    return [await waiting.join(session, DESK, wish(number)) for number in patients]


def patients(offers: list[Offer]) -> list[int]:
    return [offer.patientid for offer in offers]


async def test_one_slot_is_offered_to_one_patient_at_a_time(clinic: Session) -> None:
    await only_slots(clinic, 1)
    await join(clinic, 1, 2)
    assert patients(await turns.offer_next(clinic)) == [1]
    assert await turns.offer_next(clinic) == []


async def test_a_turn_asks_once_for_a_doctor_however_many_wait(clinic: Session) -> None:
    await only_slots(clinic, 2)
    for _ in range(20):
        await join(clinic, 1, 2, 3, 4, 5)
    asked: list[str] = []

    def count(_connection: object, _cursor: object, sql: str, *_rest: object) -> None:
        asked.append(sql)

    event.listen(clinic.sync_connection, "before_cursor_execute", count)
    made = await turns.offer_next(clinic, 200)
    event.remove(clinic.sync_connection, "before_cursor_execute", count)
    assert patients(made) == [1, 2]
    assert sum("from doctor_hours" in sql for sql in asked) == 1 + len(made)  # once, and once more before each offer
    assert len(asked) < 40


async def test_the_first_slot_in_a_far_month_is_offered(clinic: Session) -> None:
    """Days are read in stretches; the wish may lie in any of them."""
    today = await slots.today(clinic)
    far = next(day for n in range(130, 180) if (day := today + timedelta(days=n)).weekday() == 0)
    await clinic.execute(text("update doctor_hours set valid_from = :day"), {"day": far})
    await waiting.join(clinic, DESK, wish(1, earliest=today, latest=far))
    (offer,) = await turns.offer_next(clinic)
    assert offer.begins.astimezone(local_time.zone()).date() == far


async def test_a_slot_that_the_desk_holds_is_not_offered(clinic: Session) -> None:
    await only_slots(clinic, 1)
    await join(clinic, 1)
    await slots.hold(clinic, DESK, DOCTOR, local_time.instant(MONDAY, time(9), field="time"))
    assert await turns.offer_next(clinic) == []
    await clinic.execute(text("delete from slot_hold"))
    assert patients(await turns.offer_next(clinic)) == [1]


async def test_a_more_urgent_patient_is_asked_first(clinic: Session) -> None:
    await only_slots(clinic, 1)
    await waiting.join(clinic, DESK, wish(1))
    await waiting.join(clinic, DESK, wish(2, priority_level=1))
    assert patients(await turns.offer_next(clinic)) == [2]


async def test_an_offer_whose_time_is_over_goes_to_the_next_and_cannot_be_taken(clinic: Session) -> None:
    await only_slots(clinic, 1)
    await join(clinic, 1, 2)
    (first,) = await turns.offer_next(clinic)
    await clinic.execute(text("update slot_offer set expires_at = dams_now()"))
    with pytest.raises(Conflict, match="over"):
        await waiting.accept(clinic, await actor(clinic, "pat1"), first.id)
    assert patients(await turns.offer_next(clinic)) == [2]


async def test_a_declined_slot_is_not_offered_to_the_same_patient_again(clinic: Session) -> None:
    await only_slots(clinic, 1)
    await join(clinic, 1)
    (offer,) = await turns.offer_next(clinic)
    await waiting.decline(clinic, await actor(clinic, "pat1"), offer.id)
    assert await turns.offer_next(clinic) == []


async def test_taking_an_offer_books_it_and_calls_off_the_later_appointment(clinic: Session) -> None:
    await clinic.execute(text("update doctor_hours set slot_minutes = 20"))
    patient = await actor(clinic, "pat1")
    later = appointments.Wanted(
        "LATE-1", 1, DOCTOR, 3, MONDAY + timedelta(days=7), time(9), appointments.hours_of(timedelta(minutes=20))
    )
    await appointments.book(clinic, DESK, later)
    await waiting.join(clinic, patient, wish(1, replaces="LATE-1"))
    (offer,) = await turns.offer_next(clinic)
    made = await waiting.accept(clinic, patient, offer.id)
    assert (made.begins, made.ends) == (offer.begins, offer.begins + timedelta(minutes=20))
    assert (await appointments.details(clinic, DESK, "LATE-1")).status == "cancelled"
    assert await waiting.offers(clinic, patient) == []
    with pytest.raises(Conflict, match="taken"):
        await waiting.accept(clinic, patient, offer.id)


async def test_an_offered_slot_is_refused_to_others_until_the_offer_ends(clinic: Session) -> None:
    await only_slots(clinic, 1)
    await join(clinic, 1)
    (offer,) = await turns.offer_next(clinic)
    local = offer.begins.astimezone(local_time.zone())
    wanted = appointments.Wanted(
        "T-1", 2, DOCTOR, 3, local.date(), local.time(), appointments.hours_of(timedelta(minutes=30))
    )
    with pytest.raises(Conflict):
        await appointments.book(clinic, DESK, wanted)
    await waiting.withdraw(clinic, DESK, offer.entry_id)
    await appointments.book(clinic, DESK, wanted)


async def test_nobody_answers_for_somebody_else(clinic: Session) -> None:
    await join(clinic, 1)
    (offer,) = await turns.offer_next(clinic)
    other = await actor(clinic, "pat2")
    with pytest.raises(NotFound):
        await waiting.accept(clinic, other, offer.id)
    with pytest.raises(NotFound):
        await waiting.withdraw(clinic, other, offer.entry_id)
    with pytest.raises(Forbidden):
        await waiting.join(clinic, other, wish(1))


@pytest.mark.parametrize(
    ("further", "field"),
    [
        ({"docid": None}, "docid"),
        ({"docid": "HSP-000"}, "docid"),
        ({"docid": None, "specialization": "Alchemy"}, "specialization"),
        ({"latest": date(2020, 1, 1)}, "latest"),
        ({"earliest": MONDAY + timedelta(days=1)}, "latest"),
        ({"priority_level": 9}, "priority_level"),
        ({"replaces": "NOT-1"}, "replaces"),
    ],
)
async def test_a_wish_that_cannot_be_is_refused_on_its_field(
    clinic: Session, further: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await waiting.join(clinic, DESK, wish(1, **further))
    assert list(refused.value.errors) == [field]


async def test_two_relays_and_two_takers_at_once_give_a_slot_to_one(database_url: str) -> None:
    async with transaction() as session:
        await fill(session)
        await only_slots(session, 1)
        await join(session, 1, 2, 3)
        patient = await actor(session, "pat1")

    async def tick() -> list[Offer]:
        async with transaction() as session:
            return await turns.offer_next(session)

    made = [offer for found in await asyncio.gather(*(tick() for _ in range(4))) for offer in found]
    assert len(made) == 1
    assert made[0].patientid in (1, 2, 3)

    async def take() -> bool:
        try:
            async with transaction() as session:
                await waiting.accept(session, DESK, made[0].id)
        except Conflict:
            return False
        return True

    assert sum(await asyncio.gather(*(take() for _ in range(4)))) == 1
    async with transaction() as session:
        assert await session.scalar(text("select count(*) from appointment")) == 1
        assert await waiting.offers(session, patient) == []
