"""The tasks around a run: launch its canvas, end it, undo it, and look after what stands still.

Launching again is how everything lost is found: the canvas is built anew from the same input, and a step that is
done gives its result at once. So the join of a chord lives in PostgreSQL, and Redis only makes it fast.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import text

from app.core.log import log
from app.core.settings import settings
from app.db.session import transaction
from app.engines import broker, heartbeat, pipelines, runs
from workers import canvas, failures, registry
from workers.celery_app import app
from workers.clearing import EVERY_SECONDS
from workers.tasks import AWAY, child, plain


@plain(pipelines.LAUNCH, bind=True)
def launch(self: Any, run_id: str) -> str | None:
    """Build the run's canvas and send it. Gives the id of its last task."""
    try:
        return child.run(_launch(UUID(run_id)))
    except AWAY as error:
        raise self.retry(countdown=1) from error


async def _launch(run_id: UUID) -> str | None:
    async with transaction() as session:
        run = await runs.get(session, run_id)
        if run is None or run.status not in ("requested", "running"):
            return None
        known = registry.pipelines.get(run.name)
        if known is None:
            await failures.end(session, run_id, "unknown-pipeline", f"no worker knows {run.name!r}")
            return None
        try:
            given = known.input.model_validate(run.input)
        except ValidationError as error:
            fields = sorted({".".join(map(str, one["loc"])) for one in error.errors()})
            await failures.end(session, run_id, "invalid", f"the input does not fit: {', '.join(fields)}")
            return None
        whole = known.body(given) | app.signature("dams.complete", args=[str(run_id)])
        whole.on_error(app.signature("dams.broken", args=[str(run_id)]))
        total = canvas.stamped(whole, run_id)
        await runs.began(session, run_id)
        await session.execute(
            text("""update engine_run set total = :total, seen_at = now(),
                    done = (select count(*) from pipeline_step where run_id = :id and state = 'done')
                    where id = :id"""),
            {"id": run_id, "total": total},
        )
    # After the commit: a step that is quicker than it would find a run that has not begun.
    return whole.apply_async().id


@plain("dams.complete", bind=True)
def complete(self: Any, result: Any, run_id: str) -> None:
    """The last task of every canvas: the run is completed with the result of the one before."""
    try:
        child.run(_complete(UUID(run_id), result))
    except AWAY as error:
        raise self.retry(countdown=1) from error


async def _complete(run_id: UUID, result: Any) -> None:
    async with transaction() as session:
        run = await runs.get(session, run_id)
        if run is not None and await runs.completed(session, run_id, result):
            known = registry.pipelines.get(run.name)
            if known is not None and known.private:
                await pipelines.forget_input(session, run_id)


@plain("dams.broken")
def broken(task_id: str, run_id: str) -> None:
    """The error callback of every task. A step writes its own failure; here comes what happened around the steps.

    A task that its time limit killed ends the run. Anything else (Redis was away when a result should be stored) is
    no failure of a step: the run is launched again, a bounded number of times.
    """
    cause = type(app.AsyncResult(task_id).result).__name__
    child.run(_broken(task_id, UUID(run_id), cause))


_COUNTED = text("""
    insert into pipeline_step as s (run_id, step, task, state, attempts, task_id, worker, ended_at)
    values (:run, 'again', 'dams.broken', 'running', 1, :task_id, '', now())
    on conflict (run_id, step) do update set began_at = clock_timestamp(),
        attempts = s.attempts + case when s.began_at < clock_timestamp() - interval '2 s' then 1 else 0 end
    returning attempts
""")
"""One fault calls back for several tasks at once, so calls within two seconds count as one."""


async def _broken(task_id: str, run_id: UUID, cause: str) -> None:
    async with transaction() as session:
        run = await runs.get(session, run_id)
        if run is None or run.status not in ("requested", "running"):
            return
        if cause == "TimeLimitExceeded":
            name = await session.scalar(_KILLED, {"run": run_id, "task_id": task_id})
            await failures.end(session, run_id, "no-answer", f"{name or 'a task'}: ended by its time limit")
            return
        times = await session.scalar(_COUNTED, {"run": run_id, "task_id": task_id})
        if times > settings().pipelines.deliveries:
            await failures.end(session, run_id, "broken", f"given up after {times} launches: {cause}")
            return
        log.warning("a run broke outside its steps and is launched again", run=str(run_id), cause=cause)
        await session.execute(
            text("update engine_run set seen_at = now() - interval '1 day' where id = :id"), {"id": run_id}
        )


_KILLED = text("""
    update pipeline_step set state = 'failed', ended_at = clock_timestamp(),
        error = '{"code": "no-answer", "detail": "it took longer than its time limit"}'
    where run_id = :run and task_id = :task_id and state = 'running' returning task
""")


@plain(pipelines.UNDO)
def undo(run_id: str) -> None:
    """A cancelled run leaves nothing half-done."""
    child.run(_undo(UUID(run_id)))


async def _undo(run_id: UUID) -> None:
    async with transaction() as session:
        await failures.undo(session, run_id)


_STILL = text("""
    update engine_run r set seen_at = now()
    where r.engine = 'celery' and r.status in ('requested', 'running') and (
        coalesce(r.seen_at, r.requested_at) < now() - make_interval(secs => :patience)
        or coalesce(r.seen_at, r.requested_at) < now() - make_interval(secs => :silent) and exists (
            select from pipeline_step s where s.run_id = r.id and s.state = 'running'
            and s.ended_at is null and not exists (
                select from worker_heartbeat h
                where h.name = s.worker and h.seen_at > now() - make_interval(secs => :silent))))
    returning r.id
""")


@plain("dams.sweep", ignore_result=True)
def sweep() -> int:
    """Launch again what stands still: its worker died, or Redis lost its messages."""
    return child.run(_sweep())


async def _sweep() -> int:
    patience = settings().celery.broker_transport_options.visibility_timeout * 1.5
    async with transaction() as session:
        rows = await session.execute(_STILL, {"patience": patience, "silent": heartbeat.SILENT_SECONDS})
        still = [row.id for row in rows]
    for run_id in still:
        log.warning("a run stands still and is launched again", run=str(run_id))
        await broker.send(pipelines.LAUNCH, [str(run_id)], str(run_id))
    return len(still)


SWEEP_SECONDS = 5.0
app.conf.beat_schedule = {
    "sweep": {"task": "dams.sweep", "schedule": SWEEP_SECONDS, "options": {"expires": SWEEP_SECONDS}},
    "clear": {"task": "dams.clear", "schedule": EVERY_SECONDS, "options": {"expires": EVERY_SECONDS}},
}
