"""Activities that a workflow runs in its own worker, within its task, where the outbox started it (memo `near`).

A step that is one transaction of ours needs no queue: of its own task, start, end and the workflow's task behind it the
server would write each, one after another for all workflows. A worker that dies in the middle leaves the whole task to
another, so such an activity may run twice, as any other. Workflows without the memo, and histories from before it, go
by the queue.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError


def is_near() -> bool:
    """Whether the outbox started this workflow; the same in every part of a chain."""
    return bool(workflow.memo_value("near", False))


async def execute(activity: str, given: Any, limit: timedelta, result: type | None = None) -> Any:
    """Run an activity of the workflow's own queue, each try for *limit* at most. Raises :class:`ActivityError`."""
    if not is_near():
        return await workflow.execute_activity(activity, given, result_type=result, start_to_close_timeout=limit)
    try:
        return await workflow.execute_local_activity(activity, given, result_type=result, start_to_close_timeout=limit)
    except ApplicationError as error:  # the SDK hands over what the activity raised; by the queue it comes wrapped
        raise ActivityError(
            "The activity failed.",
            scheduled_event_id=0,
            started_event_id=0,
            identity="",
            activity_type=activity,
            activity_id="",
            retry_state=None,
        ) from error
