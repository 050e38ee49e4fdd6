"""Instances that run on Zeebe: start, with or without a result, cancel, retry. Each is a row of `engine_run`.

Reads live in `lookup`, what reaches the broker through the outbox in `carrier`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, NoAnswer, NotFound, TooLarge, Unavailable
from app.core.ids import uuid7
from app.core.settings import settings
from app.db.session import Session, reading, transaction
from app.engines import control, outbox, runs, topics
from app.engines.runs import Run
from app.engines.spiff import lookup as people
from app.engines.spiff import models as stored
from app.engines.spiff.models import StoredModel
from app.engines.topics import Asked, Doubt
from app.engines.zeebe import broker, carrier, jobs, models
from app.engines.zeebe.variables import opened, sealed

ENGINE = "zeebe"
_CASE = text("select nextval('case_number')")
_ONCE = text("""
    insert into inbox (kind, key, result) values ('zeebe.started', :key, :result) on conflict do nothing returning key
""").bindparams(bindparam("result", type_=JSONB))


async def start(
    session: Session,
    actor: Actor,
    model: StoredModel,
    variables: Mapping[str, Any],
    *,
    business_key: str | None = None,
    case: str | None = None,
    key: str | None = None,
) -> UUID:
    """Ask for an instance of *model*; the relay starts it. The same *key* of the same person starts it once.

    Raises:
        Invalid: a version that is not the broker's newest, or a variable's name that cannot be.
        TooLarge: a variable beyond the bounds of the settings.
    """
    run_id = uuid7()
    if key:
        name = f"{actor.id}:{key}"
        if await session.scalar(_ONCE, {"key": name, "result": {"run": str(run_id)}}) is None:
            known = text("select result->>'run' from inbox where kind = 'zeebe.started' and key = :key")
            return UUID(await session.scalar(known, {"key": name}))
    await request(session, actor.id, model, variables, run_id, business_key=business_key, case=case)
    await outbox.enqueue(session, carrier.START, str(run_id), {"run": str(run_id)}, case=case)
    await session.execute(text("select pg_notify('outbox', '')"))
    return run_id


async def request(
    session: Session,
    started_by: int | None,
    model: StoredModel,
    variables: Mapping[str, Any],
    run_id: UUID,
    *,
    business_key: str | None = None,
    case: str | None = None,
    instance_id: UUID | None = None,
    task_id: UUID | None = None,
) -> None:
    """Write down that a run is wanted. Raises as :func:`start`."""
    if not model.active:
        raise Invalid({"version": "Zeebe starts the newest version of a process; deploy this one again to start it."})
    _check(variables)
    given = {
        "version": model.version,
        "business_key": business_key,
        "variables": sealed(variables, models.declared_clear(model.xml)),
    }
    number = case or f"A-{await session.scalar(_CASE)}"
    await runs.request(
        session,
        ENGINE,
        model.process_id,
        given,
        run_id=run_id,
        case=number,
        started_by=started_by,
        instance_id=instance_id,
        task_id=task_id,
    )


@topics.serves(ENGINE)
async def serve(session: Session, asked: Asked) -> None:
    """A task of a model asks for an instance. Raises :class:`NotFound` for a process that is not deployed there."""
    model = await stored.find(session, asked.name)
    if model.engine != ENGINE:
        raise NotFound(f"{asked.name} does not run on Zeebe.")
    run_id = uuid7()
    await request(
        session,
        asked.started_by,
        model,
        asked.given,
        run_id,
        case=asked.case,
        instance_id=asked.instance_id,
        task_id=asked.task_id,
    )
    await outbox.enqueue(session, carrier.START, str(run_id), {"run": str(run_id)}, case=asked.case)


@topics.knows(ENGINE)
async def known(session: Session, name: str) -> Doubt | None:
    """The processes that were deployed through DAMS; one may be deployed before the task is reached."""
    rows = (await session.execute(text("select process_id, engine from model where active order by process_id"))).all()
    there = [row.process_id for row in rows if row.engine == ENGINE]
    if name in there:
        return None
    if any(row.process_id == name for row in rows):
        told = f"the process {name} runs in DAMS and not on Zeebe"
        return Doubt(told, "draw a call activity, or name a process of Zeebe", sure=True)
    told = f"no process {name!r} is deployed to Zeebe yet"
    return Doubt(told, topics.nearest(name, there, "deploy it before the task is reached"), sure=False)


async def result_of(
    actor: Actor, model: StoredModel, variables: Mapping[str, Any], wanted: str, seconds: float
) -> tuple[UUID, Any]:
    """Start an instance and wait for the value of *wanted* at its end, outside any transaction; its id and the value.

    Raises:
        NoAnswer: it has not ended in time. It is called off, unless it stopped at an incident that ops can mend.
        Unavailable: the broker does not answer; nothing goes on.
    """
    run_id = uuid7()
    async with transaction() as session:
        await request(session, actor.id, model, variables, run_id)
    async with reading() as session:
        run = await runs.get(session, run_id)
    ends = time.monotonic() + seconds
    try:
        found = await _awaited(run, wanted, ends) if run else {}
    except (NoAnswer, Unavailable) as error:
        async with transaction() as session:
            await _give_up(session, run_id, error)
        raise
    if wanted not in found:
        raise Conflict(await _why(run_id), run=str(run_id))
    return run_id, opened({wanted: found[wanted]})[wanted]


async def _awaited(run: Run, wanted: str, ends: float) -> dict[str, Any]:
    """The result from the broker; where the call is lost on the way, what the run itself reports at its end."""
    try:
        return await carrier.launch_with_result(run, wanted, ends - time.monotonic())
    except broker.Interrupted:
        if not await broker.answers():
            raise
    while time.monotonic() < ends:
        async with reading() as session:
            seen = await runs.get(session, run.id)
        if seen is not None and seen.status == "completed":
            return seen.result
        if seen is None or seen.ended_at is not None:
            break
        await asyncio.sleep(0.1)
    raise NoAnswer("Zeebe did not bring a result in time.", engine="zeebe")


async def _give_up(session: Session, run_id: UUID, error: NoAnswer | Unavailable) -> None:
    run = await runs.get(session, run_id)
    if run is not None and run.status == "failed":
        error.detail = f"It stopped: {run.error}. Ops can see the incident and try it again."
        error.context["run"] = str(run_id)
        return
    if run is not None and await runs.cancelled(session, run_id, None, error.detail):
        await tell_cancelled(session, run, f"{run_id}:gave-up")


async def _why(run_id: UUID) -> str:
    async with reading() as session:
        run = await runs.get(session, run_id)
    return (run.error if run else None) or "The process ended without a result."


def _check(variables: Mapping[str, Any]) -> None:
    bounds = settings().engine
    sizes = {name: len(orjson.dumps(value)) for name, value in variables.items()}
    wrong = {
        name: "Names begin with a letter and hold letters, digits and underscores; `dams_…` is taken."
        for name in variables
        if not name.isidentifier() or name.startswith("dams_")
    }
    if wrong:
        raise Invalid(wrong)
    if any(size > bounds.variable_kb * 1024 for size in sizes.values()):
        raise TooLarge(f"A variable holds up to {bounds.variable_kb} KB.")
    if sum(sizes.values()) > bounds.instance_kb * 1024:
        raise TooLarge(f"All variables together hold up to {bounds.instance_kb} KB.")


async def cancel(session: Session, actor: Actor, run_id: UUID, reason: str) -> None:
    """Call a run off, as ops or as one of those who may see it.

    Raises:
        Invalid: no reason was given.
        NotFound: no such run, or not one this person may see.
        Conflict: it has ended already.
    """
    if not reason.strip() or len(reason) > 1000:
        raise Invalid({"reason": "Say in up to 1,000 characters why."})
    run = await runs.get(session, run_id)
    if run is None or run.engine != ENGINE or not people.may_see(actor, run.started_by):
        raise NotFound("No such instance.")
    if not await runs.cancelled(session, run_id, actor.id, reason.strip()):
        raise Conflict(f"The instance is {run.status} already.")
    await tell_cancelled(session, run, f"{run_id}:cancel")


async def retry(session: Session, actor: Actor, run_id: UUID, n: int) -> None:
    """Try the element of incident *n* again. Raises :class:`NotFound` if it is not open."""
    actor.require("ops", "admin")
    found = text("""select 1 from incident i join engine_run r on r.id = i.run_id
                    where r.id = :id and r.engine = 'zeebe' and i.n = :n and i.resolved_at is null""")
    if await session.scalar(found, {"id": run_id, "n": n}) is None:
        raise NotFound(f"Incident {n} is not open.")
    await control.retry(session, actor, run_id)


@control.retries(ENGINE)
async def ask_again(session: Session, run: Run, key: str) -> None:
    """Parked jobs are given out again. Where the instance itself has ended in an error, a new one is started."""
    parked = await jobs.unpark(session, run.id)
    if parked:
        await outbox.enqueue(session, carrier.RELEASE, key, {"jobs": parked}, case=run.case_no)
    else:
        await session.execute(text("update engine_run set external_id = null where id = :id"), {"id": run.id})
        await outbox.enqueue(session, carrier.START, key, {"run": str(run.id)}, case=run.case_no)


@control.cancels(ENGINE)
async def tell_cancelled(session: Session, run: Run, key: str) -> None:
    """The broker is told if it has the instance; else the first job that it hands out sees that nobody wants it."""
    if run.external_id:
        await outbox.enqueue(session, carrier.CANCEL, key, {"instance": int(run.external_id)}, case=run.case_no)
