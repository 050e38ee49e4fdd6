"""The payment provider's part of a payment, on a queue of its own."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from temporalio import activity

from app.core.errors import Conflict
from app.db.session import Session, transaction
from app.engines import payments
from temporal.workflows.billing import PAYMENT_QUEUE, Visit

QUEUE = PAYMENT_QUEUE
KIND = "temporal-charge"


@activity.defn(name="charge_payment")
async def charge_payment(visit: Visit) -> str:
    """Charge what is due, once: the payment's id is the provider's key. The charge's id.

    Raises :class:`Declined`, and :class:`Conflict` for a payment that was given back already.
    """
    async with transaction() as session:
        if (await _known(session, visit)).get("refunded"):
            raise Conflict("The payment was given back.")
    amount = Decimal(visit.charge) - Decimal(visit.discount)
    charge_id = await payments.charge(visit.paymentid, amount, visit.paymentid)
    async with transaction() as session:
        await _note(session, visit, {"charge": charge_id})
    return charge_id


@activity.defn(name="refund_payment")
async def refund_payment(visit: Visit) -> None:
    """Give back what was charged. A charge whose answer was lost is found by its key first."""
    async with transaction() as session:
        known = await _known(session, visit)
    if known.get("refunded"):
        return
    charge_id = await payments.find(visit.paymentid)
    if charge_id:
        await payments.refund(f"{visit.paymentid}:refund", charge_id)
    async with transaction() as session:
        await _note(session, visit, {"charge": charge_id, "refunded": True})


async def _known(session: Session, visit: Visit) -> dict[str, object]:
    sql = text("select result from inbox where kind = :kind and key = :key for update")
    found = await session.scalar(sql.columns(result=JSONB), {"kind": KIND, "key": visit.paymentid})
    return dict(found or {})


async def _note(session: Session, visit: Visit, result: dict[str, object]) -> None:
    sql = text("""insert into inbox (kind, key, result) values (:kind, :key, :result)
                  on conflict (kind, key) do update set result = excluded.result""")
    given = {"kind": KIND, "key": visit.paymentid, "result": result}
    await session.execute(sql.bindparams(bindparam("result", type_=JSONB)), given)
