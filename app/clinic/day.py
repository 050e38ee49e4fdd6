"""The day as the desk sees it: which doctors, who comes when, what is blocked, and why a day has no hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import text

from app.clinic import local_time
from app.core.errors import NotFound
from app.db.care import LIVE
from app.db.session import Session

LATE_MINUTES = 10
SHOWN = f"({LIVE} or status in ('fulfilled', 'noshow'))"


@dataclass(frozen=True, slots=True)
class Doctor:
    """A doctor who sees patients; `username` is the account's."""

    docid: str
    name: str
    specialization: str
    username: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One appointment with the patient's name; `late` while a patient who should be here is not."""

    ticketid: str
    patientid: int
    patient: str
    docid: str
    doctor: str
    begins: datetime
    ends: datetime
    status: str
    priority_level: int
    remarks: str
    overbooked: str | None
    version: int
    late: bool


@dataclass(frozen=True, slots=True)
class Block:
    """Time in which a doctor sees nobody."""

    id: int
    docid: str
    begins: datetime
    ends: datetime
    kind: str
    reason: str


_VISIT = f"""
    select a.ticketid, a.patientid, concat_ws(' ', p.firstname, p.lastname) as patient, a.docid,
           concat('Dr. ', d.firstname, ' ', d.lastname) as doctor, lower(a.during) as begins, upper(a.during) as ends,
           a.status, a.priority_level, a.remarks, a.overbooked, a.version,
           a.status in ('booked', 'pending')
               and lower(a.during) + interval '{LATE_MINUTES} min' <= dams_now() as late
    from appointment a join patient p on p.patientid = a.patientid join doctor d on d.empid = a.docid
"""  # noqa: S608 - constants of ours
_DOCTOR = """select empid as docid, concat('Dr. ', firstname, ' ', lastname) as name, specialization, username
             from doctor where status"""


async def doctors(session: Session, *, specialization: str = "", skip: int = 0, limit: int = 500) -> list[Doctor]:
    """Who sees patients, by last name, of one specialization or of all."""
    rows = await session.execute(
        text(f"""{_DOCTOR} and (:wanted = '' or specialization = :wanted)
                 order by lastname, firstname, empid offset :skip limit :limit"""),
        {"wanted": specialization, "skip": skip, "limit": limit},
    )
    return [Doctor(**row) for row in rows.mappings()]


async def doctor(session: Session, docid: str) -> Doctor:
    """One who sees patients. Raises :class:`NotFound`."""
    row = (await session.execute(text(f"{_DOCTOR} and empid = :docid"), {"docid": docid})).mappings().first()
    if row is None:
        raise NotFound("There is no doctor of this number who sees patients.")
    return Doctor(**row)


async def doctor_of(session: Session, username: str) -> str | None:
    """The number of the doctor whose account this is."""
    sql = text("select empid from doctor where username = :name and status")
    return await session.scalar(sql, {"name": username})


async def specializations(session: Session) -> Sequence[str]:
    sql = text("select distinct specialization from doctor where status order by 1")
    return (await session.execute(sql)).scalars().all()


async def visits(session: Session, docids: Sequence[str], first: date, days: int = 1) -> list[Visit]:
    """What these doctors have from *first* on, in order of time; cancelled ones are left out."""
    # The index of the ranges knows only what is still to come. The day's finds the rest, with the day before for what
    # lasts past midnight.
    bounds = _bounds(docids, first, days) | {"first": first, "last": first + timedelta(days=days - 1)}
    rows = await session.execute(
        text(f"""{_VISIT} where a.docid = any(:docids) and a.date_scheduled between cast(:first as date) - 1 and :last
                 and a.during && tstzrange(:begins, :ends)
                 and {SHOWN.replace("status", "a.status")} order by lower(a.during), a.docid, a.id"""),
        bounds,
    )
    return [Visit(**row) for row in rows.mappings()]


async def busy(session: Session, on: date) -> set[str]:
    """The numbers of the doctors who have a visit on that day."""
    begins, ends = local_time.day_bounds(on)
    rows = await session.execute(
        text(f"""select distinct docid from appointment where date_scheduled between cast(:on as date) - 1 and :on
                 and during && tstzrange(:begins, :ends) and {SHOWN}"""),  # noqa: S608 - a constant
        {"on": on, "begins": begins, "ends": ends},
    )
    return set(rows.scalars())


async def visit(session: Session, ticketid: str) -> Visit:
    """One appointment. Raises :class:`NotFound`."""
    row = (await session.execute(text(f"{_VISIT} where a.ticketid = :ticket"), {"ticket": ticketid})).mappings().first()
    if row is None:
        raise NotFound("There is no appointment of this ticket.")
    return Visit(**row)


async def of_patient(session: Session, patientid: int, *, past: bool = False, limit: int = 50) -> list[Visit]:
    """A patient's appointments: what is still to come soonest first, or what is over newest first."""
    when = "upper(a.during) <= dams_now() or not" if past else "upper(a.during) > dams_now() and"
    order = "desc" if past else "asc"
    rows = await session.execute(
        text(f"""{_VISIT} where a.patientid = :patientid and ({when} {LIVE.replace("status", "a.status")})
                 order by lower(a.during) {order} limit :limit"""),
        {"patientid": patientid, "limit": limit},
    )
    return [Visit(**row) for row in rows.mappings()]


async def of_patient_between(session: Session, patientid: int, first: date, days: int) -> list[Visit]:
    """A patient's appointments of these days, cancelled ones among them, in order of time."""
    rows = await session.execute(
        text(f"""{_VISIT} where a.patientid = :patientid and a.during && tstzrange(:begins, :ends)
                 order by lower(a.during), a.id"""),
        _bounds([], first, days) | {"patientid": patientid},
    )
    return [Visit(**row) for row in rows.mappings()]


async def blocks(session: Session, docids: Sequence[str], first: date, days: int = 1) -> list[Block]:
    """Leave and blocks of these doctors that touch these days."""
    rows = await session.execute(
        text("""select id, docid, lower(during) as begins, upper(during) as ends, kind, reason from doctor_block
                where docid = any(:docids) and during && tstzrange(:begins, :ends) order by lower(during), id"""),
        _bounds(docids, first, days),
    )
    return [Block(**row) for row in rows.mappings()]


async def why_closed(session: Session, day: date) -> str:
    """Why the clinic is closed that day; empty if it is open."""
    holiday = await session.scalar(text("select name from holiday where day = :day"), {"day": day})
    if holiday is not None:
        return f"The clinic is closed on {day:%d %B %Y}: {holiday}."
    return "" if await opening(session, day) else f"The clinic is closed on {day:%A}s."


async def opening(session: Session, day: date) -> list[tuple[time, time]]:
    """When the clinic is open on days of this weekday, from and until."""
    rows = await session.execute(
        text("select opens, closes from opening_hours where weekday = :weekday order by opens"),
        {"weekday": day.weekday()},
    )
    return [(row.opens, row.closes) for row in rows]


async def now(session: Session) -> datetime:
    """The clinic's time, which the test clock can move."""
    return (await session.execute(text("select dams_now()"))).scalar_one()


async def today(session: Session) -> date:
    return (await now(session)).astimezone(local_time.zone()).date()


def _bounds(docids: Sequence[str], first: date, days: int) -> dict[str, Any]:
    begins = local_time.day_bounds(first)[0]
    ends = local_time.day_bounds(first + timedelta(days=days - 1))[1]
    return {"docids": list(docids), "begins": begins, "ends": ends}
