"""Reading instances of Zeebe in the shape that instances have everywhere: one, its trace, a search."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import NotFound
from app.db.session import Session
from app.engines import paging, runs
from app.engines.runs import Run
from app.engines.spiff import models
from app.engines.spiff.lookup import SEE_ALL, may_see
from app.engines.spiff.models import StoredModel
from app.engines.spiff.records import InstanceRow, InstanceView, Page, TraceRow
from app.engines.zeebe.variables import opened

STATUS = "case r.status when 'requested' then 'running' else r.status end"
OWN_JOBS = "dams.run.%"


async def view(session: Session, actor: Actor | None, run_id: UUID) -> InstanceView:
    """One instance with the jobs in hand and its open incidents; values are clear.

    Raises:
        NotFound: no such instance, or not one this person may see.
    """
    run = await runs.get(session, run_id)
    if run is None or run.engine != "zeebe" or (actor is not None and not may_see(actor, run.started_by)):
        raise NotFound("No such instance.")
    model = await _model(session, run)
    status = "running" if run.status == "requested" else run.status
    return InstanceView(
        id=run.id,
        process_id=run.name,
        name=model.name if model else run.name,
        version=run.input.get("version", 1),
        engine="zeebe",
        status=status,
        case=run.case_no or "",
        business_key=run.input.get("business_key"),
        variables=opened({**run.input.get("variables", {}), **(run.result or {})}),
        started_at=run.started_at or run.requested_at,
        ended_at=run.ended_at,
        waiting=await _waiting(session, run, model) if status == "running" else [],
        incidents=await _incidents(session, run, model),
    )


async def _model(session: Session, run: Run) -> StoredModel | None:
    try:
        return await models.find(session, run.name, run.input.get("version"))
    except NotFound:  # an instance that DAMS did not start, of a model that it does not have
        return None


async def _waiting(session: Session, run: Run, model: StoredModel | None) -> list[dict[str, Any]]:
    rows = await session.execute(
        text("""select element_id from zeebe_job where run_id = :run and state = 'active'
                and type not like :own order by started_at"""),
        {"run": run.id, "own": OWN_JOBS},
    )
    jobs = [{"kind": "job", "element_id": r.element_id, "name": _name(model, r.element_id)} for r in rows]
    first = "the relay" if run.status == "requested" else "Zeebe"
    return [{**one, "due_at": None} for one in jobs or [{"kind": "job", "element_id": "", "name": first}]]


async def _incidents(session: Session, run: Run, model: StoredModel | None) -> list[dict[str, Any]]:
    found = await session.execute(
        text("""select n, element_id, code, message, line, created_at from incident
                where run_id = :id and resolved_at is null order by n"""),
        {"id": run.id},
    )
    return [{**row, "name": _name(model, row["element_id"])} for row in found.mappings()]


def _name(model: StoredModel | None, element_id: str) -> str:
    return model.element_name(element_id) if model else element_id


async def trace(session: Session, actor: Actor, run_id: UUID) -> list[TraceRow]:
    """The tasks that workers of DAMS entered and ended, in order. Raises :class:`NotFound` as :func:`view` does."""
    await view(session, actor, run_id)
    run = await runs.get(session, run_id)
    model = await _model(session, run) if run else None
    rows = await session.execute(
        text("""select element_id, 'entered' as event, started_at as at from zeebe_job
                where run_id = :run and type not like :own
                union all
                select element_id, case state when 'done' then 'completed' else 'failed' end, ended_at from zeebe_job
                where run_id = :run and type not like :own and ended_at is not null order by at, event desc"""),
        {"run": run_id, "own": OWN_JOBS},
    )
    return [
        TraceRow(number, row.element_id, "serviceTask", _name(model, row.element_id), row.event, row.at)
        for number, row in enumerate(rows, 1)
    ]


async def search(
    session: Session,
    actor: Actor,
    *,
    process_id: str | None = None,
    status: str | None = None,
    case: str | None = None,
    business_key: str | None = None,
    variable: str | None = None,
    element: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[InstanceRow]:
    """Instances, newest first. Values are sealed, so a search by *variable* finds none of these.

    Raises:
        BadRequest: the cursor cannot be read.
    """
    if variable:
        return Page([])
    where = ["r.engine = 'zeebe'", "(:all or r.started_by = :actor)"]
    given: dict[str, Any] = {"all": actor.has(*SEE_ALL), "actor": actor.id, "limit": paging.shown(limit) + 1}
    for name, column, value in (
        ("process_id", "r.name", process_id),
        ("status", STATUS, status),
        ("case_no", "r.case_no", case),
        ("business_key", "r.input->>'business_key'", business_key),
    ):
        if value:
            where.append(f"{column} = :{name}")
            given[name] = value
    if element:
        where.append("exists(select from zeebe_job j where j.run_id = r.id and j.element_id = :element "
                     "and j.state = 'active')")  # fmt: skip
        given["element"] = element
    if cursor:
        where.append("r.id < :cursor")
        given["cursor"] = paging.after(cursor)
    found = await session.execute(
        text(f"""select r.id, r.name as process_id,
                        coalesce((select m.name from model m where m.process_id = r.name
                                  order by m.version desc limit 1), r.name) as name,
                        coalesce((r.input->>'version')::int, 1) as version, 'zeebe' as engine, {STATUS} as status,
                        coalesce(r.case_no, '') as case, r.input->>'business_key' as business_key,
                        coalesce(r.started_at, r.requested_at) as started_at, r.ended_at,
                        (select count(*) from incident n
                         where n.run_id = r.id and n.resolved_at is null) as incidents
                 from engine_run r where {" and ".join(where)} order by r.id desc limit :limit"""),  # noqa: S608 - constants only
        given,
    )
    return paging.page(found.mappings().all(), limit, lambda row: InstanceRow(**row))
