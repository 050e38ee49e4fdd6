"""Pipelines on Celery: what the workers offer, starting and calling them, what their runs did.

A run is a row here and an effect of the outbox; a call that waits for its answer is sent at once, outside of any
transaction. Tasks are named by string: no worker's code is imported.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Text

from app.core.actor import Actor
from app.core.errors import Conflict, DamsError, Invalid, NoAnswer, NotFound, Unavailable
from app.core.ids import uuid7
from app.core.settings import settings
from app.db.session import Session, reading, transaction
from app.engines import broker, control, moments, outbox, runs, topics
from app.engines.runs import Run
from app.engines.senders import Effect, sender
from app.engines.topics import Asked, Doubt

ENGINE = "celery"
LAUNCH, UNDO = "dams.launch", "dams.undo"
FIRST_LOOK, LONGEST_LOOK = 0.01, 0.1


@dataclass(frozen=True, slots=True)
class Offered:
    """A pipeline as the workers announced it. `roles` may start it; nobody, where it belongs to a call of its own."""

    name: str
    title: str
    description: str
    input_schema: dict[str, Any]
    roles: list[str]


@dataclass(frozen=True, slots=True)
class StepRow:
    """One task of a run, in the order of its beginning."""

    step: str
    task: str
    state: str
    attempts: int
    result: Any
    error: dict[str, Any] | None
    began_at: datetime
    ended_at: datetime | None


async def offered(session: Session, actor: Actor) -> list[Offered]:
    """The pipelines that this person may start, by title."""
    rows = await session.execute(
        text("""select name, title, description, input_schema, roles from pipeline
                where roles && cast(:roles as text[]) order by title""").columns(input_schema=JSONB, roles=ARRAY(Text)),
        {"roles": sorted(actor.roles)},
    )
    return [Offered(row.name, row.title, row.description, row.input_schema, row.roles) for row in rows]


async def find(session: Session, actor: Actor, name: str) -> Offered:
    """One pipeline. Raises :class:`NotFound` where this person may not start it."""
    for one in await offered(session, actor):
        if one.name == name:
            return one
    raise NotFound("No worker has announced such a pipeline, or it is not yours to start.")


async def start(
    session: Session,
    name: str,
    given: dict[str, Any],
    *,
    started_by: int | None = None,
    case: str | None = None,
    key: str | None = None,
    instance_id: UUID | None = None,
    task_id: UUID | None = None,
) -> UUID:
    """Ask for a run when this transaction commits; its id. The same *key* of the same person is the same run.

    *instance_id* and *task_id* are those of a task that waits for it.
    """
    run_id = uuid7()
    external = f"{started_by}:{key}" if key else str(run_id)
    asked = await runs.request(
        session,
        ENGINE,
        name,
        given,
        run_id=run_id,
        external_id=external,
        started_by=started_by,
        case=case,
        instance_id=instance_id,
        task_id=task_id,
    )
    if asked is None:
        known = await runs.by_external_id(session, ENGINE, external)
        if known is None or known.name != name:
            raise Conflict("This Idempotency-Key belongs to another request.")
        return known.id
    await outbox.enqueue(session, "celery-pipeline", str(run_id), _payload(run_id, case), case=case)
    return run_id


@topics.serves("pipeline")
async def serve(session: Session, asked: Asked) -> None:
    """A task of a model asks for a run.

    Raises :class:`NotFound` for a pipeline that no worker has announced, or that nobody may start by itself.
    """
    known = text("select 1 from pipeline where name = :name and roles <> '{}'")
    if await session.scalar(known, {"name": asked.name}) is None:
        raise NotFound(f"No worker offers a pipeline {asked.name!r} that may be started by itself.")
    await start(
        session,
        asked.name,
        asked.given,
        started_by=asked.started_by,
        case=asked.case,
        instance_id=asked.instance_id,
        task_id=asked.task_id,
    )


@topics.knows("pipeline")
async def known(session: Session, name: str) -> Doubt | None:
    """The workers write down what they offer when they start."""
    rows = (await session.execute(text("select name, roles <> '{}' as alone from pipeline order by name"))).all()
    if any(row.name == name and row.alone for row in rows):
        return None
    alone = [row.name for row in rows if row.alone]
    if not rows:
        told = f"no Celery worker has said yet what it offers, so nobody can tell whether {name!r} is a pipeline"
        return Doubt(told, "start the worker and check again", sure=False)
    told = f"there is no pipeline {name!r} that may be started by itself"
    return Doubt(told, topics.nearest(name, alone, f"use {', '.join(alone)}"), sure=True)


async def call(name: str, given: dict[str, Any], *, started_by: int | None = None) -> Any:
    """Run a pipeline now and give its result. What did not answer in time is called off.

    Raises:
        Unavailable: Redis does not take it; nothing was done.
        NoAnswer: no answer within `pipelines.answer_seconds`; the run is cancelled and what it began is undone.
        DamsError: as the failing task raised it, with its name as `task`.
    """
    run_id = uuid7()
    async with transaction() as session:
        await runs.request(session, ENGINE, name, given, run_id=run_id, external_id=str(run_id), started_by=started_by)
    try:
        await broker.send(LAUNCH, [str(run_id)], str(run_id))
    except Unavailable:
        await _call_off(run_id, "the broker does not answer")
        raise
    seconds = settings().pipelines.answer_seconds
    run = await _ended(run_id, seconds)
    if run is None and await _call_off(run_id, f"no answer within {seconds:g} s"):
        raise NoAnswer(f"No worker answered within {seconds:g} s; nothing was kept.", engine=ENGINE)
    return await _answer(run_id)


async def outcome(run_id: UUID, seconds: float) -> Any:
    """The result of a run that was asked for, waited for at most *seconds*; it goes on whoever waits.

    Raises:
        NoAnswer: it has not ended yet, or was called off.
        DamsError: as the failing task raised it.
    """
    if await _ended(run_id, seconds) is None:
        raise NoAnswer(f"The pipeline has not ended within {seconds:g} s.", engine=ENGINE)
    return await _answer(run_id)


async def _ended(run_id: UUID, seconds: float) -> Run | None:
    """The run when it has ended, or None after *seconds*."""
    deadline, pause = time.monotonic() + seconds, FIRST_LOOK
    while time.monotonic() < deadline:
        async with reading() as session:
            run = await runs.get(session, run_id)
        if run is not None and run.ended_at is not None:
            return run
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LONGEST_LOOK)
    return None


async def _call_off(run_id: UUID, reason: str) -> bool:
    async with transaction() as session:
        if not await runs.cancelled(session, run_id, reason=reason):
            return False
        await forget_input(session, run_id)
        await outbox.enqueue(session, "celery-revoke", str(run_id), {"run": str(run_id)})
    return True


async def _answer(run_id: UUID) -> Any:
    async with reading() as session:
        run = await runs.get(session, run_id)
        broken = [row for row in await steps(session, run_id) if row.state == "failed"]
    if run is not None and run.status == "completed":
        return run.result
    if run is None or not broken or broken[0].error is None:
        raise NoAnswer((run and run.error) or "The run was called off.", engine=ENGINE)
    raise _as_raised(broken[0].task, broken[0].error)


def _as_raised(task: str, error: dict[str, Any]) -> DamsError:
    """The task's own error, in this process."""
    if error["code"] == Invalid.code:
        refused: DamsError = Invalid(error.get("errors", {}), error["detail"])
    else:
        known = {one.code: one for one in DamsError.__subclasses__()}
        refused = known.get(error["code"], DamsError)(error["detail"])
    refused.context["task"] = task
    return refused


async def steps(session: Session, run_id: UUID) -> list[StepRow]:
    """What the tasks of a run did."""
    rows = await session.execute(
        text("""select step, task, state, attempts, result, error, began_at, ended_at from pipeline_step
                where run_id = :run order by began_at, step""").columns(result=JSONB, error=JSONB),
        {"run": run_id},
    )
    return [StepRow(*row) for row in rows]


async def seen(session: Session, actor: Actor, run_id: UUID) -> Run:
    """A run that this person may see: their own, one of a pipeline of their role, or any for ops and admin.

    Raises:
        NotFound: there is none, or it is not theirs to see.
    """
    run = await runs.get(session, run_id)
    asked = text("select roles from pipeline where name = :name").columns(roles=ARRAY(Text))
    roles = await session.scalar(asked, {"name": run.name if run else ""})
    allowed = run is not None and (run.started_by == actor.id or actor.has("ops", "admin", *(roles or [])))
    if run is None or run.engine != ENGINE or not allowed:
        raise NotFound("There is no such run, or it is not yours to see.")
    return run


async def cancel(session: Session, actor: Actor, run_id: UUID, reason: str) -> Run:
    """Call a run off: whoever started it, ops and admin may.

    Raises:
        NotFound: see :func:`seen`.
        Forbidden: it is another person's.
        Conflict: it has ended.
    """
    run = await seen(session, actor, run_id)
    if run.started_by != actor.id:
        actor.require("ops", "admin")
    if not await runs.cancelled(session, run_id, actor.id, reason.strip()[:1000]):
        raise Conflict(f"The run is {run.status} already.")
    await call_off(session, run, f"{run_id}:cancel")
    return run


async def recent(session: Session, actor: Actor, name: str | None = None, limit: int = 25) -> list[Run]:
    """The newest runs that this person may see."""
    found = [one.name for one in await offered(session, actor)]
    listed = await runs.newest(session, ENGINE, name, limit * 4)
    wide = actor.has("ops", "admin")
    return [run for run in listed if wide or run.started_by == actor.id or run.name in found][:limit]


async def results(session: Session, run_id: UUID) -> dict[str, Any]:
    """The results of a run's finished tasks by task name."""
    return {row.task: row.result for row in await steps(session, run_id) if row.state == "done"}


async def forget_input(session: Session, run_id: UUID) -> None:
    """Erase what a run was given: it held what only its tasks needed."""
    await session.execute(text("update engine_run set input = '{}'::jsonb where id = :id"), {"id": run_id})


@control.retries(ENGINE)
async def ask_again(session: Session, run: Run, key: str) -> None:
    """Run what is not done yet; finished steps give the results they gave."""
    asked = await session.scalar(text("select roles from pipeline where name = :name"), {"name": run.name})
    if not asked:
        raise Conflict("Whoever asked was told; they ask again themselves.")
    await session.execute(text("delete from pipeline_step where run_id = :id and state <> 'done'"), {"id": run.id})
    await outbox.enqueue(session, "celery-pipeline", key, _payload(run.id, run.case_no), case=run.case_no)


def _payload(run_id: UUID, case: str | None) -> dict[str, Any]:
    return {"run": str(run_id)} | ({"case": case} if case else {})


@control.cancels(ENGINE)
async def call_off(session: Session, run: Run, key: str) -> None:
    await outbox.enqueue(session, "celery-revoke", key, {"run": str(run.id)}, case=run.case_no)


@sender("celery-pipeline")
async def send_launch(effect: Effect) -> None:
    await broker.send(LAUNCH, [effect.payload["run"]], str(effect.id))
    if effect.payload.get("case"):
        async with reading() as session:
            await moments.published(session, UUID(effect.payload["run"]), effect.id)


@sender("celery-revoke")
async def send_revoke(effect: Effect) -> None:
    """End what is under way, then undo. Neither is needed for what a cancelled run may write: that is nothing."""
    await broker.revoke(effect.payload["run"])
    await broker.send(UNDO, [effect.payload["run"]], str(effect.id))
