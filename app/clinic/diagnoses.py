"""Diagnoses: what a doctor wrote about a patient, and what was done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import text

from app.clinic import audit
from app.core.errors import Invalid
from app.core.settings import settings
from app.db.session import Session

LONGEST = 500


@dataclass(frozen=True, slots=True)
class Diagnosis:
    id: int
    docid: str
    patientid: int
    narrative: str
    resolution: str
    date_submitted: date


@dataclass(frozen=True, slots=True)
class Wanted:
    """A diagnosis as a doctor writes it: what was found, and what is prescribed; up to 500 characters each."""

    docid: str
    patientid: int
    narrative: str
    resolution: str


async def record(session: Session, wanted: Wanted, *, by: int | None = None, case: str | None = None) -> int:
    """Keep a diagnosis under today's date; gives its number.

    Raises:
        Invalid: an unknown doctor or patient, or a text that is too long.
    """
    errors = {
        name: "Up to 500 characters." for name in ("narrative", "resolution") if len(getattr(wanted, name)) > LONGEST
    }
    known = (
        await session.execute(
            text("""select exists(select from doctor where empid = :docid and status) as doctor,
                           exists(select from patient where patientid = :patientid) as patient"""),
            {"docid": wanted.docid, "patientid": wanted.patientid if abs(wanted.patientid) < 2**31 else 0},
        )
    ).one()
    errors |= {} if known.doctor else {"docid": "There is no doctor of this number who sees patients."}
    errors |= {} if known.patient else {"patientid": "There is no patient of this number."}
    if errors:
        raise Invalid(errors)
    given = {"docid": wanted.docid, "patientid": wanted.patientid, "zone": settings().clinic.time_zone}
    number = await session.scalar(
        text("""insert into diagnosis (docid, patientid, narrative, resolution, date_submitted)
                values (:docid, :patientid, :narrative, :resolution, (dams_now() at time zone :zone)::date)
                returning id"""),
        given | {"narrative": wanted.narrative, "resolution": wanted.resolution},
    )
    await audit.record(session, "diagnosis.recorded", actor_id=by, case=case, data={"diagnosis": number})
    return int(number or 0)


async def of_patient(session: Session, docid: str, patientid: int) -> list[Diagnosis]:
    """What this doctor wrote about this patient, oldest first; never another's."""
    rows = await session.execute(
        text("""select id, docid, patientid, narrative, resolution, date_submitted from diagnosis
                where docid = :docid and patientid = :patientid order by date_submitted, id"""),
        {"docid": docid, "patientid": patientid},
    )
    return [Diagnosis(*row) for row in rows]
