"""Appointments for their workflow: each change once per key, in one transaction with the mark that it was made."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from temporalio import activity

from app.clinic import appointments
from app.clinic.appointments import Appointment, Wanted
from app.core.settings import settings
from app.db.session import Session, transaction
from app.engines import reservations
from app.engines.once import first_time
from temporal.workflows.reservation import QUEUE as QUEUE
from temporal.workflows.reservation import Change, Move, Record, Reservation

KIND = "temporal-appointment"


@activity.defn(name="reserve_schedule")
async def reserve_schedule(given: Reservation) -> Record:
    """Make the appointment. Raises :class:`Invalid` and :class:`Conflict` as booking does."""
    wanted = Wanted(
        given.ticketid,
        given.patientid,
        given.docid,
        given.priority_level,
        date.fromisoformat(given.date_scheduled),
        time.fromisoformat(given.time_scheduled),
        Decimal(given.consult_hrs),
        given.fold,
    )
    async with transaction() as session:
        if await _once(session, "reserve"):
            return record(await appointments.book(session, None, wanted, by=given.by))
        return record(await appointments.details(session, None, given.ticketid))


@activity.defn(name="change_schedule")
async def change_schedule(change: Change) -> Record:
    """A reminder, check-in, no-show or the end of an appointment that is over. Raises :class:`Conflict`."""
    async with transaction() as session:
        found = await appointments.details(session, None, change.ticketid)
        if not await _once(session, change.key):
            return record(found)
        match change.what:
            case "remind":
                await reservations.remind(session, found, change.key)
            case "checked-in":
                found = await appointments.check_in(session, None, change.ticketid, by=change.by)
            case "noshow":
                found = await appointments.no_show(session, None, change.ticketid, by=change.by)
            case "settle":
                found = await appointments.settle(session, change.ticketid)
            case _:
                pass  # refresh: the row as it is now is the answer
        return record(found)


@activity.defn(name="move_schedule")
async def move_schedule(move: Move) -> Record:
    """Another time. Raises :class:`Invalid` and :class:`Conflict` as booking does."""
    day, at = date.fromisoformat(move.date_scheduled), time.fromisoformat(move.time_scheduled)
    async with transaction() as session:
        if await _once(session, move.key):
            return record(await appointments.reschedule(session, None, move.ticketid, day, at, move.fold, by=move.by))
        return record(await appointments.details(session, None, move.ticketid))


@activity.defn(name="close_schedule")
async def close_schedule(change: Change) -> Record:
    """Call the appointment off; its time is free. One that took place stays as it is."""
    async with transaction() as session:
        found = await appointments.details(session, None, change.ticketid)
        if found.status in appointments.OVER:
            return record(found)
        return record(await appointments.cancel(session, None, change.ticketid, change.remarks, by=change.by))


async def _once(session: Session, key: str) -> bool:
    """Whether this workflow does this for the first time; the mark commits with the change."""
    info = activity.info()
    return await first_time(session, KIND, f"{info.workflow_id}/{key}")


def record(found: Appointment) -> Record:
    """The row as the workflow keeps it."""
    given = settings().clinic
    before = [found.begins - timedelta(hours=hours) for hours in given.reminder_hours]
    settled = found.ends + timedelta(hours=given.settle_after_hours)
    return Record(
        found.ticketid,
        found.patientid,
        found.docid,
        found.priority_level,
        found.date_scheduled.isoformat(),
        found.time_scheduled.isoformat(),
        str(found.consult_hrs),
        found.status,
        found.remarks,
        _iso(found.begins),
        _iso(found.ends),
        _iso(settled),
        [_iso(moment) for moment in before],
    )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
