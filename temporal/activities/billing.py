"""The clinic's part of a payment: the bill, the mail, the release. Each once for a payment."""

from __future__ import annotations

from decimal import Decimal

from temporalio import activity

from app.clinic import charges
from app.clinic.charges import Due
from app.core.errors import NotFound
from app.db.session import transaction
from app.engines import outbox
from app.engines.once import first_time
from temporal.workflows.billing import QUEUE as QUEUE
from temporal.workflows.billing import Visit

KIND = "temporal-payment"


@activity.defn(name="bill_visit")
async def bill_visit(visit: Visit) -> None:
    """Write the bill. Raises :class:`Invalid` for a visit that cannot be billed."""
    async with transaction() as session:
        if await first_time(session, KIND, f"bill:{visit.paymentid}"):
            patientid = await charges.check(session, visit.ticketid, Decimal(visit.charge), Decimal(visit.discount))
            due = Due(visit.paymentid, visit.ticketid, patientid, Decimal(visit.charge), Decimal(visit.discount))
            await charges.bill(session, due, by=visit.by)


@activity.defn(name="notify_payment")
async def notify_payment(visit: Visit) -> None:
    """Tell the patient that it was paid; the mail says neither how much nor for what."""
    await _mail(visit, "paid", "Your payment was received", "Thank you: your payment was received.")


@activity.defn(name="release_payment")
async def release_payment(visit: Visit) -> None:
    """Raises :class:`Conflict` for a visit that was cancelled meanwhile."""
    async with transaction() as session:
        if await first_time(session, KIND, f"release:{visit.paymentid}"):
            await charges.release(session, visit.paymentid)


@activity.defn(name="void_bill")
async def void_bill(visit: Visit) -> None:
    """Take the bill back, if it was written, and tell the patient if they were told before."""
    async with transaction() as session:
        # The mark of the bill is taken here, so that a bill that comes late is not written any more.
        if await first_time(session, KIND, f"bill:{visit.paymentid}"):
            return
        try:
            await charges.void(session, visit.paymentid)
        except NotFound:
            return
    await _mail(visit, "voided", "Your payment was returned", "Your bill was taken back; nothing is to be paid.")


async def _mail(visit: Visit, key: str, subject: str, text: str) -> None:
    payload = {"to_patient": [visit.patientid], "subject": subject, "text": f"{text} Ticket: {visit.ticketid}\n"}
    async with transaction() as session:
        await outbox.enqueue(session, "mail", f"payment:{visit.paymentid}:{key}", payload)
