"""Service tasks that another engine does: asked for when the task is reached, answered when its run has ended.

The instance holds nothing while it waits. The answer comes through the outbox, so it may come twice and finds the
task closed the second time.
"""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from app.db.session import Session, transaction
from app.engines import control, runs, topics
from app.engines.once import first_time
from app.engines.runs import Run
from app.engines.senders import Effect, sender
from app.engines.spiff import messages, models, saving, statements, steps
from app.engines.spiff.limits import bounds
from app.engines.spiff.outcome import Waiting
from app.engines.spiff.saving import Change
from app.engines.zeebe.variables import opened


async def withdraw(session: Session, instance_id: UUID, change: Change, waiting: list[Waiting]) -> None:
    """Call off what no task waits for any more: an event has ended it, or the instance has ended."""
    still = [item.task_id for item in waiting if item.kind == "job"]
    await control.withdraw(session, instance_id, still, change.actor_id, "the process goes on without it")


async def ask(session: Session, instance_id: UUID, change: Change, waiting: list[Waiting]) -> None:
    """Have the jobs done that nobody was asked for yet."""
    for item in waiting:
        if item.kind == "job" and await first_time(session, "bpmn-job", f"{instance_id}:{item.task_id}"):
            _, name = topics.read(item.name) or ("", "")
            asked = topics.Asked(name, item.given or {}, instance_id, item.task_id, change.case_no, change.actor_id)
            await topics.ask(session, item.name, asked)


async def ask_anew(session: Session, run: Run, actor_id: int) -> bool:
    """Let the task that waits for *run*, which failed, ask for another one. False if nothing waits for it any more."""
    if run.instance_id is None:
        return False
    row = await statements.load(session, statements.LOAD, run.instance_id)
    job = next((item for item in await _jobs_of(session, row) if item.task_id == run.task_id), None)
    if job is None or not await runs.cancelled(session, run.id, actor_id, "asked for anew"):
        return False
    await _ask(session, row, job)
    return True


async def mend(session: Session, instance_id: UUID) -> str | None:
    """Have a job asked for, or its end told, where it waits and nothing is under way; what was done, None for nothing.

    Somebody else's instance is left to them.
    """
    row = await statements.load(session, statements.LOAD_SKIPPING, instance_id)
    for job in await _jobs_of(session, row):
        run = await runs.of_task(session, instance_id, job.task_id)
        if run is None or run.status == "cancelled":
            await _ask(session, row, job)
            return "asked for again"
        if run.ended_at is not None and not await runs.is_stuck(session, run.id):
            await _answer(session, run, instance_id, job.task_id)
            return "told again"
    return None


async def _jobs_of(session: Session, row: Any) -> list[Waiting]:
    """The jobs that the instance of *row* waits for."""
    if row is None or row.status in ("completed", "cancelled"):
        return []
    model = await models.by_id(session, row.model_id)
    waits = await asyncio.to_thread(lambda: steps.waits(model.spec, row.state, bounds=bounds(), now=row.now))
    return [item for item in waits if item.kind == "job"]


async def _ask(session: Session, row: Any, job: Waiting) -> None:
    _, name = topics.read(job.name) or ("", "")
    asked = topics.Asked(name, job.given or {}, row.id, job.task_id, row.case_no, row.started_by)
    await topics.ask(session, job.name, asked)


@sender(runs.TOLD)
async def send_end(effect: Effect) -> None:
    """Tell the task how its run has ended."""
    async with transaction() as session:
        run = await runs.get(session, UUID(effect.payload["run"]))
        if run is not None and run.instance_id is not None and run.task_id is not None:
            await _answer(session, run, run.instance_id, run.task_id)


async def _answer(session: Session, run: Run, instance_id: UUID, task_id: UUID) -> None:
    row = await statements.load(session, statements.LOAD, instance_id)
    if row is None or row.status in ("completed", "cancelled") or run.status not in ("completed", "failed"):
        return
    model = await models.by_id(session, row.model_id)
    result = opened(run.result) if run.engine == "zeebe" and isinstance(run.result, dict) else run.result
    code = await runs.code_of(session, run.id) if run.status == "failed" else None

    def step() -> Any:
        if code is not None:
            return steps.refuse(model.spec, row.state, task_id, code, run.error or "", bounds=bounds(), now=row.now)
        return steps.answer(model.spec, row.state, task_id, result, bounds=bounds(), now=row.now)

    outcome = await asyncio.to_thread(step)
    if outcome is None:  # the task is closed, or no event of the model catches the failure: its incident stays
        return
    kind = "job.failed" if code is not None else "job.completed"
    element = next((job.element_id for job in await _jobs_of(session, row) if job.task_id == task_id), "")
    told = {"run": str(run.id), "element": element} | ({"code": code} if code is not None else {})
    await saving.update(session, model, row, outcome, Change(kind, None, told, task_id))
    if outcome.waiting:
        await messages.take_kept(session, instance_id)
    if code is not None:
        await runs.resolve(session, run.id, None)
