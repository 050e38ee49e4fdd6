"""Bills of visits, paid by `BillVisitWorkflow` over two task queues: charged once, or everything given back."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from app.clinic import charges
from app.core.actor import Actor
from app.core.errors import NotFound
from app.db.session import Session
from app.engines import runs, workflows

WORKFLOW, QUEUE = "BillVisitWorkflow", "dams_billing_queue"
CASHIERS = ("doctor", "staff", "admin")


@dataclass(frozen=True, slots=True)
class Bill:
    """`status` is the run's: requested, running, completed, failed or cancelled; `state` the bill's: none, open,
    released or voided.
    """

    id: UUID
    status: str
    state: str
    error: str | None


async def ask(
    session: Session, actor: Actor, ticketid: str, charge: Decimal, discount: Decimal, *, key: str | None = None
) -> UUID:
    """Have a visit billed and paid when this transaction commits; the bill's id. The same *key* is the same bill.

    Raises :class:`Invalid`, and :class:`Conflict` for a key that was used for another bill.
    """
    actor.require(*CASHIERS)
    patientid = await charges.check(session, ticketid, charge, discount)
    return await workflows.ask(
        session,
        WORKFLOW,
        QUEUE,
        {
            "ticketid": ticketid,
            "patientid": patientid,
            "charge": str(charge),
            "discount": str(discount),
            "by": actor.id,
        },
        about={"ticket": ticketid},
        started_by=actor.id,
        own="paymentid",
        key=key,
    )


async def bill(session: Session, actor: Actor, bill_id: UUID) -> Bill:
    """How far it is. Raises :class:`NotFound`."""
    actor.require(*CASHIERS, "ops")
    run = await runs.get(session, bill_id)
    if run is None or run.name != WORKFLOW:
        raise NotFound("There is no such bill.")
    try:
        state = await charges.state(session, str(bill_id))
    except NotFound:
        state = "none"
    return Bill(run.id, run.status, state, run.error)
