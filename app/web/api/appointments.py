"""The specification's own calls for appointments. Temporal keeps them; each call has a limit."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.clinic.appointments import Wanted
from app.core.errors import NotFound
from app.db.session import transaction
from app.engines import reservations, visits
from app.web.api.contract import Group
from app.web.security import actor

group = Group("appointments", prefix="")
blueprint = group.blueprint


def _on_the_wall(given: time) -> time:
    if given.tzinfo is not None:
        raise ValueError("the clinic's own time, without an offset")
    return given


WallTime = Annotated[time, AfterValidator(_on_the_wall)]
Ticket = Annotated[str, Field(min_length=1, max_length=20)]


class ReservationRequest(BaseModel):
    """An appointment on the clinic's wall clock. `fold` chooses where a time comes twice: 0 the first, 1 the second."""

    model_config = ConfigDict(extra="ignore")

    ticketid: Ticket
    patientid: int
    docid: str = Field(min_length=1, max_length=12)
    priority_level: int = Field(ge=1, le=5)
    date_scheduled: date
    time_scheduled: WallTime
    consult_hrs: Decimal
    fold: int | None = Field(None, ge=0, le=1)


class Moved(BaseModel):
    model_config = ConfigDict(extra="ignore")

    ticketid: Ticket
    date_scheduled: date
    time_scheduled: WallTime
    fold: int | None = Field(None, ge=0, le=1)


class ByTicket(BaseModel):
    ticketid: Ticket


class Closing(ByTicket):
    reason: str = Field("", max_length=500)


class Details(BaseModel):
    """An appointment as its workflow knows it; statuses are those of FHIR R4, `requested` before it is reserved."""

    ticketid: str
    patientid: int
    docid: str
    priority_level: int
    date_scheduled: str
    time_scheduled: str
    consult_hrs: str
    status: str
    remarks: str


class Said(BaseModel):
    message: str
    ticketid: str


ANSWERS = (404, 409, 422)


@group.operation(
    "POST",
    "/appointment/doctor",
    roles=("patient", "doctor", "staff", "admin"),
    body=ReservationRequest,
    answer=Details,
    status=201,
    errors=(409, 422),
)
async def reserve(given: ReservationRequest) -> Any:
    """Reserve an appointment; the ticket names it from then on"""
    return await reservations.reserve(actor(), Wanted(**given.model_dump()))


@group.operation("GET", "/appointment/details", query=ByTicket, answer=Details, errors=(404, 422))
async def details(given: ByTicket) -> Any:
    """An appointment by its ticket, running or over"""
    return await reservations.details(actor(), given.ticketid)


@group.operation("DELETE", "/appointment/close", query=Closing, answer=Said, status=202, errors=ANSWERS)
async def close(given: Closing) -> Said:
    """Cancel an appointment; its time is free as soon as the closing activity has run"""
    await reservations.close(actor(), given.ticketid, given.reason)
    return Said(message="Requesting cancellation", ticketid=given.ticketid)


@group.operation("PUT", "/appointment/schedule", body=Moved, answer=Details, errors=ANSWERS)
async def reschedule(given: Moved) -> Any:
    """Move an appointment, with its reminders"""
    day, at = given.date_scheduled.isoformat(), given.time_scheduled.isoformat()
    return await reservations.reschedule(actor(), given.ticketid, day, at, given.fold)


@group.operation(
    "POST", "/appointment/arrival", roles=reservations.DESK, body=ByTicket, answer=Said, status=202, errors=ANSWERS
)
async def arrival(given: ByTicket) -> Said:
    """The patient is here"""
    await _mark(given.ticketid, "check_in", "checked-in")
    return Said(message="Checking in", ticketid=given.ticketid)


@group.operation(
    "POST", "/appointment/absence", roles=reservations.DESK, body=ByTicket, answer=Said, status=202, errors=ANSWERS
)
async def absence(given: ByTicket) -> Said:
    """The patient did not come"""
    await _mark(given.ticketid, "no_show", "noshow")
    return Said(message="Marking as missed", ticketid=given.ticketid)


async def _mark(ticketid: str, signal: str, status: str) -> None:
    """By its workflow; a visit that was booked without one is marked at once, and who waits for it is told."""
    try:
        await reservations.signal(actor(), ticketid, signal)
    except NotFound:
        async with transaction() as session:
            await visits.mark(session, actor(), ticketid, None, status)
