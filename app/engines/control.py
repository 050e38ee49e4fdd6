"""Retry and cancel of runs in other engines, as ops asks for them: one door, whatever the engine.

An engine joins with two functions in its own module and its line in `HOMES`:

    @control.retries("celery")
    async def ask_again(session: Session, run: Run, key: str) -> None:
        await outbox.enqueue(session, "celery-pipeline", key, {"run": str(run.id)}, case=run.case_no)

    @control.cancels("celery")
    async def call_off(session: Session, run: Run, key: str) -> None:
        await outbox.enqueue(session, "celery-revoke", key, {"run": str(run.id)}, case=run.case_no)

Both work in the transaction of the caller and reach the engine through the outbox; *key* is another one at every try.
The row is changed here: before a retry it is `requested` again and its incident closed; after a cancel it is
`cancelled`, and a later report of the engine changes nothing any more. A run of a task that cannot be run again is
cancelled by a retry, and the task asks for a new one.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from types import ModuleType
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, NotFound
from app.db.session import Session
from app.engines import runs
from app.engines.runs import Run

HOMES: dict[str, str] = {
    "airflow": "app.engines.dags",
    "celery": "app.engines.pipelines",
    "http": "app.engines.calls",
    "mail": "app.engines.letters",
    "temporal": "app.engines.workflows",
    "zeebe": "app.engines.zeebe.instances",
}
"""The module of each engine; importing it registers its two functions."""

Act = Callable[[Session, Run, str], Awaitable[None]]
_retries: dict[str, Act] = {}
_cancels: dict[str, Act] = {}


def retries(engine: str) -> Callable[[Act], Act]:
    """Register how a failed run of *engine* is asked for once more."""
    return _registrar(_retries, engine)


def cancels(engine: str) -> Callable[[Act], Act]:
    """Register how *engine* is told that a run is not wanted any more."""
    return _registrar(_cancels, engine)


def can(engine: str) -> tuple[bool, bool]:
    """Whether runs of *engine* can be retried, and cancelled."""
    return _of(_retries, engine) is not None, _of(_cancels, engine) is not None


async def retry(session: Session, actor: Actor, run_id: UUID) -> Run:
    """Ask for a failed run once more.

    Raises:
        NotFound: no such run.
        Conflict: it has not failed, or its engine cannot run it again.
    """
    actor.require("ops", "admin")
    run = await _get(session, run_id)
    ask = _of(_retries, run.engine)
    if ask is None:
        raise Conflict(f"Runs of {run.engine} cannot be started again from here.")
    if runs.ANEW in run.input and run.status == "failed" and await _jobs().ask_anew(session, run, actor.id):
        return run
    key = f"{run_id}:{await runs.failures(session, run_id)}"
    if not await runs.again(session, run_id, actor.id):
        raise Conflict(f"The run is {run.status}; only a failed one is tried again.")
    await ask(session, run, key)
    return run


async def cancel(session: Session, actor: Actor, run_id: UUID, reason: str) -> Run:
    """Call a run off; the timeline keeps who and why.

    Raises:
        NotFound: no such run.
        Invalid: no reason was given.
        Conflict: it has ended, or its engine cannot be told.
    """
    actor.require("ops", "admin")
    if not reason.strip() or len(reason) > 1000:
        raise Invalid({"reason": "Say in up to 1,000 characters why."})
    run = await _get(session, run_id)
    tell = _of(_cancels, run.engine)
    if tell is None:
        raise Conflict(f"Runs of {run.engine} cannot be cancelled from here.")
    key = f"{run_id}:{await runs.failures(session, run_id)}"
    # A task that waits for it must hear that nobody does it any more: its model may catch that, ops may ask again.
    told = run.task_id is not None and await runs.failed(session, run_id, "cancelled", reason.strip())
    if not told and not await runs.cancelled(session, run_id, actor.id, reason.strip()):
        raise Conflict(f"The run is {run.status} already.")
    await tell(session, run, key)
    return run


async def withdraw(session: Session, instance_id: UUID, still: list[UUID], actor_id: int | None, reason: str) -> None:
    """Call off the runs of an instance whose tasks are not among *still*: nobody waits for them any more."""
    found = text("""select id from engine_run where instance_id = :id and status in ('requested', 'running')
                    and not (task_id = any(:still))""").bindparams(bindparam("still", type_=ARRAY(Uuid)))
    for (run_id,) in (await session.execute(found, {"id": instance_id, "still": still})).all():
        run = await _get(session, run_id)
        tell = _of(_cancels, run.engine)
        if await runs.cancelled(session, run_id, actor_id, reason) and tell is not None:
            await tell(session, run, f"{run_id}:withdrawn")


def _jobs() -> ModuleType:
    from app.engines.spiff import jobs  # which withdraws runs by this module

    return jobs


async def _get(session: Session, run_id: UUID) -> Run:
    run = await runs.get(session, run_id)
    if run is None:
        raise NotFound("No such run.")
    return run


def _of(known: dict[str, Act], engine: str) -> Act | None:
    if engine not in known and engine in HOMES:
        importlib.import_module(HOMES[engine])
    return known.get(engine)


def _registrar(known: dict[str, Act], engine: str) -> Callable[[Act], Act]:
    def register(function: Act) -> Act:
        if engine in known:
            raise RuntimeError(f"two functions for {engine!r}")
        known[engine] = function
        return function

    return register
