"""Keeps `engine_run` in step with Temporal."""

from __future__ import annotations

from uuid import UUID

from temporalio import activity

from app.db.session import Session, transaction
from app.engines import runs, temporal
from app.engines.temporal import ENGINE
from temporal.workflows.reporting import Begun, Ended


@activity.defn(name="record_began")
async def record_began(given: Begun) -> None:
    """A worker has taken the workflow up. One that a schedule started gets its row here."""
    async with transaction() as session:
        run_id = await _run_id(session, given)
        await runs.began(session, run_id)


@activity.defn(name="record_ended")
async def record_ended(given: Ended) -> None:
    """How it ended. What was refused is called off rather than failed: nobody has to mend it, unless a task waits."""
    async with transaction() as session:
        run_id = await _run_id(session, given)
        if given.status == "completed":
            await runs.completed(session, run_id, given.result)
        elif given.status == "cancelled" or (given.code in temporal.REFUSALS and not await _is_job(session, run_id)):
            await runs.cancelled(session, run_id, reason=given.error or given.code)
        else:
            await runs.failed(session, run_id, given.code, given.error)


async def _is_job(session: Session, run_id: UUID) -> bool:
    run = await runs.get(session, run_id)
    return run is not None and run.task_id is not None


async def _run_id(session: Session, given: Begun) -> UUID:
    workflow_id = given.external_id.partition("/")[0]  # what the outbox asked for is named by its own id
    if asked := await runs.by_external_id(session, ENGINE, workflow_id):
        await runs.began(session, asked.id)  # so that an end never comes before its beginning
        return asked.id
    made = await runs.request(session, ENGINE, given.workflow, {}, external_id=given.external_id)
    if made is not None:
        return made
    found = await runs.by_external_id(session, ENGINE, given.external_id)
    if found is None:
        raise RuntimeError("a run that was there a moment ago is gone")
    return found.id
