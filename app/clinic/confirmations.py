"""What a patient takes home from a booking: the appointment on one page, and as an entry for a calendar."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from icalendar import Calendar, Event
from sqlalchemy import Row, text

from app.clinic import documents, local_time, notices
from app.clinic.appointments import Appointment
from app.core.errors import NotFound
from app.core.settings import settings
from app.db.care import LIVE
from app.db.session import Session

PDF, ICS = "schedule", "schedule-calendar"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A booked appointment in the words of its parties."""

    case: str
    ticketid: str
    doctor: str
    specialization: str
    patient: str
    begins: datetime
    ends: datetime


async def issue(
    session: Session, booked: Appointment, *, case: str, instance_id: UUID, by: int | None = None
) -> Confirmation:
    """Draw both documents of an appointment and keep them with its case, once for an instance."""
    told = await _told(session, booked, case)
    pdf = await asyncio.to_thread(draw, told)
    for kind, name, media_type, content in (
        (PDF, f"appointment-{booked.ticketid}.pdf", "application/pdf", pdf),
        (ICS, f"appointment-{booked.ticketid}.ics", "text/calendar; charset=utf-8", calendar(told)),
    ):
        await documents.keep(
            session,
            kind,
            name,
            media_type,
            content,
            case=case,
            instance_id=instance_id,
            patientid=booked.patientid,
            by=by,
        )
    return told


async def booked(session: Session, instance_id: UUID) -> Confirmation:
    """The appointment that an instance made. Raises :class:`NotFound`."""
    row = (
        await session.execute(
            text("""select a.ticketid, a.docid, a.patientid, lower(a.during) as begins, upper(a.during) as ends,
                           i.case_no from appointment a join instance i on i.id = a.instance_id
                    where a.instance_id = :id"""),
            {"id": instance_id},
        )
    ).first()
    if row is None:
        raise NotFound("No appointment was booked here.")
    return await _told(session, row, row.case_no)


@dataclass(frozen=True, slots=True)
class Coming:
    """An appointment that is still to come, as its doctor or its patient sees it."""

    ticketid: str
    begins: datetime
    doctor: str
    patient: str


async def coming(session: Session, username: str, limit: int = 5) -> list[Coming]:
    """The next appointments of an account, as a doctor or as a patient, soonest first."""
    rows = await session.execute(
        text(f"""select a.ticketid, lower(a.during) as begins, d.firstname || ' ' || d.lastname as doctor,
                        p.firstname || ' ' || p.lastname as patient
                 from appointment a join doctor d on d.empid = a.docid join patient p on p.patientid = a.patientid
                 where (d.username = :name or p.username = :name) and a.{LIVE} and upper(a.during) > dams_now()
                 order by lower(a.during), a.ticketid limit :limit"""),  # noqa: S608 - LIVE is a constant
        {"name": username, "limit": limit},
    )
    return [Coming(*row) for row in rows]


async def of_instance(session: Session, instance_id: UUID) -> dict[str, UUID]:
    """The documents of an instance by their kind."""
    rows = await session.execute(
        text("select kind, id from document where instance_id = :id order by created_at"), {"id": instance_id}
    )
    return {row.kind: row.id for row in rows}


def draw(told: Confirmation) -> bytes:
    """The appointment on one page."""
    rows = [
        ("Case", told.case),
        ("Ticket", told.ticketid),
        ("Patient", told.patient),
        ("Doctor", f"{told.doctor}, {told.specialization}"),
        ("Begins", local_time.spelt(told.begins)),
        ("Ends", local_time.spelt(told.ends)),
        ("Times are in", settings().clinic.time_zone),
    ]
    foot = "Please come ten minutes early and bring this page."
    return notices.sheet("Your appointment", settings().clinic.name, told.case, rows, foot)


def calendar(told: Confirmation) -> bytes:
    """The appointment as iCalendar (RFC 5545). It names the doctor, never the patient: calendars are shared."""
    made = Calendar()
    made.add("prodid", "-//DAMS//appointments//EN")
    made.add("version", "2.0")
    event = Event()
    event.add("uid", f"{told.ticketid}@dams")
    event.add("dtstamp", datetime.now(UTC))
    event.add("dtstart", told.begins)
    event.add("dtend", told.ends)
    event.add("summary", f"Appointment with {told.doctor}")
    event.add("location", settings().clinic.name)
    made.add_component(event)
    return made.to_ical()


async def _told(session: Session, booked: Appointment | Row[Any], case: str) -> Confirmation:
    row = (
        await session.execute(
            text("""select d.firstname || ' ' || d.lastname as doctor, d.specialization,
                           p.firstname || ' ' || p.lastname as patient
                    from doctor d, patient p where d.empid = :docid and p.patientid = :patientid"""),
            {"docid": booked.docid, "patientid": booked.patientid},
        )
    ).one()
    parties = (row.doctor, row.specialization, row.patient)
    return Confirmation(case, booked.ticketid, *parties, booked.begins, booked.ends)
