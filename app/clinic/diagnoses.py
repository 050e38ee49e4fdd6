"""Diagnoses: what a doctor wrote about a patient, and what was done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import text

from app.db.session import Session


@dataclass(frozen=True, slots=True)
class Diagnosis:
    id: int
    docid: str
    patientid: int
    narrative: str
    resolution: str
    date_submitted: date


async def of_patient(session: Session, docid: str, patientid: int) -> list[Diagnosis]:
    """What this doctor wrote about this patient, oldest first; never another's."""
    rows = await session.execute(
        text("""select id, docid, patientid, narrative, resolution, date_submitted from diagnosis
                where docid = :docid and patientid = :patientid order by date_submitted, id"""),
        {"docid": docid, "patientid": patientid},
    )
    return [Diagnosis(*row) for row in rows]
