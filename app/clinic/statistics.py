"""Figures about doctors."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import text

from app.core.errors import NotFound
from app.db.session import Session


async def patients_of(session: Session, docid: str) -> int:
    """How many different patients have an appointment with the doctor. Raises :class:`NotFound`."""
    await _known(session, docid)
    sql = "select count(distinct patientid) from appointment where docid = :docid"
    return await session.scalar(text(sql), {"docid": docid}) or 0


async def requests_of(session: Session, docid: str) -> int:
    """How many laboratory requests the doctor has made. Raises :class:`NotFound`."""
    await _known(session, docid)
    return await session.scalar(text("select count(*) from request where docid = :docid"), {"docid": docid}) or 0


async def doctors(session: Session) -> list[str]:
    """The ids of the doctors who work here, in order."""
    rows = await session.execute(text("select empid from doctor where status order by empid"))
    return [row.empid for row in rows]


async def booked(session: Session, docid: str, day: date) -> tuple[int, Decimal]:
    """How many live appointments a doctor has on a day, and the hours they take."""
    found = await session.execute(
        text("""select count(*), coalesce(sum(consult_hrs), 0) from appointment where docid = :docid
                and date_scheduled = :day and status in ('pending', 'booked', 'arrived', 'checked-in', 'fulfilled')"""),
        {"docid": docid, "day": day},
    )
    count, hours = found.one()
    return count, hours


async def _known(session: Session, docid: str) -> None:
    if not await session.scalar(text("select exists(select from doctor where empid = :docid)"), {"docid": docid}):
        raise NotFound("There is no doctor with this id.")
