"""What the appointment process does for the clinic: hold a slot, and book it with documents and mails."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from typing import Any

from app.clinic import accounts, appointments, confirmations, local_time, slots
from app.clinic.appointments import Appointment, Wanted
from app.core.errors import Conflict, Invalid
from app.db.session import Session
from app.engines import outbox
from app.engines.spiff import effects
from app.engines.spiff.effects import Lost
from app.engines.spiff.elements import LOSSES
from app.engines.spiff.listeners import Heard

HOLD, BOOK = "hold_slot", "book_appointment"
FIELDS = ("docid", "date_scheduled", "time_scheduled", "patientid", "ticketid", "priority_level")


@effects.effect(HOLD, *FIELDS[:3])
async def _hold(session: Session, heard: Heard) -> None:
    await hold(session, heard)


async def hold(session: Session, heard: Heard) -> None:
    """Keep the chosen slot while the next form is filled in. Raises :class:`Conflict` with the nearest free ones."""
    actor = await accounts.by_id(session, heard.actor_id) if heard.actor_id is not None else None
    day, at = day_of(heard.variables["date_scheduled"]), time_of(heard.variables["time_scheduled"])
    begins = local_time.instant(day, at, field="time_scheduled")
    await slots.hold(session, actor, str(heard.variables["docid"]), begins, instance_id=heard.instance_id)


@effects.effect(BOOK, *FIELDS)
async def _book(session: Session, heard: Heard) -> None:
    await book(session, heard)


async def book(session: Session, heard: Heard) -> Appointment:
    """The appointment of an instance, its documents and the mails to both parties, in one transaction.

    Raises:
        Lost: the slot was taken meanwhile.
        Invalid, Conflict, Forbidden: as `appointments.book` does.
    """
    actor = await accounts.by_id(session, heard.actor_id) if heard.actor_id is not None else None
    wanted = await _wanted(session, heard.variables)
    try:
        booked = await appointments.book(session, actor, wanted, instance_id=heard.instance_id)
    except Conflict as refused:
        if "nearest" in refused.context:
            raise Lost(refused, LOSSES[BOOK]) from refused
        raise
    told = await confirmations.issue(
        session, booked, case=heard.case_no, instance_id=heard.instance_id, by=heard.actor_id
    )
    when = local_time.spelt(booked.begins)
    for who, to, text_ in (
        ("patient", {"to_patient": [booked.patientid]}, f"You have an appointment with {told.doctor}"),
        ("doctor", {"to_doctor": [booked.docid]}, "You have a new appointment"),
    ):
        body = f"{text_} on {when} (ticket {booked.ticketid}).\n\nSee it in DAMS: /instances/{heard.instance_id}\n"
        payload = {**to, "subject": f"Appointment {booked.ticketid} on {when}", "text": body}
        key = f"booked:{booked.ticketid}:{who}"
        await outbox.enqueue(session, "mail", key, payload, case=heard.case_no, instance_id=heard.instance_id)
    return booked


async def _wanted(session: Session, values: Mapping[str, Any]) -> Wanted:
    day, at = day_of(values["date_scheduled"]), time_of(values["time_scheduled"])
    begins = local_time.instant(day, at, field="time_scheduled")
    slot = await slots.find(session, str(values["docid"]), begins)
    length = slot.ends - slot.begins
    return Wanted(
        ticketid=str(values["ticketid"]),
        patientid=_whole("patientid", values["patientid"]),
        docid=slot.docid,
        priority_level=_whole("priority_level", values["priority_level"]),
        date_scheduled=day,
        time_scheduled=at,
        consult_hrs=appointments.hours_of(length),
        length=length,
    )


def day_of(given: object) -> date:
    """Raises :class:`Invalid` beside its field."""
    try:
        found = date.fromisoformat(str(given))
    except ValueError:
        found = None
    if found is None or found.year not in slots.YEARS:
        raise Invalid({"date_scheduled": "Enter a date as YYYY-MM-DD, for example 2027-03-31."})
    return found


def time_of(given: object) -> time:
    """Raises :class:`Invalid` beside its field."""
    try:
        return time.fromisoformat(str(given))
    except ValueError:
        raise Invalid({"time_scheduled": "Enter a time such as 09:30."}) from None


def _whole(field: str, given: object) -> int:
    text_ = str(given).strip()
    if not (text_.isascii() and text_.isdecimal() and len(text_) < 10):
        raise Invalid({field: "Enter a whole number."})
    return int(text_)
