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
    """The same for one instance of the case."""
    sql = f"""select * from ({_EVENTS} where e.case_no = :case and e.instance_id = :instance
              order by e.id desc limit :limit) newest order by id"""  # noqa: S608 - constants only
    return await _rows(session, sql, {"case": case, "instance": instance_id, "limit": limit})


async def of_ticket(session: Session, ticketid: str, limit: int = 100) -> list[EventRow]:
    """What happened to an appointment, newest first."""
    sql = f"{_EVENTS} where e.data ->> 'ticket' = :ticket order by e.id desc limit :limit"
    return await _rows(session, sql, {"ticket": ticketid, "limit": limit})


async def _rows(session: Session, sql: str, parameters: dict[str, Any]) -> list[EventRow]:
    found = await session.execute(text(sql), parameters)
    return [EventRow(**cast("dict[str, Any]", {**row, "data": row["data"] or {}})) for row in found.mappings()]
