"""Workflows that a model, a case or ops ask for: started, called off and tried again through the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Text
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from app.core.errors import Conflict, NotFound
from app.core.ids import uuid7
from app.core.log import log
from app.db.session import Session, reading, transaction
from app.engines import control, outbox, runs, temporal
from app.engines.runs import Run
from app.engines.senders import Effect, Undeliverable, sender
from app.engines.temporal import ENGINE

KEYS = UUID("6a1f3c0e-52c4-4f7e-9d0b-8f4f0c5f4a11")
"""The namespace in which an Idempotency-Key becomes a part of a workflow's id, which may say nothing."""


async def ask(
    session: Session,
    workflow: str,
    queue: str,
    given: dict[str, Any],
    *,
    name: str = "",
    own: str = "",
    about: dict[str, Any] | None = None,
    case: str | None = None,
    started_by: int | None = None,
    instance_id: UUID | None = None,
    task_id: UUID | None = None,
    key: str | None = None,
) -> UUID:
    """Have *workflow* started when this transaction commits; the id of its run. Nobody else's run has this id.

    The same *key* of the same person is the same run. Raises :class:`Conflict` if it was used for something else.

    *given* waits in the outbox and reaches Temporal in an envelope; *own* is the member of it that gets the run's id.
    *name* (by default the workflow's) and *about* are what ops see of it. *instance_id* and *task_id* are those of a
    task that waits for its result.
    """
    run_id = uuid7()
    workflow_name = f"{name or workflow}-{run_id if key is None else uuid5(KEYS, f'{started_by}:{key}')}"
    asked = given
    given = given | ({own: str(run_id)} if own else {})
    made = await runs.request(
        session,
        ENGINE,
        name or workflow,
        about or {},
        run_id=run_id,
        external_id=workflow_name,
        case=case,
        started_by=started_by,
        instance_id=instance_id,
        task_id=task_id,
    )
    if made is None:
        return await _known(session, workflow_name, asked)
    payload = {"workflow": workflow, "id": workflow_name, "queue": queue, "given": given, "name": name or workflow}
    if task_id is not None:
        payload["job"] = str(run_id)
    await outbox.enqueue(session, "workflow-start", workflow_name, payload, case=case)
    return run_id


async def _known(session: Session, workflow_name: str, asked: dict[str, Any]) -> UUID:
    """The run that was asked for before under the same key."""
    run = await runs.by_external_id(session, ENGINE, workflow_name)
    sent = await session.scalar(
        text("select payload -> 'given' from outbox where kind = 'workflow-start' and key = :key").columns(given=JSONB),
        {"key": workflow_name},
    )
    if run is None or any((sent or {}).get(name) != value for name, value in asked.items()):
        raise Conflict("This Idempotency-Key belongs to another request.")
    return run.id


@sender("workflow-start")
async def send_start(effect: Effect) -> None:
    """Start it; one that was started before, whatever became of it, is not started again. Nor is one that a task asked
    for and no longer waits for. `near` tells its worker that its run is written down already.
    """
    job = effect.payload.get("job")
    if job is not None:
        async with reading() as session:
            run = await runs.get(session, UUID(job))
        if run is None or run.status == "cancelled":
            return
    async with temporal.limited() as client:
        try:
            await client.start_workflow(
                effect.payload["workflow"],
                effect.payload["given"],
                id=effect.payload["id"],
                task_queue=effect.payload["queue"],
                memo={"name": effect.payload["name"], "job": job is not None, "near": True},
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            )
        except WorkflowAlreadyStartedError:
            log.info("a workflow was started before", outbox=str(effect.id))


_ASKED = text("""
    select id from engine_run
    where engine = 'temporal' and status = 'requested' and external_id = any(:names) order by id
""").bindparams(bindparam("names", type_=ARRAY(Text)))


async def began(session: Session, names: Sequence[str]) -> None:
    """A worker has taken up the workflows of these ids; of those that :func:`ask` did not ask for nothing is known."""
    for row in (await session.execute(_ASKED, {"names": list(names)})).all():
        await runs.began(session, row.id)


@control.cancels(ENGINE)
async def call_off(session: Session, run: Run, key: str) -> None:
    """Ask the workflow to cancel; what it has to undo it undoes first."""
    await outbox.enqueue(session, "workflow-cancel", key, {"run": run.external_id}, case=run.case_no)


@control.retries(ENGINE)
async def ask_again(session: Session, run: Run, key: str) -> None:
    """Run a failed workflow once more from its beginning. What its activities did is not done twice."""
    await outbox.enqueue(session, "workflow-again", key, {"run": run.external_id}, case=run.case_no)


@sender("workflow-cancel")
async def send_cancel(effect: Effect) -> None:
    try:
        async with temporal.limited() as client:
            await client.get_workflow_handle(workflow_id(effect)).cancel()
    except NotFound as error:
        if await _never_started(effect.payload["run"]):
            return
        raise Undeliverable("Temporal knows no such workflow.") from error


async def _never_started(external_id: str) -> bool:
    """Whether it was called off before it was sent: then there is nothing to cancel."""
    async with reading() as session:
        run = await runs.by_external_id(session, ENGINE, external_id)
    return run is not None and run.status == "cancelled" and run.started_at is None


@sender("workflow-signal")
async def send_signal(effect: Effect) -> None:
    """Tell a workflow something; one that has ended needs no telling."""
    try:
        async with temporal.limited() as client:
            await client.get_workflow_handle(workflow_id(effect)).signal(effect.payload["signal"])
    except NotFound:
        log.info("a workflow that has ended was told", outbox=str(effect.id))


@sender("workflow-again")
async def send_again(effect: Effect) -> None:
    """Reset it to its first task; `request_id` makes a repeat of this effect the same reset."""
    try:
        async with temporal.limited(30) as client:
            handle = client.get_workflow_handle(workflow_id(effect))
            first = await _first_task(handle)
            request = ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=handle.id),
                reason="tried again by ops",
                workflow_task_finish_event_id=first,
                request_id=str(effect.id),
            )
            await client.workflow_service.reset_workflow_execution(request)
    except NotFound as error:
        raise Undeliverable("Temporal knows no such workflow.") from error


async def _first_task(handle: Any) -> int:
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            return int(event.event_id)
    raise Undeliverable("The workflow has never been taken up.")


def workflow_id(effect: Effect) -> str:
    """`engine_run` names a workflow by its id, or by its id and the first run of a chain."""
    return str(effect.payload["run"]).partition("/")[0]


_OPEN = text("""
    update engine_run set seen_at = now() where id in (
        select id from engine_run where engine = 'temporal' and status in ('requested', 'running')
        and external_id is not null and coalesce(seen_at, requested_at) < now() - make_interval(secs => :quiet)
        order by coalesce(seen_at, requested_at) limit :limit for update skip locked)
    returning id, external_id, status
""")
_ENDS = {
    WorkflowExecutionStatus.TERMINATED: "it was terminated in Temporal",
    WorkflowExecutionStatus.TIMED_OUT: "it ran out of time",
    WorkflowExecutionStatus.FAILED: "it failed and could not report it",
}


async def reconcile(quiet: float = 60.0, limit: int = 50) -> int:
    """Compare open runs that nobody has looked at for *quiet* seconds with Temporal; how many were mended.

    A run that was ended behind our back is an incident. Raises :class:`Unavailable` while Temporal is away.
    """
    async with transaction() as session:
        rows = (await session.execute(_OPEN, {"quiet": quiet, "limit": limit})).all()
    mended = 0
    for row in rows:
        status = await _status(row.external_id)
        async with transaction() as session:
            if status is WorkflowExecutionStatus.COMPLETED:
                mended += await runs.completed(session, row.id)
            elif status is WorkflowExecutionStatus.CANCELED:
                mended += await runs.cancelled(session, row.id)
            elif status is not None and status in _ENDS:
                mended += await runs.failed(session, row.id, "ended-elsewhere", f"The workflow ended: {_ENDS[status]}.")
            elif status is None and row.status == "running":
                mended += await runs.failed(session, row.id, "lost", "Temporal knows no such workflow any more.")
    return mended


async def _status(external_id: str) -> WorkflowExecutionStatus | None:
    """That of the newest run: a chain may have been begun anew, or reset."""
    try:
        return await temporal.status(external_id.partition("/")[0])
    except NotFound:
        return None
