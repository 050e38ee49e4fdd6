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
        known = await _held(session, visit)
    if not known.get("refunded"):
        amount = Decimal(visit.charge) - Decimal(visit.discount)
        charge_id = await payments.charge(visit.paymentid, amount, visit.paymentid)
        async with transaction() as session:
            known = await _held(session, visit) | {"charge": charge_id}
            await _note(session, visit, known)
        if not known.get("refunded"):
            return charge_id
    await _give_back(visit)  # what was called off while it was charged nobody else knows of
    raise Conflict("The payment was given back.")


@activity.defn(name="refund_payment")
async def refund_payment(visit: Visit) -> None:
    """Give back what was charged. A charge whose answer was lost is found by its key; one that is under way finds the
    note that is written first, and gives itself back.
    """
    async with transaction() as session:
        await _note(session, visit, await _held(session, visit) | {"refunded": True})
    await _give_back(visit)


async def _give_back(visit: Visit) -> None:
    if charge_id := await payments.find(visit.paymentid):
        await payments.refund(f"{visit.paymentid}:refund", charge_id)


async def _held(session: Session, visit: Visit) -> dict[str, object]:
    """What is known of the payment, kept from others until the transaction ends."""
    given = {"kind": KIND, "key": visit.paymentid}
    await session.execute(
        text("insert into inbox (kind, key, result) values (:kind, :key, '{}') on conflict (kind, key) do nothing"),
        given,
    )
    sql = text("select result from inbox where kind = :kind and key = :key for update")
    return dict(await session.scalar(sql.columns(result=JSONB), given) or {})


async def _note(session: Session, visit: Visit, result: dict[str, object]) -> None:
    sql = text("""insert into inbox (kind, key, result) values (:kind, :key, :result)
                  on conflict (kind, key) do update set result = excluded.result""")
    given = {"kind": KIND, "key": visit.paymentid, "result": result}
    await session.execute(sql.bindparams(bindparam("result", type_=JSONB)), given)
