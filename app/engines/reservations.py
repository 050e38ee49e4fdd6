"""Appointments that Temporal looks after: asked for here, kept by `ReserveAppointmentWorkflow`, mails by outbox.

The specification's synchronous calls go straight to the engine, outside any transaction, with a limit.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from app.clinic import appointments, local_time, patients
from app.clinic.appointments import Appointment, Wanted
from app.core import envelope
from app.core.actor import Actor
from app.core.errors import Conflict, DamsError, Invalid, NotFound
from app.core.log import log
from app.db.session import Session, reading
from app.engines import outbox, temporal
from app.engines.senders import Effect, sender

WORKFLOW, QUEUE = "ReserveAppointmentWorkflow", "dams_appointment_queue"
ATTEND = "AttendVisitWorkflow"
"""What a process waits for until a booked patient is in the room."""
DESK = ("doctor", "staff", "admin")


@dataclass(frozen=True, slots=True)
class Details:
    """What `details` answers."""

    ticketid: str
    patientid: int
    docid: str
    priority_level: int
    date_scheduled: str
    time_scheduled: str
    consult_hrs: str
    status: str
    remarks: str


def workflow_id(ticketid: str) -> str:
    """The workflow's id is the ticket, in the form in which the engine's store may hold it."""
    return envelope.opaque("appointment", ticketid)


async def reserve(actor: Actor, wanted: Wanted) -> Details:
    """Start the workflow of a ticket and wait until it has reserved.

    Without an answer in time the workflow stands and reserves when a worker is back.

    Raises:
        Invalid, Forbidden: a field that cannot be, or a patient for somebody else; nothing is started.
        Conflict: the ticket was used before, or doctor or patient are not free; the ticket can be used again then.
        Unavailable, NoAnswer: Temporal, or its worker, is away.
    """
    async with reading() as session:
        await appointments.check(session, actor, wanted)
    await _refuse_known(wanted.ticketid)
    given = _input(wanted) | {"by": actor.id}
    name = workflow_id(wanted.ticketid)
    try:
        handle = await temporal.start(
            WORKFLOW, name, QUEUE, given, about={"ticket": wanted.ticketid}, started_by=actor.id
        )
    except Conflict as error:
        raise Conflict(f"The ticket {wanted.ticketid} was used before.", field="ticketid") from error
    try:
        return _details(await _updated(handle.id, "reserved"))
    except (Conflict, Invalid):
        await _ended(handle.id)
        raise


async def details(actor: Actor, ticketid: str) -> Details:
    """What the workflow knows, running or ended; without a workflow, what the table says.

    Raises :class:`NotFound`, also for somebody else's; :class:`Unavailable` and :class:`NoAnswer`.
    """
    try:
        async with temporal.limited() as client:
            answer = await client.get_workflow_handle(workflow_id(ticketid)).query("details")
    except NotFound:
        async with reading() as session:
            return _of_row(await appointments.details(session, actor, ticketid))
    found = _details(answer)
    if not actor.has(*DESK) and not await _is_own(actor, found.patientid):
        raise NotFound("There is no appointment of this ticket.")
    return found


async def close(actor: Actor, ticketid: str, reason: str) -> None:
    """Ask the workflow to cancel: its closing activity frees the slot. Asked again it changes nothing.

    Raises :class:`Invalid`, :class:`NotFound`, :class:`Conflict` for one that is over, :class:`Unavailable`.
    """
    if len(reason) > 500:
        raise Invalid({"reason": "Up to 500 characters."})
    await _visible(actor, ticketid)
    ended = await _last_status(ticketid)  # the workflow itself is over a moment later
    if ended == "cancelled":
        return
    if ended:
        raise Conflict("This appointment is over.")
    async with temporal.limited() as client:
        handle = client.get_workflow_handle(workflow_id(ticketid))
        found = await handle.describe()
        if found.status is not None and found.status.name == "CANCELED":
            return
        if found.status is None or found.status.name != "RUNNING":
            raise Conflict("This appointment is over.")
        await handle.signal("closing", args=[reason.strip() or "Cancelled on request.", actor.id])
        await handle.cancel()


async def reschedule(actor: Actor, ticketid: str, day: str, at: str, fold: int | None = None) -> Details:
    """Move it and its reminders. Raises as :func:`app.clinic.appointments.reschedule` does, and as :func:`close`."""
    await _visible(actor, ticketid)
    move = {"date_scheduled": day, "time_scheduled": at, "fold": fold, "by": actor.id}
    return _details(await _updated(workflow_id(ticketid), "reschedule", move))


async def signal(actor: Actor, ticketid: str, name: str) -> None:
    """`check_in` or `no_show`, from the desk. Raises :class:`NotFound` and :class:`Unavailable`."""
    actor.require(*DESK)
    async with temporal.limited() as client:
        await client.get_workflow_handle(workflow_id(ticketid)).signal(name, actor.id)


async def changed(session: Session, ticketid: str, key: str) -> None:
    """Somebody changed the appointment without its workflow, which is told by outbox. *key* names the change."""
    await outbox.enqueue(session, "appointment-changed", f"{ticketid}:{key}", {"ticket": ticketid})


@sender("appointment-changed")
async def send_changed(effect: Effect) -> None:
    """Wake the workflow; an appointment that has none needs no telling."""
    try:
        async with temporal.limited() as client:
            await client.get_workflow_handle(workflow_id(effect.payload["ticket"])).signal("refresh")
    except NotFound:
        log.info("an appointment without a workflow changed", outbox=str(effect.id))


async def remind(session: Session, found: Appointment, key: str) -> None:
    """Mail a patient who wants it about an appointment that still stands, once for each *key*; nothing says why they
    come."""
    who = await patients.find(session, found.patientid)
    if found.status not in ("booked", "pending") or not who.reminders:
        return
    when = local_time.spelt(found.begins)
    text = f"You have an appointment on {when}. Your ticket is {found.ticketid}.\n\nIf you cannot come, tell us.\n"
    payload = {"to_patient": [found.patientid], "subject": f"Your appointment on {when}", "text": text}
    await outbox.enqueue(session, "mail", f"reminder:{found.ticketid}:{key}", payload)


async def _updated(name: str, update: str, *given: Any) -> Any:
    try:
        async with temporal.limited() as client:
            return await client.get_workflow_handle(name).execute_update(update, *given)
    except WorkflowUpdateFailedError as error:
        raise temporal.translated(error) from error


async def _ended(name: str) -> None:
    """Until a refused workflow has ended: from then on its ticket can be used again."""
    with contextlib.suppress(WorkflowFailureError, DamsError):
        async with temporal.limited() as client:
            await client.get_workflow_handle(name).result()


async def _refuse_known(ticketid: str) -> None:
    """A ticket that is in the table is used, whether or not Temporal still remembers it."""
    async with reading() as session:
        try:
            await appointments.details(session, None, ticketid)
        except NotFound:
            return
    raise Conflict(f"The ticket {ticketid} was used before.", field="ticketid")


async def _visible(actor: Actor, ticketid: str) -> None:
    if actor.has(*DESK):
        return
    async with reading() as session:
        await appointments.details(session, actor, ticketid)


async def _last_status(ticketid: str) -> str | None:
    """The last status of an appointment that is over; None while it is not, or not even made."""
    async with reading() as session:
        try:
            found = await appointments.details(session, None, ticketid)
        except NotFound:
            return None
    return found.status if found.status in appointments.OVER else None


async def _is_own(actor: Actor, patientid: int) -> bool:
    async with reading() as session:
        return await appointments.is_own(session, actor, patientid)


def _input(wanted: Wanted) -> dict[str, Any]:
    return {
        "ticketid": wanted.ticketid,
        "patientid": wanted.patientid,
        "docid": wanted.docid,
        "priority_level": wanted.priority_level,
        "date_scheduled": wanted.date_scheduled.isoformat(),
        "time_scheduled": wanted.time_scheduled.isoformat(),
        "consult_hrs": str(wanted.consult_hrs),
        "fold": wanted.fold,
    }


def _details(answer: Any) -> Details:
    return Details(**{name: answer[name] for name in Details.__slots__})


def _of_row(found: Appointment) -> Details:
    return Details(
        found.ticketid,
        found.patientid,
        found.docid,
        found.priority_level,
        found.date_scheduled.isoformat(),
        found.time_scheduled.isoformat(),
        str(found.consult_hrs),
        found.status,
        found.remarks,
    )
