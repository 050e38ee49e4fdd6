"""The saga of a visit's payment over two task queues: bill → charge → notify → release, undone when a step fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from temporal.workflows import nearby

QUEUE = "dams_billing_queue"
PAYMENT_QUEUE = "dams_payment_queue"
LIMIT = timedelta(seconds=20)


@dataclass
class Visit:
    """What is to be paid. The payment's id is the key of the charge, so it is charged once whatever happens."""

    paymentid: str
    ticketid: str
    patientid: int
    charge: str
    discount: str = "0.00"
    by: int | None = None


@dataclass
class Charged:
    """A charge at the payment provider."""

    paymentid: str
    charge_id: str


@workflow.defn(name="BillVisitWorkflow")
class BillVisitWorkflow:
    """Ends with the patient released, or with everything given back."""

    def __init__(self) -> None:
        self._state = "started"
        self._undo: list[tuple[str, Any, str]] = []

    @workflow.run
    async def run(self, visit: Visit) -> dict[str, str]:
        try:
            await self._pay(visit)
        except (ActivityError, asyncio.CancelledError) as error:
            await self._compensate()
            if isinstance(error, ActivityError) and isinstance(error.cause, ApplicationError):
                # The saga did what it should: what it says is why it ended here.
                raise ApplicationError(error.cause.message, type=error.cause.type, non_retryable=True) from None
            raise
        return {"paymentid": visit.paymentid, "state": self._state}

    async def _pay(self, visit: Visit) -> None:
        # Each undo is noted before its step: a step whose answer was lost may have had its effect.
        self._undo.append(("void_bill", visit, QUEUE))
        await self._step("bill_visit", visit, "billed")
        self._undo.append(("refund_payment", visit, PAYMENT_QUEUE))
        await self._step("charge_payment", visit, "charged", PAYMENT_QUEUE)
        await self._step("notify_payment", visit, "notified")
        await self._step("release_payment", visit, "released")

    async def _step(self, activity: str, visit: Visit, state: str, queue: str = QUEUE) -> None:
        if queue == QUEUE:
            await nearby.execute(activity, visit, LIMIT)
        else:
            await workflow.execute_activity(activity, visit, task_queue=queue, start_to_close_timeout=LIMIT)
        self._state = state

    async def _compensate(self) -> None:
        """The newest effect first. Cancelling the workflow does not stop it."""
        self._state = "undoing"
        for activity, given, queue in reversed(self._undo):
            doing = asyncio.create_task(
                workflow.execute_activity(activity, given, task_queue=queue, start_to_close_timeout=LIMIT)
            )
            try:
                await asyncio.shield(doing)
            except asyncio.CancelledError:  # asked to cancel once more: it is being undone already
                await doing
        self._state = "undone"

    @workflow.query
    def state(self) -> str:
        """Where it stands: started, billed, charged, notified, released, undoing or undone."""
        return self._state
