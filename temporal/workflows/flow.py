"""A flow of steps that share values: run once when asked for, or by a schedule. A step that fails fails the run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

QUEUE = "dams_flow_queue"
LIMIT = timedelta(seconds=60)
TRIES = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3)


@dataclass
class Step:
    """One step. `given` are its parameters, in which ``{name}`` stands for a shared value; `shares` names its own."""

    id: str
    kind: str
    given: dict[str, Any] = field(default_factory=dict[str, Any])
    shares: str = ""
    after: list[str] = field(default_factory=list[str])


@dataclass
class Flow:
    """Steps, each after those it names. The run's message is the shared value `report_msg`."""

    flow: str
    steps: list[Step]


@dataclass
class Call:
    """A step with what the steps before it share."""

    step: Step
    shared: dict[str, Any]


@workflow.defn(name="FlowWorkflow")
class FlowWorkflow:
    """Runs each step as soon as those before it are done, so branches run side by side."""

    def __init__(self) -> None:
        self._shared: dict[str, Any] = {}
        self._done: list[str] = []

    @workflow.run
    async def run(self, flow: Flow) -> dict[str, Any]:
        left = list(flow.steps)
        while left:
            ready = [step for step in left if set(step.after) <= set(self._done)]
            if not ready:
                raise ApplicationError("Steps wait for each other.", type="invalid", non_retryable=True)
            await asyncio.gather(*(self._step(step) for step in ready))
            left = [step for step in left if step not in ready]
        return {"message": str(self._shared.get("report_msg", "")), "steps": self._done}

    async def _step(self, step: Step) -> None:
        call = Call(step, {**self._shared})
        try:
            value = await workflow.execute_activity(
                "run_step", call, start_to_close_timeout=LIMIT, retry_policy=TRIES, summary=step.id
            )
        except ActivityError as error:
            said = error.cause.message if isinstance(error.cause, ApplicationError) else "it was given up"
            raise ApplicationError(f"Step {step.id}: {said}", type="step-failed", non_retryable=True) from None
        self._shared[step.shares or step.id] = value
        self._done.append(step.id)

    @workflow.query
    def done(self) -> list[str]:
        """The steps that are done, in the order in which they ended."""
        return self._done
