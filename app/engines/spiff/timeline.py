"""The case timeline as the BPMN side reads it. Writing is `app.clinic.audit.record`."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from sqlalchemy import text

from app.db.session import Session
from app.engines.spiff.records import EventRow

_EVENTS = """
    select e.id, e.at, e.kind, e.case_no as case, e.instance_id, e.task_id, e.data,
           l.username as actor, l.display_name as actor_name
    from case_event e left join login l on l.id = e.actor_id
"""


async def of_case(session: Session, case: str, limit: int = 500) -> list[EventRow]:
    """What happened to a case, oldest first, at most *limit* rows from its end."""
    sql = f"select * from ({_EVENTS} where e.case_no = :case order by e.id desc limit :limit) newest order by id"  # noqa: S608
    return await _rows(session, sql, {"case": case, "limit": limit})


async def of_instance(session: Session, case: str, instance_id: UUID, limit: int = 500) -> list[EventRow]:
    """The same for one instance of the case, without what engines do inside the runs it asked for."""
    sql = f"""select * from ({_EVENTS} where e.case_no = :case and e.instance_id = :instance and e.key is null
              order by e.id desc limit :limit) newest order by id"""  # noqa: S608 - constants only
    return await _rows(session, sql, {"case": case, "instance": instance_id, "limit": limit})


async def of_ticket(session: Session, ticketid: str, limit: int = 100) -> list[EventRow]:
    """What happened to an appointment, newest first."""
    sql = f"{_EVENTS} where e.data ->> 'ticket' = :ticket order by e.id desc limit :limit"
    return await _rows(session, sql, {"ticket": ticketid, "limit": limit})


async def comments(session: Session, case: str) -> list[dict[str, Any]]:
    """What people said about a case, oldest first: the task it was said at, when, by whom."""
    found = await session.execute(
        text("""select e.task_id as task, e.at, coalesce(l.display_name, '') as by, e.data ->> 'text' as comment
                from case_event e left join login l on l.id = e.actor_id
                where e.case_no = :case and e.kind = 'comment.added' order by e.id"""),
        {"case": case},
    )
    return [dict(row) for row in found.mappings()]


async def entries(session: Session, case: str, task_id: UUID) -> dict[str, Any]:
    """What was entered by whoever completed a task."""
    sql = f"""{_EVENTS} where e.case_no = :case and e.task_id = :task and e.kind = 'task.completed'
              order by e.id desc limit 1"""
    rows = await _rows(session, sql, {"case": case, "task": task_id})
    return rows[0].data.get("entries") or {} if rows else {}


async def _rows(session: Session, sql: str, parameters: dict[str, Any]) -> list[EventRow]:
    found = await session.execute(text(sql), parameters)
    return [EventRow(**cast("dict[str, Any]", {**row, "data": row["data"] or {}})) for row in found.mappings()]
