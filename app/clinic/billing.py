"""Payments of visits: what is owed, the row that says what was paid, the notice that releases the patient.

Amounts are `Decimal` with two places. Who decides whether a payment is released is the payment process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.clinic import documents, notices
from app.core.errors import Invalid, NotFound
from app.core.settings import settings
from app.db.session import Session

NOTICE = "release-notice"
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Bill:
    """What one payment says."""

    ticketid: str
    patientid: int
    charge: Decimal
    amount: Decimal
    discount: Decimal

    @property
    def balance(self) -> Decimal:
        """What is still owed; below zero it is what goes back to the patient."""
        return self.charge - self.discount - self.amount


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as it stands in the books. `paymentid` is the process instance that took it."""

    paymentid: str
    bill: Bill
    released: bool
    date_released: date | None
    patient: str
    notice: UUID | None


def bill(values: Mapping[str, Any]) -> Bill:
    """The bill in the variables of a process; no discount is 0.00."""
    charge, amount, discount = (Decimal(str(values.get(name) or 0)) for name in ("charge", "amount", "discount"))
    return Bill(
        str(values["ticketid"]).strip(),
        int(values["patientid"]),
        charge.quantize(CENT),
        amount.quantize(CENT),
        discount.quantize(CENT),
    )


async def check(session: Session, given: Bill) -> None:
    """Raises :class:`Invalid` for a patient nobody knows, another patient's ticket, a discount above the charge."""
    errors: dict[str, str] = {}
    row = (
        await session.execute(
            text("""select exists(select from patient where patientid = :patient) as known,
                           (select patientid from appointment where ticketid = :ticket) as owner"""),
            {"patient": given.patientid, "ticket": given.ticketid},
        )
    ).one()
    if not row.known:
        errors["patientid"] = f"There is no patient {given.patientid}."
    elif row.owner not in (None, given.patientid):
        errors["ticketid"] = "This ticket is another patient's."
    if given.discount > given.charge:
        errors["discount"] = "The discount is more than the charge."
    if errors:
        raise Invalid(errors)


async def record(session: Session, paymentid: str, given: Bill, *, released: bool) -> bool:
    """Write the payment into the books, once for each *paymentid*. False if it stands there already."""
    made = await session.execute(
        text("""insert into payment (paymentid, ticketid, patientid, charge, amount, discount, status, date_released)
                values (:paymentid, :ticketid, :patientid, :charge, :amount, :discount, :status,
                        case when :status then (dams_now() at time zone :zone)::date end)
                on conflict (paymentid) do nothing returning id"""),
        {
            "paymentid": paymentid,
            "ticketid": given.ticketid,
            "patientid": given.patientid,
            "charge": given.charge,
            "amount": given.amount,
            "discount": given.discount,
            "status": released,
            "zone": settings().clinic.time_zone,
        },
    )
    return made.first() is not None


async def issue_notice(session: Session, given: Bill, *, case: str, instance_id: UUID, by: int | None = None) -> UUID:
    """Make the release notice of a recorded payment and keep it with the case; its document id."""
    paid = await payment(session, str(instance_id))
    drawn = notices.Notice(
        clinic=settings().clinic.name,
        case=case,
        ticketid=given.ticketid,
        patient=paid.patient,
        patientid=given.patientid,
        released=paid.date_released,
        lines=(
            ("Charge", given.charge),
            ("Discount", given.discount),
            ("Paid", given.amount),
            ("To be returned" if given.balance < 0 else "Balance", abs(given.balance)),
        ),
    )
    content = await asyncio.to_thread(notices.draw, drawn)
    return await documents.keep(
        session,
        NOTICE,
        f"release-notice-{case}.pdf",
        "application/pdf",
        content,
        case=case,
        instance_id=instance_id,
        patientid=given.patientid,
        by=by,
    )


_PAYMENT = """
    select p.paymentid, p.ticketid, p.patientid, p.charge, p.amount, p.discount, p.status, p.date_released,
           concat_ws(' ', t.firstname, t.lastname) as patient,
           (select d.id from document d where d.kind = 'release-notice' and d.instance_id::text = p.paymentid) as notice
    from payment p join patient t on t.patientid = p.patientid
"""


async def payment(session: Session, paymentid: str) -> Payment:
    """One payment. Raises :class:`NotFound`."""
    row = (await session.execute(text(f"{_PAYMENT} where p.paymentid = :id"), {"id": paymentid})).first()
    if row is None:
        raise NotFound("There is no such payment.")
    return _payment(row)


async def newest(session: Session, limit: int = 10) -> list[Payment]:
    """The payments taken last, newest first."""
    rows = await session.execute(text(f"{_PAYMENT} order by p.id desc limit :limit"), {"limit": limit})
    return [_payment(row) for row in rows]


def _payment(row: Any) -> Payment:
    given = Bill(row.ticketid, row.patientid, row.charge, row.amount, row.discount)
    return Payment(row.paymentid, given, row.status, row.date_released, row.patient, row.notice)
