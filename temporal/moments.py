"""What workflows and activities do, told in the timeline of their case: tries of activities, timers, signals.

Activities tell it themselves. That a workflow begins, timers and signals are read from what the server hands to it,
outside of its own code: that stays as it is, and so do its histories. A replay tells them again under the same keys,
so what a worker that died could not write is made up for by the one that goes on.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Iterator
from typing import Any, TypeVar

from temporalio import activity
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.exceptions import ApplicationError, is_cancelled_exception
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkflowInstance,
    WorkflowInstanceDetails,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from app.core.log import log
from app.core.together import Together
from app.db.session import reading, transaction
from app.engines import moments, workflows
from app.engines.moments import OfWorkflow
from temporal.activities.failures import AWAY

T = TypeVar("T")
REPORTS = ("record_began", "record_ended")
"""Activities that write the run's own events."""
SECONDS = 1.0
OURS = SandboxRestrictions.default.with_passthrough_modules("temporal")
"""Our own workflows are not imported anew for each run, which takes twenty times as long as all the rest of a sandbox
and lets no other workflow begin meanwhile. What they may not do is found by the replays of the tests, in a sandbox that
lets nothing through.
"""


async def _write(told: list[OfWorkflow]) -> None:
    async with reading() as session:
        await moments.of_workflows(session, told)


_told = Together(_write)


async def _begin(names: list[str]) -> None:
    async with transaction() as session:
        await workflows.began(session, names)


_began = Together(_begin)


class Telling(Interceptor):
    """Adds the telling to every activity of a worker."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        return _Told(next)


class _Told(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        if activity.info().activity_type in REPORTS:
            return await self.next.execute_activity(input)
        await _told.add(_moment("activity-started"))
        try:
            result = await self.next.execute_activity(input)
        except Exception as error:
            if not is_cancelled_exception(error):
                await _try_to_tell(_moment("activity-failed", code=_code(error)))
            raise
        await _told.add(_moment("activity-completed"))  # where that fails the activity is done once more, harmlessly
        return result


def _moment(what: str, **further: Any) -> OfWorkflow:
    info = activity.info()
    data = {"name": info.activity_type, "attempt": info.attempt} | further
    key = f"{info.workflow_run_id}:{info.activity_id}:{what}:{info.attempt}"
    return OfWorkflow(info.workflow_id or "", what, key, data)


def _code(error: Exception) -> str:
    """Its text may hold anything."""
    return (error.type if isinstance(error, ApplicationError) else None) or type(error).__name__


async def _try_to_tell(moment: OfWorkflow) -> None:
    """The activity's own error must reach the server, whatever became of the database."""
    try:
        await _told.add(moment)
    except AWAY as error:
        log.warning("a moment was not told", what=moment.what, error=type(error).__name__)


class Undisturbed(SandboxedWorkflowRunner):
    """The SDK's own runner, which loads the workflow's module anew each time; no garbage is collected meanwhile.

    Before Python 3.12 a finalizer that imports, as that of a coroutine that nobody awaited does, breaks the load that
    it interrupts: `KeyError` in `_ModuleLock.acquire` (CPython issue 91351).
    """

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        collects = gc.isenabled()
        gc.disable()
        try:
            return super().create_instance(det)
        finally:
            if collects:
                gc.enable()


class Overheard(Undisturbed):
    """What the server hands to a workflow is looked at on the way. Used on the loop that writes."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        made, loop, signals = super().create_instance(det), asyncio.get_running_loop(), itertools.count(1)
        activate, workflow_id = made.activate, det.info.workflow_id

        def overheard(act: WorkflowActivation) -> Any:
            if any(job.HasField("initialize_workflow") for job in act.jobs):
                loop.call_soon_threadsafe(_write_soon, _began, workflow_id)
            for moment in _heard(workflow_id, act, signals):
                loop.call_soon_threadsafe(_write_soon, _told, moment)
            return activate(act)

        made.activate = overheard
        return made


def _heard(workflow_id: str, act: WorkflowActivation, signals: Iterator[int]) -> Iterator[OfWorkflow]:
    """Timers have numbers of their own; signals are counted from the beginning of the run, as each replay does."""
    for job in act.jobs:
        if job.HasField("fire_timer"):
            yield OfWorkflow(workflow_id, "timer-fired", f"{act.run_id}:timer:{job.fire_timer.seq}", {})
        elif job.HasField("signal_workflow"):
            key = f"{act.run_id}:signal:{next(signals)}"
            yield OfWorkflow(workflow_id, "signal-received", key, {"name": job.signal_workflow.signal_name})


_writing = set[asyncio.Task[None]]()


def _write_soon(writing: Together[T], item: T) -> None:
    task = asyncio.ensure_future(_write_patiently(writing, item))
    _writing.add(task)
    task.add_done_callback(_writing.discard)


async def _write_patiently(writing: Together[T], item: T) -> None:
    while True:
        try:
            return await writing.add(item)
        except AWAY:
            await asyncio.sleep(SECONDS)


async def all_told() -> None:
    """Wait for what was heard and is not written yet, a moment at most."""
    if _writing:
        await asyncio.wait(_writing, timeout=SECONDS)
