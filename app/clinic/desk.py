"""What the front desk does that nobody else may: hold a slot while the form is filled, take walk-ins, block time.

Who decided on a state that has changed since is told what happened: :func:`seen`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from app.clinic import appointments, audit, day, local_time, slots, waiting
from app.clinic.appointments import Appointment, Wanted
from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, NotFound
from app.db.session import Session

SHORTEST = timedelta(minutes=5)
WALK_IN = timedelta(minutes=30)
LONGEST_BLOCK = timedelta(days=366)
SAID = {"checked-in": "in the room", "fulfilled": "done", "noshow": "marked as missed", "arrived": "here and waiting"}


async def hold(session: Session, actor: Actor, docid: str, begins: datetime) -> slots.Hold:
    """Keep a slot while a form is filled; it takes the place of what this person held before.

    Raises :class:`Invalid` and :class:`Conflict` as :func:`app.clinic.slots.hold` does.
    """
    await release(session, actor)
    return await slots.hold(session, actor, docid, begins)


async def release(session: Session, actor: Actor) -> None:
    """Give back what this person holds at the desk."""
    await session.execute(
        text("delete from slot_hold where held_by = :actor and instance_id is null"), {"actor": actor.id}
    )


async def held_until(session: Session, actor: Actor, hold_id: UUID) -> datetime | None:
    """Until when this person's hold lasts; None when it is over."""
    sql = text("select expires_at from slot_hold where id = :id and held_by = :actor and expires_at > dams_now()")
    return await session.scalar(sql, {"id": hold_id, "actor": actor.id})


async def book(session: Session, actor: Actor, wanted: Wanted) -> Appointment:
    """Book one of the doctor's slots, for its whole length; the wish's own length does not count.

    With a reason in `overbooked` a slot that is taken will do, but never leave or a time that is past.

    Raises as :func:`app.clinic.appointments.book` does, and :class:`Invalid` where the doctor has no slot.
    """
    begins, _ends = await appointments.check(session, actor, wanted)
    slot = await _slot(session, wanted.docid, begins)
    if wanted.overbooked is not None and slot.state == "busy-unavailable":
        raise Invalid({"time_scheduled": "The doctor sees nobody at this time, also not on top of others."})
    length = slot.ends - slot.begins
    fitted = replace(wanted, consult_hrs=appointments.hours_of(length), length=length)
    return await appointments.book(session, actor, fitted)


async def move(
    session: Session, actor: Actor, ticketid: str, version: int | None, begins: datetime, docid: str | None = None
) -> tuple[Appointment, Appointment]:
    """Move an appointment to another slot, of its doctor or of *docid*: how it was, and how it is.

    Raises as :func:`app.clinic.appointments.reschedule` and :func:`seen` do, and :class:`Invalid` without a slot.
    """
    old = await seen(session, actor, ticketid, version)
    docid = docid or old.docid
    slot = await _slot(session, docid, begins)
    local = begins.astimezone(local_time.zone())
    length = slot.ends - slot.begins if docid != old.docid else None
    return old, await appointments.reschedule(
        session, actor, ticketid, local.date(), local.time(), local.fold, docid=docid, length=length
    )


async def walk_in(session: Session, actor: Actor, patientid: int, docid: str, overbooked: str | None) -> Appointment:
    """Somebody stands at the desk: an appointment from this minute to the doctor's next one, and they have arrived.

    Raises:
        Conflict: the doctor is not free now; with a reason and the right it is put on top.
        Invalid, Forbidden: as :func:`app.clinic.appointments.book` does.
    """
    now = (await day.now(session)).replace(second=0, microsecond=0)
    begins = now + timedelta(minutes=1)
    ends = begins + WALK_IN if overbooked else await _gap(session, docid, begins)
    local = begins.astimezone(local_time.zone())
    length = ends - begins
    hours = max(appointments.hours_of(length), Decimal("0.08"))
    wanted = Wanted(
        waiting.ticket("W"), patientid, docid, 3, local.date(), local.time(), hours, local.fold, length, overbooked
    )
    if why := await day.why_closed(session, local.date()):
        raise Invalid({"docid": why})
    made = await appointments.book(session, actor, wanted)
    return await appointments.arrive(session, actor, made.ticketid)


async def seen(session: Session, actor: Actor | None, ticketid: str, version: int | None) -> Appointment:
    """The appointment, locked, if it is still as somebody saw it; *version* None takes it as it is.

    Raises:
        NotFound: also for a patient who asks for somebody else's.
        Conflict: it was changed since; the sentence says who did what, and when.
    """
    await appointments.details(session, actor, ticketid)
    row = (
        await session.execute(
            text("""select a.version, a.status, a.changed_at, l.display_name, lower(a.during) as begins
                    from appointment a left join login l on l.id = a.changed_by
                    where a.ticketid = :ticket for no key update of a"""),
            {"ticket": ticketid},
        )
    ).one()
    if version is not None and row.version != version:
        at = row.changed_at.astimezone(local_time.zone())
        raise Conflict(
            f"{row.display_name or 'Somebody'} changed this appointment at {at:%H:%M:%S}: it is now "
            f"{SAID.get(row.status, row.status)}, for {local_time.spelt(row.begins)}. Nothing of yours was stored.",
            version=row.version,
        )
    return await appointments.details(session, actor, ticketid)


async def block(
    session: Session, actor: Actor, docid: str, begins: datetime, ends: datetime, kind: str, reason: str
) -> int:
    """Take time from a doctor's hours; gives the block's number. Appointments in it stay, and are to be moved.

    Raises :class:`Invalid`, and :class:`NotFound` for a doctor nobody knows.
    """
    errors: dict[str, str] = {}
    if kind not in ("leave", "block"):
        errors["kind"] = "Choose leave or block."
    if ends <= begins:
        errors["until_time"] = "The end comes before the beginning."
    elif ends - begins > LONGEST_BLOCK:
        errors["until_day"] = "At most a year."
    elif ends <= await day.now(session):
        errors["until_day"] = "This time is past."
    if len(reason) > 200:
        errors["reason"] = "Up to 200 characters."
    if errors:
        raise Invalid(errors)
    await day.doctor(session, docid)
    await slots.lock(session, docid)
    number: int = (
        await session.execute(
            text("""insert into doctor_block (docid, during, kind, reason, created_by)
                    values (:docid, tstzrange(:begins, :ends), :kind, :reason, :by) returning id"""),
            {"docid": docid, "begins": begins, "ends": ends, "kind": kind, "reason": reason.strip(), "by": actor.id},
        )
    ).scalar_one()
    data = {"doctor": docid, "block": number, "from": begins.isoformat(), "until": ends.isoformat(), "kind": kind}
    await audit.record(session, "schedule.blocked", actor_id=actor.id, data=data)
    return number


async def unblock(session: Session, actor: Actor, number: int) -> str:
    """Give the time back; the doctor's number. Raises :class:`NotFound`."""
    docid = await session.scalar(text("delete from doctor_block where id = :id returning docid"), {"id": number})
    if docid is None:
        raise NotFound("There is no such block.")
    await audit.record(session, "schedule.unblocked", actor_id=actor.id, data={"doctor": docid, "block": number})
    return docid


async def _slot(session: Session, docid: str, begins: datetime) -> slots.Slot:
    local = begins.astimezone(local_time.zone())
    if why := await day.why_closed(session, local.date()):
        raise Invalid({"date_scheduled": why})
    return await slots.find(session, docid, begins)


async def _gap(session: Session, docid: str, begins: datetime) -> datetime:
    """Until when a doctor who is free at *begins* stays free, at most :data:`WALK_IN` long."""
    first = await session.scalar(
        text(f"""select min(lower(during)) from
                 (select during from appointment where docid = :docid and {slots.LIVE}
                  union all select during from doctor_block where docid = :docid
                  union all select during from slot_hold where docid = :docid and expires_at > dams_now()
                  union all select during from slot_offer where docid = :docid and state = 'open') taken
                 where during && tstzrange(:begins, :ends)"""),  # noqa: S608 - LIVE is a constant
        {"docid": docid, "begins": begins, "ends": begins + WALK_IN},
    )
    ends = min(first or begins + WALK_IN, begins + WALK_IN)
    if ends - begins < SHORTEST:
        raise await slots.lost(session, docid, begins)
    return ends
