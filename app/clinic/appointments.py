"""Appointments: book, reschedule, cancel, arrive, check in, no-show, fulfil, reopen. Statuses are those of FHIR R4.

The exclusion constraints of the table are what stops double booking; these functions turn a refusal into a sentence.
A person acts as :class:`Actor`. An engine acts with None and says *by* which account it was asked before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError

from app.clinic import audit, local_time, slots
from app.core.actor import Actor
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.db.session import Session

MOVABLE = ("proposed", "pending", "booked", "waitlist")
"""Statuses from which an appointment can still be moved, or missed."""
PRESENT = ("arrived", "checked-in")
OVER = ("fulfilled", "cancelled", "noshow", "entered-in-error")
HOURS = (Decimal("0.05"), Decimal(12))
FARTHEST = timedelta(days=366 * 2)
TICKET_LENGTH = 20
DESK = ("doctor", "staff", "admin")
OVERBOOKING = "overbooking"
"""The group whose members may put one appointment on top of another."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An appointment as it is asked for: the clinic's wall clock, and which of two equal times (0 first, 1 second)."""

    ticketid: str
    patientid: int
    docid: str
    priority_level: int
    date_scheduled: date
    time_scheduled: time
    consult_hrs: Decimal
    fold: int | None = None
    length: timedelta | None = None
    """The exact length where hundredths of an hour cannot say it, as with a slot of 20 minutes."""
    overbooked: str | None = None
    """Why it is put on top of another appointment of the doctor; see :func:`may_overbook`."""


@dataclass(frozen=True, slots=True)
class Appointment:
    """One row of `appointment`. `begins` and `ends` are instants (UTC), the end outside the range."""

    ticketid: str
    patientid: int
    docid: str
    priority_level: int
    date_scheduled: date
    time_scheduled: time
    consult_hrs: Decimal
    begins: datetime
    ends: datetime
    status: str
    remarks: str
    overbooked: str | None
    version: int


_COLUMNS = """a.ticketid, a.patientid, a.docid, a.priority_level, a.date_scheduled, a.time_scheduled, a.consult_hrs,
              lower(a.during) as begins, upper(a.during) as ends, a.status, a.remarks, a.overbooked, a.version"""
_BOOK = text("""
    insert into appointment (ticketid, patientid, docid, priority_level, date_scheduled, time_scheduled, consult_hrs,
                             during, status, instance_id, overbooked, changed_by)
    values (:ticketid, :patientid, :docid, :priority_level, :date_scheduled, :time_scheduled, :consult_hrs,
            tstzrange(:begins, :ends), 'booked', :instance_id, :overbooked, :by)
""")
_MOVE = text("""
    update appointment set docid = :docid, during = tstzrange(:begins, :ends), date_scheduled = :day,
        time_scheduled = :at, consult_hrs = :hours, overbooked = null, version = version + 1,
        changed_at = dams_now(), changed_by = :by
    where ticketid = :ticketid
""")
_CASE = "(select i.case_no from instance i where i.id = a.instance_id)"


async def book(
    session: Session,
    actor: Actor | None,
    wanted: Wanted,
    *,
    by: int | None = None,
    instance_id: UUID | None = None,
) -> Appointment:
    """Make an appointment; it is `booked`.

    Raises:
        Invalid: a sentence per field: unknown doctor or patient, a time that is past, does not exist or comes twice.
        Conflict: the ticket was used before, or the doctor or the patient is not free then.
        Forbidden: a patient books for somebody else, or somebody without the right overbooks.
    """
    try:
        async with session.begin_nested():  # its end gives the doctor free before a refused one looks for other times
            begins, ends = await check(session, actor, wanted, lock=True)
            if wanted.overbooked is None:
                await slots.take(session, actor, wanted.docid, begins, ends, instance_id)
            given = {"begins": begins, "ends": ends, "instance_id": instance_id, "by": actor.id if actor else by}
            await session.execute(_BOOK, _values(wanted) | given)
    except (IntegrityError, slots.Taken) as error:
        raise await _refusal(session, error, wanted) from error
    return await _told(session, actor, by, wanted.ticketid, "booked")


async def check(
    session: Session, actor: Actor | None, wanted: Wanted, *, lock: bool = False
) -> tuple[datetime, datetime]:
    """The instants of what is wanted. With *lock* nobody else books this doctor or this patient in the meantime.

    Raises :class:`Invalid` and :class:`Forbidden` as :func:`book` does; whether the time is free it does not say.
    """
    errors = _field_errors(wanted)
    known = await _parties(session, wanted, "for no key update" if lock else "")
    if not known.doctor:
        errors["docid"] = "There is no doctor of this number who sees patients."
    if not known.patient:
        errors["patientid"] = "There is no patient of this number."
    elif actor is not None and not actor.has(*DESK) and known.username != actor.username:
        raise Forbidden("You can make appointments for yourself only.")
    if wanted.overbooked is not None and not may_overbook(actor, known.seen_by):
        raise Forbidden(f"Overbooking is for doctors on their own day, administrators and the group {OVERBOOKING!r}.")
    try:
        begins, ends = _during(wanted)
        errors |= _time_errors(begins, known.now)
    except Invalid as error:
        errors |= error.errors
        begins = ends = known.now
    if errors:
        raise Invalid(errors)
    return begins, ends


def may_overbook(actor: Actor | None, doctor: str | None) -> bool:
    """The right to put an appointment on top of another: the *doctor* (a user name), or who was given it."""
    return actor is not None and (
        actor.has("admin") or OVERBOOKING in actor.groups or (actor.has("doctor") and actor.username == doctor)
    )


async def reschedule(
    session: Session,
    actor: Actor | None,
    ticketid: str,
    day: date,
    at: time,
    fold: int | None = None,
    *,
    docid: str | None = None,
    length: timedelta | None = None,
    by: int | None = None,
) -> Appointment:
    """Move an appointment that nobody has come to yet, also to another doctor; its old time is free at once. Moving it
    to where it is changes nothing.

    Raises :class:`NotFound`, :class:`Invalid`, :class:`Conflict` and :class:`Forbidden` as :func:`book` does, and
    :class:`Conflict` for one that is over.
    """
    old = await _locked(session, actor, ticketid)
    if old.status not in MOVABLE:
        raise Conflict(f"This appointment is {old.status} and cannot be moved.", status_of_appointment=old.status)
    docid = docid or old.docid
    hours = old.consult_hrs if length is None else hours_of(length)
    length = length or old.ends - old.begins
    wanted = Wanted(ticketid, old.patientid, docid, old.priority_level, day, at, hours, fold, length)
    try:
        async with session.begin_nested():
            begins, ends = await check(session, actor, wanted, lock=True)
            if (docid, begins, ends) == (old.docid, old.begins, old.ends):
                return old
            await slots.take(session, actor, docid, begins, ends, None)
            given = {"docid": docid, "begins": begins, "ends": ends, "by": actor.id if actor else by}
            await session.execute(_MOVE, given | {"day": day, "at": at, "hours": hours, "ticketid": ticketid})
    except (IntegrityError, slots.Taken) as error:
        raise await _refusal(session, error, wanted) from error
    former = {"former": old.docid} if docid != old.docid else {}
    return await _told(session, actor, by, ticketid, "rescheduled", was=old.begins.isoformat(), **former)


async def cancel(
    session: Session, actor: Actor | None, ticketid: str, reason: str, *, by: int | None = None
) -> Appointment:
    """Call it off for a *reason*, which stays with it; its time is free. One that is cancelled stays as it is.

    Raises :class:`Invalid` without a reason, :class:`NotFound`, and :class:`Conflict` for one that took place.
    """
    if not reason.strip() or len(reason) > 500:
        raise Invalid({"reason": "Say why, in up to 500 characters."})
    return await _change(session, actor, by, ticketid, "cancelled", (*MOVABLE, *PRESENT), reason.strip())


async def arrive(session: Session, actor: Actor | None, ticketid: str, *, by: int | None = None) -> Appointment:
    """The patient is in the house and waits. Raises :class:`NotFound` and :class:`Conflict`."""
    return await _change(session, actor, by, ticketid, "arrived", ("pending", "booked"))


async def check_in(session: Session, actor: Actor | None, ticketid: str, *, by: int | None = None) -> Appointment:
    """The patient is with the doctor, or about to be. Raises :class:`NotFound` and :class:`Conflict`."""
    return await _change(session, actor, by, ticketid, "checked-in", ("pending", "booked", "arrived"))


async def no_show(session: Session, actor: Actor | None, ticketid: str, *, by: int | None = None) -> Appointment:
    """The patient did not come. Raises :class:`NotFound`, and :class:`Conflict` before its time has begun."""
    found = await _locked(session, actor, ticketid)
    if found.status != "noshow" and found.begins > await _now(session):
        raise Conflict("Its time has not begun yet, so nobody can have missed it.")
    return await _change(session, actor, by, ticketid, "noshow", MOVABLE)


async def fulfil(session: Session, actor: Actor | None, ticketid: str, *, by: int | None = None) -> Appointment:
    """It took place. Raises :class:`NotFound` and :class:`Conflict`."""
    return await _change(session, actor, by, ticketid, "fulfilled", ("booked", *PRESENT))


async def reopen(session: Session, actor: Actor | None, ticketid: str, *, by: int | None = None) -> Appointment:
    """Take back what was marked by mistake: `booked` again. Raises :class:`NotFound`, and :class:`Conflict` for one
    that was cancelled, or whose time somebody else has been given since."""
    found = await _locked(session, actor, ticketid)
    try:
        async with session.begin_nested():
            return await _change(session, actor, by, ticketid, "booked", (*PRESENT, "noshow", "fulfilled"))
    except IntegrityError as error:
        raise Conflict(f"Its time, {local_time.spelt(found.begins)}, has been given to somebody else.") from error


async def settle(session: Session, ticketid: str) -> Appointment:
    """Its time is long over and nobody said how it went: whoever was here was seen, whoever was not has missed it.
    One that has ended stays as it is. Raises :class:`NotFound`.
    """
    found = await _locked(session, None, ticketid)
    if found.status in PRESENT:
        return await _change(session, None, None, ticketid, "fulfilled", PRESENT, "Settled after its time.")
    if found.status in MOVABLE:
        return await _change(session, None, None, ticketid, "noshow", MOVABLE, "Nobody was checked in.")
    return found


async def details(session: Session, actor: Actor | None, ticketid: str) -> Appointment:
    """One appointment. Raises :class:`NotFound`, also for a patient who asks for somebody else's."""
    return _record(await _visible(session, actor, ticketid, ""))


def hours_of(length: timedelta) -> Decimal:
    """A length as the column `consult_hrs` holds it: hours, in hundredths."""
    return round(Decimal(int(length.total_seconds())) / 3600, 2)


async def is_own(session: Session, actor: Actor, patientid: int) -> bool:
    """Whether this patient is the person who asks."""
    given = {"patientid": patientid, "username": actor.username}
    sql = text("select exists(select from patient where patientid = :patientid and username = :username)")
    return bool(await session.scalar(sql, given))


def _values(wanted: Wanted) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in Wanted.__slots__ if name not in ("fold", "length")}


def _field_errors(wanted: Wanted) -> dict[str, str]:
    errors: dict[str, str] = {}
    ticket = wanted.ticketid
    if not 1 <= len(ticket) <= TICKET_LENGTH or not ticket.isprintable() or ticket != ticket.strip():
        errors["ticketid"] = f"Up to {TICKET_LENGTH} printable characters without spaces around them."
    if not 1 <= wanted.priority_level <= 5:
        errors["priority_level"] = "From 1 to 5."
    if wanted.overbooked is not None and not 1 <= len(wanted.overbooked.strip()) <= 200:
        errors["overbooked"] = "Say why in up to 200 characters."
    hours = wanted.consult_hrs
    if not hours.is_finite() or not HOURS[0] <= hours <= HOURS[1] or hours != round(hours, 2):
        errors["consult_hrs"] = f"From {HOURS[0]} to {HOURS[1]} hours, in hundredths."
    return errors


def _time_errors(begins: datetime, now: datetime) -> dict[str, str]:
    field = "date_scheduled" if begins.date() != now.date() else "time_scheduled"
    if begins <= now:
        return {field: "This time is past."}
    if begins - now > FARTHEST:
        return {"date_scheduled": "More than two years ahead."}
    return {}


def _during(wanted: Wanted) -> tuple[datetime, datetime]:
    second = None if wanted.fold is None else bool(wanted.fold)
    begins = local_time.instant(wanted.date_scheduled, wanted.time_scheduled, field="time_scheduled", second=second)
    hours = wanted.consult_hrs if wanted.consult_hrs.is_finite() else Decimal(0)
    return begins, begins + (wanted.length or timedelta(seconds=int(hours * 3600)))


async def _parties(session: Session, wanted: Wanted, lock: str) -> Row[Any]:
    """Whether doctor and patient are there. Their rows are locked, the doctor's first, so that two bookings wait for
    each other here and never in the exclusion constraint, where they could wait for each other for ever.
    """
    patientid = wanted.patientid if abs(wanted.patientid) < 2**31 else 0
    return (
        await session.execute(
            text(f"""with d as materialized (select username from doctor where empid = :docid and status {lock}),
                          p as materialized (select username from patient where patientid = :patientid
                                               and (select count(*) from d) >= 0 {lock})
                     select (select count(*) from d) > 0 as doctor, (select count(*) from p) > 0 as patient,
                            (select username from p) as username, (select username from d) as seen_by,
                            dams_now() as now"""),  # noqa: S608 - a constant
            {"docid": wanted.docid, "patientid": patientid},
        )
    ).one()


async def _now(session: Session) -> datetime:
    moment: datetime | None = await session.scalar(text("select dams_now()"))
    return moment or datetime.now(UTC)


async def _refusal(session: Session, error: IntegrityError | slots.Taken, wanted: Wanted) -> Exception:
    """Which constraint said no is the answer."""
    constraint = getattr(getattr(getattr(error, "orig", None), "__cause__", None), "constraint_name", None)
    if constraint == "uq_appointment_ticketid":
        return Conflict(f"The ticket {wanted.ticketid} was used before.", field="ticketid")
    if constraint == "ex_appointment_doctor" or isinstance(error, slots.Taken):
        return await slots.lost(session, wanted.docid, _during(wanted)[0])
    if constraint == "ex_appointment_patient":
        return Conflict("The patient has another appointment then.", field="time_scheduled")
    return error


async def _visible(session: Session, actor: Actor | None, ticketid: str, lock: str) -> Row[Any]:
    row = (
        await session.execute(
            text(f"""select {_COLUMNS}, p.username from appointment a join patient p on p.patientid = a.patientid
                     where a.ticketid = :ticketid {lock}"""),  # noqa: S608 - constants of this module
            {"ticketid": ticketid},
        )
    ).first()
    if row is None or (actor is not None and not actor.has(*DESK) and row.username != actor.username):
        raise NotFound("There is no appointment of this ticket.")
    return row


async def _locked(session: Session, actor: Actor | None, ticketid: str) -> Appointment:
    return _record(await _visible(session, actor, ticketid, "for update of a"))


def _record(row: Row[Any]) -> Appointment:
    return Appointment(**{name: getattr(row, name) for name in Appointment.__slots__})


async def _change(
    session: Session,
    actor: Actor | None,
    by: int | None,
    ticketid: str,
    status: str,
    only_from: tuple[str, ...],
    remarks: str = "",
) -> Appointment:
    """Set a status that may follow the present one; the same status again changes nothing."""
    found = await _locked(session, actor, ticketid)
    if found.status == status:
        return found
    if found.status not in only_from:
        raise Conflict(f"This appointment is {found.status}.", status_of_appointment=found.status)
    await session.execute(
        text("""update appointment set status = :status, remarks = coalesce(nullif(:remarks, ''), remarks),
                    version = version + 1, changed_at = dams_now(), changed_by = :by where ticketid = :ticketid"""),
        {"status": status, "remarks": remarks, "ticketid": ticketid, "by": actor.id if actor else by},
    )
    return await _told(session, actor, by, ticketid, status)


async def _told(
    session: Session, actor: Actor | None, by: int | None, ticketid: str, what: str, **data: Any
) -> Appointment:
    """The row as it is now; the change stands in the timeline, in the case of the instance that asked for it."""
    row = (
        await session.execute(
            text(f"""select {_COLUMNS}, a.instance_id, {_CASE} as case_no from appointment a
                     where a.ticketid = :ticketid"""),  # noqa: S608 - constants of this module
            {"ticketid": ticketid},
        )
    ).one()
    await audit.record(
        session,
        f"appointment.{what}",
        actor_id=actor.id if actor else by,
        case=row.case_no,
        instance_id=row.instance_id,
        data={"ticket": ticketid, **data},
    )
    return _record(row)
