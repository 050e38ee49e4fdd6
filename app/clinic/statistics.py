"""Figures about doctors."""

from __future__ import annotations

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


async def _known(session: Session, docid: str) -> None:
    if not await session.scalar(text("select exists(select from doctor where empid = :docid)"), {"docid": docid}):
        raise NotFound("There is no doctor with this id.")
