"""Reading instances: one, its trace, a search; and who may see what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.actor import Actor
from app.core.errors import BadRequest, NotFound
from app.db.session import Session
from app.engines import paging
from app.engines.spiff import models
from app.engines.spiff.records import CaseRow, InstanceRow, InstanceView, Page, TaskRef, TraceRow

SEE_ALL = ("doctor", "staff", "admin", "ops")


def may_see(actor: Actor, started_by: int | None) -> bool:
    """The desk and ops see every instance, others what they started."""
    return actor.has(*SEE_ALL) or started_by == actor.id


def may_take(actor: Actor, candidates: Sequence[str], assignee_id: int | None, ended_by: int | None = None) -> bool:
    """Whether a task is one of this person's: assigned, offered to a role or group, done by them, or an admin asks."""
    names = actor.candidate_names | {f"user:{actor.username}"}
    return actor.has("admin") or actor.id in (assignee_id, ended_by) or not names.isdisjoint(candidates)


async def view(session: Session, actor: Actor | None, instance_id: UUID) -> InstanceView:
    """One instance with its open tasks, waits and open incidents; no *actor* means the service itself asks.

    Raises:
        NotFound: no such instance, or not one this person may see.
    """
    row = (
        await session.execute(
            text("""select i.*, m.process_id, m.name, m.version, m.engine,
                      exists(select from user_task t where t.instance_id = i.id
                             and (t.assignee_id = cast(:actor as int) or t.ended_by = cast(:actor as int)
                                  or t.candidates && cast(:names as text[]))) as involved
                    from instance i join model m on m.id = i.model_id where i.id = :id""").columns(
                variables=JSONB, waiting=JSONB
            ),
            {
                "id": instance_id,
                "actor": actor.id if actor else None,
                "names": [*actor.candidate_names, f"user:{actor.username}"] if actor else [],
            },
        )
    ).first()
    if row is None or (actor is not None and not may_see(actor, row.started_by) and not row.involved):
        raise NotFound("No such instance.")
    return InstanceView(
        id=row.id,
        process_id=row.process_id,
        name=row.name,
        version=row.version,
        engine=row.engine,
        status=row.status,
        case=row.case_no,
        business_key=row.business_key,
        variables=row.variables,
        started_at=row.started_at,
        ended_at=row.ended_at,
        tasks=await _open_tasks(session, instance_id, row.model_id),
        waiting=row.waiting,
        incidents=await _incidents(session, instance_id, row.model_id),
    )


async def _open_tasks(session: Session, instance_id: UUID, model_id: int) -> list[TaskRef]:
    model = await models.by_id(session, model_id)
    rows = await session.execute(
        text("""select t.id, t.element_id, t.state, l.username as assignee, t.candidates, t.due_at
                from user_task t left join login l on l.id = t.assignee_id
                where t.instance_id = :id and t.state in ('ready', 'claimed') order by t.id"""),
        {"id": instance_id},
    )
    return [
        TaskRef(r.id, r.element_id, model.element_name(r.element_id), r.state, r.assignee, r.candidates, r.due_at)
        for r in rows
    ]


async def _incidents(session: Session, instance_id: UUID, model_id: int) -> list[dict[str, Any]]:
    model = await models.by_id(session, model_id)
    found = await session.execute(
        text("""select n, element_id, code, message, line, created_at from incident
                where instance_id = :id and resolved_at is null order by n"""),
        {"id": instance_id},
    )
    return [{**row, "name": model.element_name(row["element_id"])} for row in found.mappings()]


async def trace(session: Session, actor: Actor, instance_id: UUID) -> list[TraceRow]:
    """What really ran, in order: ids of the uploaded file only. Raises :class:`NotFound` as :func:`view` does."""
    shown = await view(session, actor, instance_id)
    model = await models.find(session, shown.process_id, shown.version)
    rows = await session.execute(
        text("""select at, trace from case_event where case_no = :case and instance_id = :id and trace is not null
                order by id""").columns(trace=JSONB),
        {"case": shown.case, "id": instance_id},
    )
    # A coded process tells `reached` and `ready`; the trace has one word for both, which the timeline tells apart.
    entries = [
        (row.at, element, "entered" if event == "reached" else str(event))
        for row in rows
        for element, event in row.trace
        if event != "ready"
    ]
    found: list[TraceRow] = []
    for number, (at, element_id, event) in enumerate(entries, 1):
        element = model.elements.get(element_id)
        kind = element.type if element else ""
        found.append(TraceRow(number, element_id, kind, element.name if element else "", event, at))
    return found


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
    """Instances, newest first. *variable* is ``name=value``; the value is JSON, or a string where it is none.

    Raises:
        BadRequest: the cursor or the variable cannot be read.
    """
    where = ["(:all or i.started_by = :actor)"]
    given: dict[str, Any] = {"all": actor.has(*SEE_ALL), "actor": actor.id, "limit": paging.shown(limit) + 1}
    for name, column, value in (
        ("process_id", "m.process_id", process_id),
        ("status", "i.status", status),
        ("case_no", "i.case_no", case),
        ("business_key", "i.business_key", business_key),
    ):
        if value:
            where.append(f"{column} = :{name}")
            given[name] = value
    if variable:
        where.append("i.variables @> cast(:variable as jsonb)")
        given["variable"] = _variable(variable)
    if element:
        where.append("""(exists(select from user_task t where t.instance_id = i.id and t.element_id = :element
                                and t.state in ('ready', 'claimed'))
                         or i.waiting @> cast(:waits as jsonb))""")
        given |= {"element": element, "waits": orjson.dumps([{"element_id": element}]).decode()}
    if cursor:
        where.append("i.id < :cursor")
        given["cursor"] = paging.after(cursor)
    found = await session.execute(
        text(f"""select i.id, m.process_id, m.name, m.version, m.engine, i.status, i.case_no as case,
                            i.business_key, i.started_at, i.ended_at,
                            (select count(*) from incident n
                             where n.instance_id = i.id and n.resolved_at is null) as incidents
                     from instance i join model m on m.id = i.model_id
                     where {" and ".join(where)} order by i.id desc limit :limit"""),  # noqa: S608 - constants only
        given,
    )
    return paging.page(found.mappings().all(), limit, lambda row: InstanceRow(**row))


async def cases(
    session: Session, actor: Actor, *, status: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[CaseRow]:
    """Cases of which this person may see an instance, newest first; *status* keeps those with such an instance.

    A case stands where its first visible instance began, so that a page does not change while cases go on.

    Raises:
        BadRequest: the cursor cannot be read.
    """
    seen = "(:all or {0}.started_by = :actor)"
    where = [seen.format("f"), f"""not exists(select from instance e where e.case_no = f.case_no and e.id < f.id
                                              and {seen.format("e")})"""]  # fmt: skip
    given: dict[str, Any] = {"all": actor.has(*SEE_ALL), "actor": actor.id, "limit": paging.shown(limit) + 1}
    if status:
        where.append(f"""exists(select from instance s where s.case_no = f.case_no and s.status = :status
                                and {seen.format("s")})""")
        given["status"] = status
    if cursor:
        where.append("f.id < :cursor")
        given["cursor"] = paging.after(cursor)
    found = await session.execute(
        text(f"""select f.id, f.case_no as case, f.business_key, f.started_at, c.* from (
                   select f.id, f.case_no, f.business_key, f.started_at from instance f
                   where {" and ".join(where)} order by f.id desc limit :limit
                 ) f cross join lateral (
                   select count(*) as instances, count(*) filter (where i.status = 'running') as running,
                          sum((select count(*) from incident n where n.instance_id = i.id and n.resolved_at is null)
                             )::int as incidents,
                          array_agg(distinct m.process_id) as process_ids
                   from instance i join model m on m.id = i.model_id
                   where i.case_no = f.case_no and {seen.format("i")}
                 ) c order by f.id desc"""),  # noqa: S608 - constants only
        given,
    )
    return paging.page(found.mappings().all(), limit, _case_row)


def _case_row(row: Mapping[str, Any]) -> CaseRow:
    return CaseRow(**{name: value for name, value in row.items() if name != "id"})


def _variable(text_: str) -> str:
    name, found, value = text_.partition("=")
    if not found or not name:
        raise BadRequest("variable must be name=value")
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError:
        parsed = value
    return orjson.dumps({name: parsed}).decode()


async def steps(session: Session, actor: Actor, instance_id: UUID) -> list[dict[str, Any]]:
    """People's tasks of an instance with their state and times, in the order in which they came; those that it has not
    come to are `future`. Raises :class:`NotFound` as :func:`view` does.
    """
    shown = await view(session, actor, instance_id)
    model = await models.find(session, shown.process_id, shown.version)
    rows = await session.execute(
        text("""select t.id, t.element_id, t.state, a.username as assignee, e.username as ended_by, t.created_at,
                       t.claimed_at, t.ended_at
                from user_task t left join login a on a.id = t.assignee_id left join login e on e.id = t.ended_by
                where t.instance_id = :id order by t.id"""),
        {"id": instance_id},
    )
    found = [{**row, "name": model.element_name(row["element_id"])} for row in rows.mappings()]
    came = {row["element_id"] for row in found}
    nothing = dict.fromkeys(("id", "assignee", "ended_by", "created_at", "claimed_at", "ended_at"))
    still = [element_id for element_id in model.tasks if element_id not in came] if shown.status == "running" else []
    ahead = [{"element_id": one, "name": model.element_name(one), "state": "future", **nothing} for one in still]
    return [*found, *ahead]


async def of_task(session: Session, actor: Actor, task_id: UUID) -> InstanceView:
    """The instance of a task. Raises :class:`NotFound` as :func:`view` does."""
    instance_id = await session.scalar(text("select instance_id from user_task where id = :id"), {"id": task_id})
    if instance_id is None:
        raise NotFound("There is no such task for you.")
    return await view(session, actor, instance_id)


async def happened(session: Session, case: str, instance_id: UUID) -> list[tuple[str, str]]:
    """(element id, event) of everything that ran in an instance, in order."""
    rows = await session.execute(
        text("""select trace from case_event where case_no = :case and instance_id = :id and trace is not null
                order by id""").columns(trace=JSONB),
        {"case": case, "id": instance_id},
    )
    return [(element, event) for row in rows for element, event in row.trace]
