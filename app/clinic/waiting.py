"""The waiting list: who wants an earlier slot is offered the first free one that suits, for a limited time, one by one.

Who is offered what is decided in :mod:`app.clinic.turns`. An open offer keeps its slot from everybody else; the table's
constraints let no slot be offered twice.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from app.clinic import appointments, audit, local_time
from app.core.actor import Actor
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.db.session import Session

LONGEST = timedelta(days=180)
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without 0 O 1 I: tickets are read out on the telephone."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a patient waits for: a doctor, or any of a specialization, on a day from `earliest` to `latest`."""

    patientid: int
    docid: str | None
    specialization: str | None
    earliest: date
    latest: date
    priority_level: int = 3
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A slot that one patient may take until `expires_at`."""

    id: UUID
    entry_id: int
    patientid: int
    username: str
    docid: str
    begins: datetime
    ends: datetime
    expires_at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody on the list, and the offer that is open to them now."""

    id: int
    patientid: int
    patient: str
    wish: str
    earliest: date
    latest: date
    priority_level: int
    replaces: str | None
    created_at: datetime
    offer: UUID | None
    offered: datetime | None
    offered_by: str | None
    until: datetime | None


async def join(session: Session, actor: Actor, wish: Wish) -> int:
    """Put a patient on the list; the entry's number.

    Raises:
        Invalid: a sentence per field.
        Forbidden: a patient asks for somebody else.
    """
    today = (await _now(session)).astimezone(local_time.zone()).date()
    errors = _errors(wish, today)
    patient = (
        await session.execute(text("select username from patient where patientid = :id"), {"id": wish.patientid})
    ).first()
    if patient is None:
        errors["patientid"] = "There is no patient of this number."
    elif not actor.has(*appointments.DESK) and patient.username != actor.username:
        raise Forbidden("You can join the waiting list for yourself only.")
    errors |= await _unknown(session, wish)
    if errors:
        raise Invalid(errors)
    entry: int = (
        await session.execute(
            text("""insert into waiting_entry (patientid, docid, specialization, earliest, latest, priority_level,
                        replaces)
                    values (:patientid, :docid, :specialization, :earliest, :latest, :priority_level, :replaces)
                    returning id"""),
            {name: getattr(wish, name) for name in Wish.__slots__},
        )
    ).scalar_one()
    await audit.record(session, "waiting.joined", actor_id=actor.id, data={"entry": entry})
    return entry


async def withdraw(session: Session, actor: Actor, entry_id: int) -> None:
    """Take a patient off the list; an open offer is free for the next. Raises :class:`NotFound`."""
    row = await _entry(session, actor, entry_id)
    if row.state != "waiting":
        return
    await session.execute(text("update waiting_entry set state = 'withdrawn' where id = :id"), {"id": entry_id})
    await session.execute(
        text("""update slot_offer set state = 'declined', answered_at = dams_now()
                where entry_id = :id and state = 'open'"""),
        {"id": entry_id},
    )
    await audit.record(session, "waiting.withdrawn", actor_id=actor.id, data={"entry": entry_id})


async def accept(session: Session, actor: Actor, offer_id: UUID) -> appointments.Appointment:
    """Book the offered slot and call off the appointment that it replaces.

    Raises:
        NotFound: no such offer for this person.
        Conflict: its time is over, or it was answered before.
    """
    offer = await _open(session, actor, offer_id)
    await _answer(session, actor, offer, "taken")
    entry = (
        await session.execute(
            text("""update waiting_entry set state = 'booked' where id = :id
                    returning priority_level, replaces"""),
            {"id": offer.entry_id},
        )
    ).one()
    if entry.replaces:
        await appointments.cancel(session, actor, entry.replaces, "An earlier time was taken from the waiting list.")
    local = offer.begins.astimezone(local_time.zone())
    wanted = appointments.Wanted(
        ticket(),
        offer.patientid,
        offer.docid,
        entry.priority_level,
        local.date(),
        local.time(),
        appointments.hours_of(offer.ends - offer.begins),
        local.fold,
        offer.ends - offer.begins,
    )
    return await appointments.book(session, actor, wanted)


async def decline(session: Session, actor: Actor, offer_id: UUID) -> None:
    """The patient does not want this slot and goes on waiting. Raises :class:`NotFound` and :class:`Conflict`."""
    await _answer(session, actor, await _open(session, actor, offer_id), "declined")


async def offers(session: Session, actor: Actor) -> list[Offer]:
    """The open offers to this person, or all of them for the desk."""
    rows = await session.execute(
        text(f"""{_OFFER} where o.state = 'open' and o.expires_at > dams_now() and (:desk or p.username = :name)
                 order by o.expires_at"""),
        {"desk": actor.has(*appointments.DESK), "name": actor.username},
    )
    return [_record(row) for row in rows]


async def entries(session: Session, actor: Actor, *, skip: int = 0, limit: int = 50) -> list[Entry]:
    """Who waits, in the order in which they are asked: everybody for the desk, one's own for a patient."""
    rows = await session.execute(
        text("""select w.id, w.patientid, concat_ws(' ', p.firstname, p.lastname) as patient,
                       coalesce('Dr. ' || d.firstname || ' ' || d.lastname, w.specialization) as wish,
                       w.earliest, w.latest, w.priority_level, w.replaces, w.created_at, o.id as offer,
                       lower(o.during) as offered, 'Dr. ' || e.firstname || ' ' || e.lastname as offered_by,
                       o.expires_at as until
                from waiting_entry w join patient p using (patientid) left join doctor d on d.empid = w.docid
                     left join slot_offer o on o.entry_id = w.id and o.state = 'open' and o.expires_at > dams_now()
                     left join doctor e on e.empid = o.docid
                where w.state = 'waiting' and w.latest >= (dams_now() at time zone :zone)::date
                      and (:desk or p.username = :name)
                order by w.priority_level, w.id offset :skip limit :limit"""),
        {"desk": actor.has(*appointments.DESK), "name": actor.username, "zone": local_time.zone().key}
        | {"skip": skip, "limit": limit},
    )
    return [Entry(**row) for row in rows.mappings()]


async def offer(session: Session, offer_id: UUID) -> Offer:
    """One offer, whatever became of it."""
    return _record((await session.execute(text(f"{_OFFER} where o.id = :id"), {"id": offer_id})).one())


async def replaced(session: Session, offer_id: UUID) -> str | None:
    """The ticket of the appointment that is given up for this offer."""
    sql = text("select replaces from waiting_entry w join slot_offer o on o.entry_id = w.id where o.id = :id")
    return await session.scalar(sql, {"id": offer_id})


async def count(session: Session) -> int:
    """How many wait."""
    return await session.scalar(text("select count(*) from waiting_entry where state = 'waiting'")) or 0


def ticket(prefix: str = "T") -> str:
    """A new ticket, e.g. ``T-7KQ4M2XB``; the unique constraint of the table is what keeps two from being equal."""
    return f"{prefix}-{''.join(secrets.choice(ALPHABET) for _ in range(8))}"


_OFFER = """
    select o.id, o.entry_id, w.patientid, p.username, o.docid, lower(o.during) as begins, upper(o.during) as ends,
           o.expires_at, o.state
    from slot_offer o join waiting_entry w on w.id = o.entry_id join patient p on p.patientid = w.patientid
"""


def _record(row: Row[Any]) -> Offer:
    return Offer(**{name: getattr(row, name) for name in Offer.__slots__})


def _errors(wish: Wish, today: date) -> dict[str, str]:
    errors: dict[str, str] = {}
    if not 1 <= wish.priority_level <= 5:
        errors["priority_level"] = "From 1 to 5."
    if wish.latest < today:
        errors["latest"] = "This day is past."
    elif wish.latest < wish.earliest:
        errors["latest"] = "The last day comes before the first."
    elif wish.latest > today + LONGEST:
        errors["latest"] = f"At most {LONGEST.days} days ahead."
    if not wish.docid and not wish.specialization:
        errors["docid"] = "Choose a doctor or a specialization."
    return errors


async def _unknown(session: Session, wish: Wish) -> dict[str, str]:
    row = (
        await session.execute(
            text("""select exists(select from doctor where empid = :docid and status) as doctor,
                           exists(select from doctor where specialization = :specialization and status) as trade,
                           exists(select from appointment where ticketid = :replaces and patientid = :patientid)
                               as replaced"""),
            {
                "docid": wish.docid,
                "specialization": wish.specialization,
                "replaces": wish.replaces,
                "patientid": wish.patientid,
            },
        )
    ).one()
    errors: dict[str, str] = {}
    if wish.docid and not row.doctor:
        errors["docid"] = "There is no doctor of this number who sees patients."
    if wish.specialization and not row.trade:
        errors["specialization"] = "No doctor of this specialization sees patients."
    if wish.replaces and not row.replaced:
        errors["replaces"] = "The patient has no appointment of this ticket."
    return errors


async def _open(session: Session, actor: Actor, offer_id: UUID) -> Offer:
    row = (await session.execute(text(f"{_OFFER} where o.id = :id for update of o, w"), {"id": offer_id})).first()
    if row is None or (not actor.has(*appointments.DESK) and row.username != actor.username):
        raise NotFound("There is no such offer for you.")
    if row.state != "open" or row.expires_at <= await _now(session):
        state = "over" if row.state == "open" else row.state
        raise Conflict(f"This offer is {state}; you stay on the waiting list.", state=state)
    return _record(row)


async def _answer(session: Session, actor: Actor, offer: Offer, state: str) -> None:
    await session.execute(
        text("update slot_offer set state = :state, answered_at = dams_now() where id = :id"),
        {"state": state, "id": offer.id},
    )
    data = {"entry": offer.entry_id, "offer": str(offer.id)}
    await audit.record(session, f"waiting.{state}", actor_id=actor.id, data=data)


async def _entry(session: Session, actor: Actor, entry_id: int) -> Row[Any]:
    row = (
        await session.execute(
            text("""select w.state, p.username from waiting_entry w join patient p using (patientid)
                    where w.id = :id for update of w"""),
            {"id": entry_id},
        )
    ).first()
    if row is None or (not actor.has(*appointments.DESK) and row.username != actor.username):
        raise NotFound("There is no such entry of the waiting list for you.")
    return row


async def _now(session: Session) -> datetime:
    return (await session.execute(text("select dams_now()"))).scalar_one()
