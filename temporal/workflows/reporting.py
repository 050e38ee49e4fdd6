"""What every workflow tells DAMS: that a worker has taken it up, and how it ended.

Where the outbox asked for it, as its memo `near` says, its run is there already: that it began is heard where the
server hands it to its worker (`temporal.moments`), and its end is told within its last task. Others, and those that
were started before there was such a memo, tell both by activities of their own, each with a task before and behind it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from temporal.workflows import nearby

LIMIT = timedelta(seconds=10)


@dataclass
class Begun:
    """A chain of runs of one workflow, as `engine_run` names it."""

    external_id: str
    workflow: str


@dataclass
class Ended(Begun):
    """*status* as in `engine_run`; *code* and *error* say why it did not end well."""

    status: str
    code: str = ""
    error: str = ""
    result: Any = None


class Reporting(Interceptor):
    """Adds the two reports to every workflow of a worker."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002, ARG002 - the SDK's name
        return _Reported


class _Reported(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002 - the SDK's name
        info = workflow.info()
        name = f"{info.workflow_id}/{info.first_execution_run_id}"
        told = str(workflow.memo_value("name", info.workflow_type))
        near = nearby.is_near()
        # Beside the workflow, not before it: nobody waits for a report.
        begun = None if near else asyncio.create_task(nearby.execute("record_began", Begun(name, told), LIMIT))
        try:
            result = await self.next.execute_workflow(input)
        except workflow.ContinueAsNewError:
            if begun is not None:
                await begun
            raise
        except (Exception, asyncio.CancelledError) as error:  # not GeneratorExit: a worker that lets go ends nothing
            if begun is not None:
                await begun
            await nearby.execute("record_ended", Ended(name, told, *_end(error)), LIMIT)
            raise
        if begun is not None:
            await begun
        whole = bool(workflow.memo_value("job", False))  # a task of a model waits for it
        ended = Ended(name, told, "completed", result=result if whole else _told(result))
        await nearby.execute("record_ended", ended, LIMIT)
        return result


def _told(result: Any) -> Any:
    """Only a workflow that says so has a result for ops: its `message`."""
    return {"message": result["message"]} if isinstance(result, dict) and "message" in result else None


def _end(error: BaseException) -> tuple[str, str, str]:
    if is_cancelled_exception(error):
        return "cancelled", "cancelled", ""
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, ApplicationError):
        return "failed", cause.type or "error", cause.message
    return "failed", type(cause).__name__, "The workflow failed."
