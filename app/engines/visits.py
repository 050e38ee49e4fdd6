"""Appointments as people change them: the change, the mails that follow, and word to the workflow that looks after it.

Everything happens in the caller's transaction; mails and words leave by the outbox, named by the change's version.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import text

from app.clinic import appointments, day, desk, local_time
from app.clinic.appointments import Appointment, Wanted
from app.core.actor import Actor
from app.core.errors import Invalid
from app.db.session import Session
from app.engines import outbox, reservations
from app.engines.reservations import ATTEND

MARKS = {
    "arrived": appointments.arrive,
    "checked-in": appointments.check_in,
    "fulfilled": appointments.fulfil,
    "noshow": appointments.no_show,
    "booked": appointments.reopen,
}
"""The status that the desk may give, and what gives it; `booked` takes a wrong one back."""


async def book(session: Session, actor: Actor, wanted: Wanted) -> Appointment:
    """Book a slot and mail both. Raises as :func:`app.clinic.desk.book` does."""
    made = await desk.book(session, actor, wanted)
    await tell(session, made, f"An appointment on {local_time.spelt(made.begins)}", "Your appointment is booked.")
    return made


async def walk_in(session: Session, actor: Actor, patientid: int, docid: str, overbooked: str | None) -> Appointment:
    """Take somebody who stands at the desk; the doctor is told. Raises as :func:`app.clinic.desk.walk_in` does."""
    made = await desk.walk_in(session, actor, patientid, docid, overbooked)
    await _mail(session, made, "doctor", "A patient without an appointment is waiting", "They came to the desk.")
    return made


async def move(
    session: Session, actor: Actor, ticketid: str, version: int | None, begins: datetime, docid: str | None = None
) -> Appointment:
    """Move it to another slot and tell everybody, a doctor who loses it too. Raises as :func:`app.clinic.desk.move`."""
    old, made = await desk.move(session, actor, ticketid, version, begins, docid)
    if made.version != old.version:
        now, was = local_time.spelt(made.begins), local_time.spelt(old.begins)
        sentence = f"It was on {was}; it is now on {now}."
        if made.docid != old.docid:
            who = await day.doctor(session, made.docid)
            sentence = f"It was on {was}; it is now on {now} with {who.name}."
            subject = f"Appointment of {was} goes to {who.name}"
            await _mail(session, replace(made, docid=old.docid), "former", subject, "It is no longer yours.")
        await tell(session, made, f"Appointment moved to {now}", sentence)
        await changed(session, made)
    return made


async def cancel(session: Session, actor: Actor, ticketid: str, version: int | None, reason: str) -> Appointment:
    """Call it off and tell everybody. Raises as :func:`app.clinic.appointments.cancel` and `desk.seen` do."""
    old = await desk.seen(session, actor, ticketid, version)
    made = await appointments.cancel(session, actor, ticketid, reason)
    if made.version != old.version:
        when = local_time.spelt(made.begins)
        await tell(session, made, f"Appointment of {when} is cancelled", f"The appointment on {when} will not be held.")
        await changed(session, made)
    return made


async def mark(session: Session, actor: Actor, ticketid: str, version: int | None, status: str) -> Appointment:
    """Say how far a visit is. Raises :class:`Invalid` for a status that is none of :data:`MARKS`, and as those do."""
    if status not in MARKS:
        raise Invalid({"status": "There is no such mark."})
    old = await desk.seen(session, actor, ticketid, version)
    made = await MARKS[status](session, actor, ticketid)
    if made.version != old.version:
        await changed(session, made)
    return made


async def tell(session: Session, made: Appointment, subject: str, sentence: str) -> None:
    """Mail patient and doctor about a change, once for each version; nothing says why the patient comes."""
    for whom in ("patient", "doctor"):
        await _mail(session, made, whom, subject, sentence)


async def _mail(session: Session, made: Appointment, whom: str, subject: str, sentence: str) -> None:
    when = local_time.spelt(made.begins)
    body = f"{sentence}\n\nTime: {when}\nTicket: {made.ticketid}\n"
    to = {"to_patient": [made.patientid]} if whom == "patient" else {"to_login": [await _account(session, made.docid)]}
    key = f"visit:{made.ticketid}:{made.version}:{whom}"
    await outbox.enqueue(session, "mail", key, {**to, "subject": subject, "text": body})


async def _account(session: Session, docid: str) -> str:
    found = await session.execute(text("select username from doctor where empid = :docid"), {"docid": docid})
    return found.scalar_one()


async def changed(session: Session, made: Appointment) -> None:
    """Tell the workflows that Temporal keeps for this ticket: that of the specification's calls, and those for which a
    process waits.
    """
    found = await session.execute(
        text(
            "select name, external_id, ended_at from engine_run where engine = 'temporal' and input ->> 'ticket' = :t"
        ),
        {"t": made.ticketid},
    )
    known = found.all()
    if known:
        await reservations.changed(session, made.ticketid, f"v{made.version}")
    for run in known:
        if run.name == ATTEND and run.ended_at is None:
            payload = {"run": run.external_id, "signal": "refresh"}
            await outbox.enqueue(session, "workflow-signal", f"{run.external_id}:v{made.version}", payload)
