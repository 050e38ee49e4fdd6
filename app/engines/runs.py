"""Runs in other engines as DAMS knows them: asked for, under way, ended, failed with an incident that ops can see.

Every function works in the caller's transaction and writes the timeline row of the change. Each change says which
states it may come from, so a late or repeated report changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from app.clinic import audit
from app.core.ids import uuid7
from app.db.session import Session
from app.engines import outbox

TOLD = "bpmn-job"
"""Kind of the effect that tells a task of a model how its run has ended."""
ANEW = "anew"
"""The member of a run's input that names the topic to ask once more, where the run itself cannot be run again."""
_FORGET = """input = case when task_id is null or engine = 'temporal' then input
                             when engine = 'zeebe' then input - 'variables' else '{}' end"""
"""What a task handed over is not kept once nobody can ask for it again; which version, and which ticket, stays."""
_COLUMNS = """r.id, r.engine, r.name, r.external_id, r.status, r.case_no, r.instance_id, r.task_id, r.input, r.result,
              r.error, r.done, r.total, r.started_by, r.requested_at, r.started_at, r.ended_at"""
_REQUEST = text("""
    insert into engine_run (id, engine, name, external_id, case_no, instance_id, task_id, input, total, started_by)
    values (:id, :engine, :name, :external_id, :case_no, :instance_id, :task_id, :input, :total, :started_by)
    on conflict (engine, external_id) do nothing returning id
""").bindparams(bindparam("input", type_=JSONB))


@dataclass(frozen=True, slots=True)
class Run:
    """One row of `engine_run`. `done` of `total` parts are finished where a run counts its parts."""

    id: UUID
    engine: str
    name: str
    external_id: str | None
    status: str
    case_no: str | None
    instance_id: UUID | None
    task_id: UUID | None
    input: dict[str, Any]
    result: Any
    error: str | None
    done: int
    total: int | None
    started_by: int | None
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


async def request(
    session: Session,
    engine: str,
    name: str,
    given: dict[str, Any],
    *,
    run_id: UUID | None = None,
    external_id: str | None = None,
    case: str | None = None,
    instance_id: UUID | None = None,
    task_id: UUID | None = None,
    total: int | None = None,
    started_by: int | None = None,
) -> UUID | None:
    """Write down that a run is wanted; its id, or None if (*engine*, *external_id*) was asked for before.

    *given* holds references, never patient data in clear where the engine would keep it.
    """
    values = {
        "id": run_id or uuid7(),
        "engine": engine,
        "name": name,
        "external_id": external_id,
        "case_no": case,
        "instance_id": instance_id,
        "task_id": task_id,
        "input": given,
        "total": total,
        "started_by": started_by,
    }
    made: UUID | None = await session.scalar(_REQUEST, values)
    if made is not None:
        data = {"run": str(made), "name": name}
        await audit.record(
            session,
            f"{engine}.requested",
            actor_id=started_by,
            case=case,
            instance_id=instance_id,
            task_id=task_id,
            data=data,
        )
    return made


async def began(session: Session, run_id: UUID, external_id: str | None = None) -> bool:
    """The engine has taken it. False if that was known, or it has ended already."""
    return await _change(
        session,
        run_id,
        "running",
        "status = 'requested'",
        "started_at = now(), seen_at = now(), external_id = coalesce(:external_id, external_id)",
        {"external_id": external_id},
    )


async def completed(session: Session, run_id: UUID, result: Any = None) -> bool:
    """It ended well with *result* (JSON). Open incidents of the run are closed. False if it had ended before."""
    changed = await _change(
        session,
        run_id,
        "completed",
        "status in ('requested', 'running', 'failed')",
        f"result = :result, error = null, ended_at = now(), seen_at = now(), done = coalesce(total, done), {_FORGET}",
        {"result": result},
    )
    if changed:
        await resolve(session, run_id, None)
    return changed


async def failed(
    session: Session, run_id: UUID, code: str, error: str, element_id: str = "", *, incident: bool = True
) -> bool:
    """It ended badly: *error* says why, without patient data; an open incident shows it. False if it had ended.

    Without *incident* for a refusal that whoever asked is told at once.
    """
    changed = await _change(
        session,
        run_id,
        "failed",
        "status in ('requested', 'running')",
        "error = :error, ended_at = now(), seen_at = now()",
        {"error": error[:2000]},
        {"code": code},
    )
    if changed and incident:
        await add_incident(session, run_id, code, error, element_id)
    return changed


async def add_incident(session: Session, run_id: UUID, code: str, error: str, element_id: str = "") -> None:
    """A further incident of a run, at the element of its model where there is one."""
    await session.execute(
        text("""insert into incident (run_id, n, element_id, code, message)
                select :id, coalesce(max(n), 0) + 1, :element_id, :code, :error from incident where run_id = :id"""),
        {"id": run_id, "code": code, "error": error[:2000], "element_id": element_id},
    )


async def cancelled(session: Session, run_id: UUID, actor_id: int | None = None, reason: str = "") -> bool:
    """It was called off by a person or by the engine. False if it had ended before."""
    changed = await _change(
        session,
        run_id,
        "cancelled",
        "status in ('requested', 'running', 'failed')",
        f"ended_at = now(), seen_at = now(), {_FORGET}",
        {},
        {"reason": reason} if reason else {},
        actor_id,
    )
    if changed:
        await resolve(session, run_id, actor_id)
    return changed


async def again(session: Session, run_id: UUID, actor_id: int) -> bool:
    """Ops asks for a failed run once more: it is requested again and its incident closed. False if it is not failed."""
    changed = await _change(
        session,
        run_id,
        "requested",
        "status = 'failed'",
        "error = null, ended_at = null, started_at = null, done = 0",
        {},
        {},
        actor_id,
    )
    if changed:
        await resolve(session, run_id, actor_id)
    return changed


async def failures(session: Session, run_id: UUID) -> int:
    """How often a run has failed so far: every failure writes one incident."""
    return await session.scalar(text("select count(*) from incident where run_id = :id"), {"id": run_id}) or 0


async def code_of(session: Session, run_id: UUID) -> str:
    """The code of a run's newest open incident, "failed" where it has none."""
    found = text("select code from incident where run_id = :id and resolved_at is null order by n desc limit 1")
    return await session.scalar(found, {"id": run_id}) or "failed"


async def progressed(session: Session, run_id: UUID, by: int = 1) -> None:
    """*by* further parts of it are done."""
    await session.execute(
        text("update engine_run set done = least(done + :by, coalesce(total, done + :by)) where id = :id"),
        {"id": run_id, "by": by},
    )


async def resolve(session: Session, run_id: UUID, actor_id: int | None) -> None:
    """Close the run's open incidents."""
    await session.execute(
        text("""update incident set resolved_at = now(), resolved_by = :actor
                where run_id = :id and resolved_at is null"""),
        {"id": run_id, "actor": actor_id},
    )


async def get(session: Session, run_id: UUID) -> Run | None:
    row = (await session.execute(text(f"select {_COLUMNS} from engine_run r where r.id = :id"), {"id": run_id})).first()  # noqa: S608
    return _run(row) if row else None


async def by_external_id(session: Session, engine: str, external_id: str) -> Run | None:
    sql = f"select {_COLUMNS} from engine_run r where r.engine = :engine and r.external_id = :external_id"  # noqa: S608
    row = (await session.execute(text(sql), {"engine": engine, "external_id": external_id})).first()
    return _run(row) if row else None


async def of_task(session: Session, instance_id: UUID, task_id: UUID) -> Run | None:
    """The newest run that a task asked for."""
    sql = f"""select {_COLUMNS} from engine_run r where r.instance_id = :instance and r.task_id = :task
              order by r.id desc limit 1"""  # noqa: S608 - constants of this module
    row = (await session.execute(text(sql), {"instance": instance_id, "task": task_id})).first()
    return _run(row) if row else None


async def is_stuck(session: Session, run_id: UUID) -> bool:
    """Whether ops must look at it."""
    found = text("select exists(select from incident where run_id = :id and resolved_at is null)")
    return bool(await session.scalar(found, {"id": run_id}))


async def newest(session: Session, engine: str, name: str | None = None, limit: int = 50) -> list[Run]:
    """The newest runs of an engine, of one name or of all."""
    sql = f"""select {_COLUMNS} from engine_run r where r.engine = :engine
              and (cast(:name as text) is null or r.name = :name) order by r.id desc limit :limit"""  # noqa: S608
    rows = await session.execute(text(sql), {"engine": engine, "name": name, "limit": limit})
    return [_run(row) for row in rows]


def _run(row: Row[Any]) -> Run:
    return Run(**dict(row._mapping))  # pyright: ignore[reportPrivateUsage] - SQLAlchemy's public name for it


async def _change(
    session: Session,
    run_id: UUID,
    status: str,
    only_from: str,
    what: str,
    values: dict[str, Any],
    told: dict[str, Any] | None = None,
    actor_id: int | None = None,
) -> bool:
    statement = text(
        f"""update engine_run set status = :status, {what} where id = :id and {only_from}
            returning engine, name, case_no, instance_id, task_id"""  # noqa: S608 - constants of this module
    )
    if "result" in values:
        statement = statement.bindparams(bindparam("result", type_=JSONB(none_as_null=True)))
    row = (await session.execute(statement, {"id": run_id, "status": status, **values})).first()
    if row is None:
        return False
    await audit.record(
        session,
        f"{row.engine}.{status}",
        actor_id=actor_id,
        case=row.case_no,
        instance_id=row.instance_id,
        task_id=row.task_id,
        data={"run": str(run_id), "name": row.name, **(told or {})},
    )
    if row.task_id is not None and status in ("completed", "failed"):
        # A run that is tried again may fail again, and in a way that the model catches: each end is told.
        key = f"{run_id}:{status}:{await failures(session, run_id)}"
        await outbox.enqueue(session, TOLD, key, {"run": str(run_id)}, case=row.case_no)
    return True
