"""The payment of a visit as a specification in Python, and what its events write: the payment, the release notice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.clinic import billing
from app.core.actor import Actor
from app.db.session import Session
from app.engines.spiff import instances, library, listeners
from app.engines.spiff.coded.operators import Sum
from app.engines.spiff.listeners import Heard
from app.engines.spiff.records import InstanceView

PROCESS = "dams_payment"
PAY, CHECK, RELEASE, ON_HOLD = "dams_patient_pay", "payment_check", "dams_patient_release", "dams_patient_onhold"

FORM: list[dict[str, Any]] = [
    {"id": "ticketid", "label": "Ticket", "type": "string", "required": True, "maxlength": 20},
    {"id": "patientid", "label": "Patient number", "type": "long", "required": True, "min": 1, "max": 2147483647},
    {"id": "charge", "label": "Charge", "type": "money", "required": True, "min": 0},
    {"id": "amount", "label": "Amount paid", "type": "money", "required": True, "min": 0},
    {"id": "discount", "label": "Discount", "type": "money", "required": True, "default": "0.00", "min": 0},
]
"""Whether it is paid and when it is released is decided by the process, so no field asks for it."""


def spec() -> Any:
    """Pay, check, then release or on hold. What is paid and the discount together cover the charge, or not."""
    flow = library.WorkflowSpec(PROCESS, addstart=True)
    flow.description = "Payment"
    asked = {"candidate_roles": ["staff", "admin"], "form": FORM}
    pay = library.Simple(flow, PAY, manual=True, description="Patient's payment", data=asked)
    check = library.ExclusiveChoice(flow, CHECK, description="Covered?")
    release = library.Simple(flow, RELEASE, description="Release")
    on_hold = library.Simple(flow, ON_HOLD, description="On hold")
    flow.start.connect(pay)
    pay.connect(check)
    charge = library.Attrib("charge")
    covered = Sum(library.Attrib("amount"), library.Attrib("discount"))
    check.connect_if(library.Equal(covered, charge), release)
    check.connect_if(library.LessThan(charge, covered), release)
    check.connect(on_hold)
    return flow


async def pay(
    session: Session, actor: Actor, entered: Mapping[str, Any], *, key: str | None = None, case: str | None = None
) -> InstanceView:
    """Start the process and complete its payment form; the same *key* again is the same payment.

    Raises:
        Invalid: fields that must be mended; nothing was written.
        NotFound: the process is not deployed.
    """
    view = await instances.start(session, actor, PROCESS, {}, key=key, case=case)
    if not view.tasks:
        return view
    return await instances.complete(session, actor, view.tasks[0].id, entered, key=key)


@listeners.on(PROCESS, PAY, "completed")
async def _check(session: Session, heard: Heard) -> None:
    await billing.check(session, billing.bill(heard.variables))


@listeners.on(PROCESS, RELEASE, "completed")
async def _release(session: Session, heard: Heard) -> None:
    bill = billing.bill(heard.variables)
    if await billing.record(session, str(heard.instance_id), bill, released=True):
        await billing.issue_notice(session, bill, case=heard.case_no, instance_id=heard.instance_id, by=heard.actor_id)


@listeners.on(PROCESS, ON_HOLD, "completed")
async def _hold(session: Session, heard: Heard) -> None:
    await billing.record(session, str(heard.instance_id), billing.bill(heard.variables), released=False)
