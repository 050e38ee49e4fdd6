"""Patients as staff look them up: search by any part of a name, number, mail address or telephone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text

from app.core.errors import NotFound
from app.db.people import SEARCHED
from app.db.session import Session

MAX_WORDS = 5
TRIGRAM = 3
"""Letters that a word needs to be found by the index of its trigrams."""


@dataclass(frozen=True, slots=True)
class Patient:
    """Who somebody is and how to reach them; nothing medical."""

    patientid: int
    username: str
    firstname: str
    midname: str
    lastname: str
    birthday: date
    email: str
    mobile: str
    address: str
    profession: str
    date_registered: date
    reminders: bool

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.firstname, self.midname, self.lastname) if part)


_COLUMNS = ", ".join(Patient.__slots__)


async def search(session: Session, wanted: str, *, after: int = 0, limit: int = 25) -> list[Patient]:
    """Patients of whom every word of *wanted* is a part, or whose number it is, from behind number *after*."""
    fits, given = matching(wanted)
    given |= {"after": after, "limit": limit}
    rows = await session.execute(
        text(f"""select {_COLUMNS} from patient where {fits} and patientid > :after
                 order by patientid limit :limit"""),  # noqa: S608 - numbered parameters of our own
        given,
    )
    return [Patient(**row) for row in rows.mappings()]


def matching(wanted: str) -> tuple[str, dict[str, Any]]:
    """The condition on `patient` that *wanted* means, and its parameters: `w0`, `w1` … and `number`."""
    words = wanted.lower().split()[:MAX_WORDS]
    given: dict[str, Any] = {f"w{n}": f"%{escaped(word)}%" for n, word in enumerate(words)}
    fits = " and ".join(f"{SEARCHED} like :{name}" for name in given) or "true"
    return f"({fits} or patientid = :number)", given | {"number": _number(wanted)}


async def find(session: Session, patientid: int) -> Patient:
    """One patient. Raises :class:`NotFound`."""
    given = {"number": patientid if abs(patientid) < 2**31 else 0}
    row = (
        (await session.execute(text(f"select {_COLUMNS} from patient where patientid = :number"), given))  # noqa: S608 - our own columns
        .mappings()
        .first()
    )
    if row is None:
        raise NotFound("There is no patient of this number.")
    return Patient(**row)


async def of_account(session: Session, username: str) -> Patient | None:
    """The patient whose account this is."""
    row = (
        (
            await session.execute(text(f"select {_COLUMNS} from patient where username = :name"), {"name": username})  # noqa: S608
        )
        .mappings()
        .first()
    )
    return Patient(**row) if row else None


def _number(wanted: str) -> int:
    digits = wanted.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else -1


def escaped(word: str) -> str:
    """A word for LIKE in which nothing stands for anything else."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def readers(session: Session, patientid: int, limit: int = 10) -> list[tuple[str, datetime]]:
    """Who has read this record, and when, newest first."""
    rows = await session.execute(
        text("""select coalesce(l.display_name, 'DAMS') as name, e.at from case_event e
                left join login l on l.id = e.actor_id
                where e.kind = 'patient.read' and e.case_no is null and e.data ->> 'patient' = :number
                order by e.id desc limit :limit"""),
        {"number": str(patientid), "limit": limit},
    )
    return [(row.name, row.at) for row in rows]
