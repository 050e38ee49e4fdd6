"""The books: diagnoses, payments and laboratory requests as lists, newest first, found by any word or number in them.

A page is what lies before a row's number: it costs the same at the first and at the last page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from app.clinic import patients
from app.db.care import DIAGNOSIS_SEARCHED, PAYMENT_SEARCHED, REQUEST_SEARCHED
from app.db.session import Session


@dataclass(frozen=True, slots=True)
class Book:
    """One kind of list: its heading, its columns in order, and where they come from."""

    title: str
    columns: tuple[str, ...]
    table: str
    sql: str
    searched: str


DIAGNOSES = Book(
    "Diagnoses",
    ("date", "patient", "number", "doctor", "diagnosis", "done"),
    "diagnosis",
    """select x.id, x.date_submitted as date, concat_ws(' ', p.firstname, p.lastname) as patient,
              x.patientid as number, concat('Dr. ', d.firstname, ' ', d.lastname) as doctor,
              x.narrative as diagnosis, x.resolution as done
       from diagnosis x join patient p on p.patientid = x.patientid join doctor d on d.empid = x.docid""",
    DIAGNOSIS_SEARCHED,
)
PAYMENTS = Book(
    "Payments",
    ("ticket", "patient", "number", "charge", "discount", "paid", "outcome", "released"),
    "payment",
    """select x.id, x.ticketid as ticket, concat_ws(' ', p.firstname, p.lastname) as patient, x.patientid as number,
              x.charge, x.discount, x.amount as paid,
              case when x.voided_at is not null then 'voided' when x.status then 'released' else 'on hold' end
                  as outcome, x.date_released as released
       from payment x join patient p on p.patientid = x.patientid""",
    PAYMENT_SEARCHED,
)
REQUESTS = Book(
    "Laboratory requests",
    ("doctor", "asked of", "details", "approved", "state"),
    "request",
    """select x.id, concat('Dr. ', d.firstname, ' ', d.lastname) as doctor,
              concat_ws(' ', a.firstname, a.lastname) as "asked of", x.details, x.date_approved as approved,
              case when x.status then 'approved' else 'open' end as state
       from request x join doctor d on d.empid = x.docid join administrator a on a.empid = x.adminid""",
    REQUEST_SEARCHED,
)


async def page(
    session: Session, book: Book, wanted: str = "", *, before: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Rows that hold every word of *wanted*, or that belong to a patient of that name or number; each has its `id`."""
    given: dict[str, Any] = {"before": before or 2**31 - 1, "limit": limit}
    where = "x.id < :before"
    if wanted.strip():
        fits, found = patients.matching(wanted)
        given |= found
        where = f"x.id in ({_found(book, wanted, fits)})"
    statement = text(f"{book.sql} where {where} order by x.id desc limit :limit")
    return [dict(row) for row in (await session.execute(statement, given)).mappings()]


def _found(book: Book, wanted: str, fits: str) -> str:
    """The numbers of the newest rows that are meant. One search for each index: PostgreSQL reads the whole table where
    one condition or the other will do. A word of three letters is found by its trigrams, not on the way from the newest
    row to the oldest, which is what the limit suggests to PostgreSQL; shorter ones are in almost every row.
    """
    words = wanted.split()[: patients.MAX_WORDS]
    fence = "offset 0" if any(len(word) >= patients.TRIGRAM for word in words) else ""
    own = " and ".join(f"{book.searched} like :w{n}" for n in range(len(words)))
    searches = [f"select id from {book.table} where {own} and id < :before {fence}"]  # noqa: S608
    if "x.patientid" in book.sql:
        theirs = f"(select patientid from patient where {fits} {fence}) p"  # noqa: S608
        searches.append(f"select b.id from {book.table} b join {theirs} using (patientid) where b.id < :before {fence}")  # noqa: S608
    newest = (f"(select id from ({search}) found order by id desc limit :limit)" for search in searches)  # noqa: S608
    return " union ".join(newest)


async def of_patient(session: Session, book: Book, patientid: int, limit: int = 50) -> list[dict[str, Any]]:
    """What one patient has in a book, newest first."""
    statement = text(f"{book.sql} where x.patientid = :patientid order by x.id desc limit :limit")
    rows = await session.execute(statement, {"patientid": patientid, "limit": limit})
    return [dict(row) for row in rows.mappings()]
