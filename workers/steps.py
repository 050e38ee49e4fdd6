"""Steps of runs in PostgreSQL: counted before they begin, done in the transaction of their effect, failed once.

What Redis loses, these rows still know: a pipeline that is sent again goes through its finished steps in no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from app.db.session import Session
from app.engines import heartbeat, moments, runs
from app.engines.runs import Run

KIND = "celery"
_CLAIM = text("""
    insert into pipeline_step as s (run_id, step, task, state, attempts, task_id, worker)
    values (:run, :step, :task, 'running', 1, :task_id, :worker)
    on conflict (run_id, step) do update
        set attempts = s.attempts + 1, task_id = excluded.task_id, worker = excluded.worker
        where s.state = 'running'
    returning attempts
""")
_DONE = text("""
    update pipeline_step set state = 'done', result = :result, ended_at = clock_timestamp()
    where run_id = :run and step = :step and state = 'running'
""").bindparams(bindparam("result", type_=JSONB(none_as_null=True)))
_REPLACED = text("""
    update pipeline_step set ended_at = clock_timestamp()
    where run_id = :run and step = :step and state = 'running' and ended_at is null returning 1
""")
_SELECT = "select state, result from pipeline_step where run_id = :run and step = :step"
_READ, _LOCKED = text(_SELECT).columns(result=JSONB), text(f"{_SELECT} for update").columns(result=JSONB)
_FAILED = text("""
    update pipeline_step set state = 'failed', error = :error, ended_at = clock_timestamp()
    where run_id = :run and step = :step and state = 'running' returning 1
""").bindparams(bindparam("error", type_=JSONB))


class OverTaken(Exception):
    """The run has ended while the step was under way: what the step did must not stay"""


@dataclass(frozen=True, slots=True)
class Key:
    """Which step of which run; `of_run` is False for a task that was started by itself."""

    run: UUID
    step: str
    task_id: str
    of_run: bool


@dataclass(slots=True)
class Step:
    """What a task's body gets: the session of its one transaction, and the run it works for."""

    session: Session
    key: Key

    @property
    def run_id(self) -> UUID:
        return self.key.run

    async def run(self) -> Run:
        """The run as it was asked for. Raises LookupError in a task that was started by itself."""
        found = await runs.get(self.session, self.key.run)
        if found is None:
            raise LookupError("this task belongs to no run")
        return found

    async def input(self) -> dict[str, Any]:
        return (await self.run()).input


@dataclass(frozen=True, slots=True)
class Claim:
    """May the step begin? `state` is ``begin``, ``done`` with its `result`, or ``over``."""

    state: str
    attempts: int = 0
    result: Any = None


async def claim(session: Session, key: Key, task: str) -> Claim:
    """Count this delivery of the step, unless it is done or its run has ended."""
    if key.of_run:
        status = await session.scalar(text("select status from engine_run where id = :id"), {"id": key.run})
        if status not in ("requested", "running"):
            return await finished(session, key) or Claim("over")
    given = {"run": key.run, "step": key.step, "task": task, "task_id": key.task_id}
    row = (await session.execute(_CLAIM, given | {"worker": heartbeat.own_name(KIND, parent=True)})).first()
    if row is None:
        return await finished(session, key) or Claim("over")
    if key.of_run:
        await moments.of_step(session, key.run, key.step, "started")
    return Claim("begin", row.attempts)


async def finished(session: Session, key: Key, *, lock: bool = False) -> Claim | None:
    """The step's result if it is done. With *lock*, nobody else does the step until this transaction ends."""
    row = (
        await session.execute(
            _LOCKED if lock else _READ,
            {"run": key.run, "step": key.step},
        )
    ).first()
    return Claim("done", result=row.result) if row is not None and row.state == "done" else None


async def done(session: Session, key: Key, result: Any) -> None:
    """Write the result, in the transaction of the effect. Raises :class:`OverTaken` if the run has ended."""
    await session.execute(_DONE, {"run": key.run, "step": key.step, "result": result})
    if key.of_run:
        still = await session.execute(
            text("""update engine_run set done = least(done + 1, coalesce(total, done + 1)), seen_at = now()
                    where id = :id and status in ('requested', 'running')"""),
            {"id": key.run},
        )
        if not still.rowcount:
            raise OverTaken
        await moments.of_step(session, key.run, key.step, "completed")


async def replaced(session: Session, key: Key, by: int) -> None:
    """*by* other steps take this one's place. Given out again, it builds them again, and those that are done say so."""
    first = await session.execute(_REPLACED, {"run": key.run, "step": key.step})
    if key.of_run and first.first() is not None:
        await session.execute(
            text("update engine_run set done = done + 1, total = total + :by, seen_at = now() where id = :id"),
            {"id": key.run, "by": by},
        )
        await moments.of_step(session, key.run, key.step, "completed")


async def failed(session: Session, key: Key, error: dict[str, Any]) -> bool:
    """Write why the step failed. False if it had ended before."""
    given = {"run": key.run, "step": key.step, "error": error}
    changed = (await session.execute(_FAILED, given)).first() is not None
    if changed and key.of_run:
        await moments.of_step(session, key.run, key.step, "failed", code=error["code"])
    return changed


async def retried(session: Session, key: Key, code: str) -> None:
    """This try failed for now and another one follows."""
    if key.of_run:
        await moments.of_step(session, key.run, key.step, "retried", code=code)
