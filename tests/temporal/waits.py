"""A workflow that does each of what a timeline tells; alone here, since the sandbox loads the module anew."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

LIMIT = timedelta(seconds=60)


@activity.defn(name="second_try")
async def second_try(_secret: str) -> str:
    """Fails the first time."""
    if activity.info().attempt == 1:
        raise ApplicationError("Ann Lee is not there", type="not-there")
    return "done"


@workflow.defn(name="Waits")
class Waits:
    """An activity, a timer that fires, a signal, and a timer that does not."""

    def __init__(self) -> None:
        self._called = False

    @workflow.signal
    def call(self, _secret: str) -> None:
        self._called = True

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity("second_try", "Ann Lee", start_to_close_timeout=LIMIT)
        await workflow.sleep(0.1)
        await workflow.wait_condition(lambda: self._called, timeout=3600)
