"""The books: diagnoses, payments and laboratory requests as lists, newest first, found by any word or number in them.

A page is what lies before a row's number: it costs the same at the first and at the last page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from app.clinic import patients
from app.db.session import Session


@dataclass(frozen=True, slots=True)
class Book:
    """One kind of list: its heading, its columns in order, and where they come from."""

    title: str
    columns: tuple[str, ...]
    sql: str
    searched: str


DIAGNOSES = Book(
    "Diagnoses",
    ("date", "patient", "number", "doctor", "diagnosis", "done"),
    """select x.id, x.date_submitted as date, concat_ws(' ', p.firstname, p.lastname) as patient,
              x.patientid as number, concat('Dr. ', d.firstname, ' ', d.lastname) as doctor,
              x.narrative as diagnosis, x.resolution as done
       from diagnosis x join patient p on p.patientid = x.patientid join doctor d on d.empid = x.docid""",
    "x.narrative || ' ' || x.resolution",
)
PAYMENTS = Book(
    "Payments",
    ("ticket", "patient", "number", "charge", "discount", "paid", "outcome", "released"),
    """select x.id, x.ticketid as ticket, concat_ws(' ', p.firstname, p.lastname) as patient, x.patientid as number,
              x.charge, x.discount, x.amount as paid,
              case when x.voided_at is not null then 'voided' when x.status then 'released' else 'on hold' end
                  as outcome, x.date_released as released
       from payment x join patient p on p.patientid = x.patientid""",
    "x.ticketid",
)
REQUESTS = Book(
    "Laboratory requests",
    ("doctor", "asked of", "details", "approved", "state"),
    """select x.id, concat('Dr. ', d.firstname, ' ', d.lastname) as doctor,
              concat_ws(' ', a.firstname, a.lastname) as "asked of", x.details, x.date_approved as approved,
              case when x.status then 'approved' else 'open' end as state
       from request x join doctor d on d.empid = x.docid join administrator a on a.empid = x.adminid""",
    "x.details",
)


async def page(
    session: Session, book: Book, wanted: str = "", *, before: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Rows that hold every word of *wanted*, or that belong to a patient of that name or number; each has its `id`."""
    given: dict[str, Any] = {"before": before or 2**31 - 1, "limit": limit}
    where = "true"
    if wanted.strip():
        fits, found = patients.matching(wanted)
        given |= found
        own = " and ".join(f"lower({book.searched}) like :{name}" for name in found if name != "number")
        where = f"({own or 'false'})"
        if "x.patientid" in book.sql:
            where = f"({where} or x.patientid in (select patientid from patient where {fits}))"  # noqa: S608 - constants
    statement = text(f"{book.sql} where {where} and x.id < :before order by x.id desc limit :limit")
    return [dict(row) for row in (await session.execute(statement, given)).mappings()]


async def of_patient(session: Session, book: Book, patientid: int, limit: int = 50) -> list[dict[str, Any]]:
    """What one patient has in a book, newest first."""
    statement = text(f"{book.sql} where x.patientid = :patientid order by x.id desc limit :limit")
    rows = await session.execute(statement, {"patientid": patientid, "limit": limit})
    return [dict(row) for row in rows.mappings()]
