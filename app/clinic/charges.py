"""What a visit costs, from the bill to the release: the rows that the billing workflow writes.

Amounts are `Decimal` with two places. A bill is open, then paid and released, or voided.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, text

from app.clinic import audit
from app.core.errors import Conflict, Invalid, NotFound
from app.core.settings import settings
from app.db.session import Session

TICKET_LENGTH = 20
MOST = Decimal("9999999999.99")


@dataclass(frozen=True, slots=True)
class Due:
    """What is owed for the visit of one ticket."""

    paymentid: str
    ticketid: str
    patientid: int
    charge: Decimal
    discount: Decimal

    @property
    def amount(self) -> Decimal:
        """What is to be paid."""
        return self.charge - self.discount


async def check(session: Session, ticketid: str, charge: Decimal, discount: Decimal) -> int:
    """The patient of a visit that can be billed. Raises :class:`Invalid` with a sentence per field."""
    errors: dict[str, str] = {}
    for name, amount in (("charge", charge), ("discount", discount)):
        if not amount.is_finite() or not 0 <= amount <= MOST or amount != round(amount, 2):
            errors[name] = "An amount from 0.00, in cents."
    if not errors and discount >= charge:
        errors["discount"] = "The discount must be less than the charge."
    sql = text("select patientid from appointment where ticketid = :ticketid and status <> 'cancelled'")
    patientid = await session.scalar(sql, {"ticketid": ticketid})
    if patientid is None:
        errors["ticketid"] = "There is no visit of this ticket to bill."
    if errors:
        raise Invalid(errors)
    return int(patientid or 0)


async def bill(session: Session, due: Due, *, by: int | None = None) -> None:
    """Write the bill; it is open."""
    await session.execute(
        text("""insert into payment (paymentid, ticketid, patientid, charge, amount, discount, status)
                values (:paymentid, :ticketid, :patientid, :charge, 0, :discount, false)"""),
        {name: getattr(due, name) for name in Due.__slots__},
    )
    await _tell(session, "billed", due.paymentid, by)


async def release(session: Session, paymentid: str) -> None:
    """The charge is paid and the patient released.

    Raises :class:`NotFound`, and :class:`Conflict` for a bill that was voided or a visit that was cancelled meanwhile.
    """
    row = await _locked(session, paymentid)
    if row.voided_at is not None:
        raise Conflict("The bill was voided.")
    if row.visit == "cancelled":
        raise Conflict("The visit was cancelled.")
    await session.execute(
        text("""update payment set amount = charge - discount, status = true,
                    date_released = (dams_now() at time zone :zone)::date where paymentid = :paymentid"""),
        {"paymentid": paymentid, "zone": settings().clinic.time_zone},
    )
    await _tell(session, "released", paymentid)


async def void(session: Session, paymentid: str) -> None:
    """The bill no longer stands. Voiding twice changes nothing. Raises :class:`NotFound`."""
    row = await _locked(session, paymentid)
    if row.voided_at is None:
        await session.execute(
            text("""update payment set voided_at = now(), amount = 0, status = false, date_released = null
                    where paymentid = :paymentid"""),
            {"paymentid": paymentid},
        )
        await _tell(session, "voided", paymentid)


async def state(session: Session, paymentid: str) -> str:
    """`open`, `released` or `voided`. Raises :class:`NotFound`."""
    row = await _locked(session, paymentid)
    return "voided" if row.voided_at else "released" if row.status else "open"


async def _locked(session: Session, paymentid: str) -> Row[Any]:
    row = (
        await session.execute(
            text("""select p.status, p.voided_at,
                           (select a.status from appointment a where a.ticketid = p.ticketid) as visit
                    from payment p where p.paymentid = :paymentid for update of p"""),
            {"paymentid": paymentid},
        )
    ).first()
    if row is None:
        raise NotFound("There is no such bill.")
    return row


async def _tell(session: Session, what: str, paymentid: str, by: int | None = None) -> None:
    await audit.record(session, f"payment.{what}", actor_id=by, data={"payment": paymentid})
