"""Jobs of Zeebe as the database knows them: taken, done, failed, parked. What makes a repeated delivery harmless.

Every function works in the caller's transaction. Texts that are stored here say nothing about a patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.ids import uuid7
from app.db.session import Session
from app.engines import moments, runs

ENGINE = "zeebe"

# A broker that begins anew gives its keys out again: a row of another job under the key says nothing about this one.
_SAME = """(j.type = excluded.type and j.instance_key = excluded.instance_key
    and j.element_instance_key = excluded.element_instance_key
    and (excluded.run_id is null or j.run_id is not distinct from excluded.run_id))"""
_TAKE = text(f"""
    with run as (
        select id, status, external_id from engine_run where id = :run_id),
    job as (
        insert into zeebe_job as j (key, run_id, type, process_id, element_id, element_instance_key, instance_key,
                                    attempts)
        values (:key, (select id from run), :type, :process_id, :element_id, :element_instance_key, :instance_key, 1)
        on conflict (key) do update set
            attempts = case when {_SAME} then j.attempts + (j.state = 'active')::int else 1 end,
            state = case when {_SAME} then j.state else 'active' end,
            result = case when {_SAME} then j.result end,
            error = case when {_SAME} then j.error end,
            started_at = case when {_SAME} then j.started_at else now() end,
            ended_at = case when {_SAME} then j.ended_at end,
            run_id = case when {_SAME} then j.run_id else excluded.run_id end,
            type = excluded.type, process_id = excluded.process_id, element_id = excluded.element_id,
            element_instance_key = excluded.element_instance_key, instance_key = excluded.instance_key
        returning j.*)
    select job.state, job.attempts, job.result, job.error, run.id as run_id, run.status, run.external_id
    from job left join run on true
""").columns(result=JSONB)  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class Given:
    """A job as the broker handed it out. *key* and *element_instance_key* are the same at every try."""

    key: int
    type: str
    run_id: UUID | None
    process_id: str
    element_id: str
    element_instance_key: int
    instance_key: int
    retries: int


@dataclass(frozen=True, slots=True)
class Held:
    """What to do with a job that was handed out: `active` is to be executed, `done` and `error` to be told again."""

    state: Literal["active", "done", "error", "parked"]
    attempts: int
    result: dict[str, Any] | None
    error: str | None
    run_id: UUID | None
    root: int | None
    """Key of the outermost instance of the run."""
    called_off: bool


async def take(session: Session, job: Given) -> Held:
    """Count this try, before anything is done: a job that kills its worker is counted too."""
    values = {
        "key": job.key,
        "run_id": job.run_id,
        "type": job.type,
        "process_id": job.process_id,
        "element_id": job.element_id,
        "element_instance_key": job.element_instance_key,
        "instance_key": job.instance_key,
    }
    row = (await session.execute(_TAKE, values)).one()
    if row.status == "requested" and row.external_id:  # ops asked for it again, and here it is
        await runs.began(session, row.run_id)
    root = int(row.external_id) if row.external_id else None
    if row.state == "active" and row.status == "running":
        await moments.of_job(session, job.key, "started")
    return Held(row.state, row.attempts, row.result, row.error, row.run_id, root, row.status == "cancelled")


async def begin(session: Session, run_id: UUID, instance_key: int) -> bool:
    """The broker has begun an instance of the run. False if the run was not waiting for one.

    Another run under that key was one of a broker that has been emptied: it keeps no key, and where it had not ended
    it never will, which ops must see.
    """
    earlier = await session.execute(
        text("""select o.id, o.status from engine_run o join engine_run r on r.engine = o.engine
                where r.id = :id and r.status = 'requested' and o.engine = :engine and o.external_id = :key
                and o.id <> r.id for update of o"""),
        {"id": run_id, "engine": ENGINE, "key": str(instance_key)},
    )
    for row in earlier.all():
        await session.execute(text("update engine_run set external_id = null where id = :id"), {"id": row.id})
        await runs.failed(session, row.id, "broker-emptied", "Zeebe has begun anew and knows this instance no more.")
    return await runs.began(session, run_id, str(instance_key))


async def done(session: Session, key: int, result: dict[str, Any]) -> None:
    """Written in the transaction of the job's own effect, so that the effect happens once."""
    statement = text("update zeebe_job set state = 'done', result = :result, error = null, ended_at = now() "
                     "where key = :key").bindparams(bindparam("result", type_=JSONB))  # fmt: skip
    await session.execute(statement, {"key": key, "result": result})
    await moments.of_job(session, key, "completed")


async def threw(session: Session, key: int, code: str, message: str) -> None:
    """It ended in a BPMN error; *code* and *message* are kept as ``code: message``."""
    await _end(session, key, "error", f"{code}: {message}")
    await moments.of_job(session, key, "error", code=code)


async def failed(session: Session, job: Given, error: str, *, final: bool) -> int | None:
    """A try failed: how many there were, or None after the last one or a *final* error. The job is parked then, and
    its run shows an incident; a run that DAMS did not start gets its row here, so that its incident is seen.
    """
    held = (
        await session.execute(
            text("select attempts, run_id, state from zeebe_job where key = :key for update"), {"key": job.key}
        )
    ).first()
    if held is None:  # not even this try could be counted
        return 1
    if held.state == "parked":
        return None
    if not final and held.attempts < job.retries:
        sql = "update zeebe_job set error = :error where key = :key"
        await session.execute(text(sql), {"key": job.key, "error": error[:2000]})
        await moments.of_job(session, job.key, "failed")
        return held.attempts
    run_id = held.run_id or await _adopt(session, job)
    await _end(session, job.key, "parked", error)
    await moments.of_job(session, job.key, "failed", last=True)
    code = "job-input" if final else "job-failed"
    if not await runs.failed(session, run_id, code, error, job.element_id):
        await runs.add_incident(session, run_id, code, error, job.element_id)
    return None


async def _adopt(session: Session, job: Given) -> UUID:
    known = await runs.by_external_id(session, ENGINE, str(job.instance_key))
    if known is not None:
        run_id = known.id
    else:
        run_id = uuid7()
        await runs.request(session, ENGINE, job.process_id, {}, run_id=run_id, external_id=str(job.instance_key))
        await runs.began(session, run_id)
    await session.execute(text("update zeebe_job set run_id = :run where key = :key"), {"run": run_id, "key": job.key})
    return run_id


async def _end(session: Session, key: int, state: str, error: str) -> None:
    await session.execute(
        text("update zeebe_job set state = :state, error = :error, ended_at = now() where key = :key"),
        {"key": key, "state": state, "error": error[:2000]},
    )


async def unpark(session: Session, run_id: UUID) -> list[int]:
    """Let the parked jobs of a run be executed again, with all their tries; their keys."""
    rows = await session.execute(
        text("""update zeebe_job set state = 'active', attempts = 0, ended_at = null
                where run_id = :run and state = 'parked' returning key"""),
        {"run": run_id},
    )
    return [row.key for row in rows]


async def last_error(session: Session, run_id: UUID) -> str | None:
    """The newest BPMN error that a job of the run ended in."""
    return await session.scalar(
        text("""select error from zeebe_job where run_id = :run and state = 'error'
                order by ended_at desc limit 1"""),
        {"run": run_id},
    )
