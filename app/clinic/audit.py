"""One row of the timeline for each change, written in the transaction of the change."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from app.db.session import Session

_INSERT = text("""
    insert into case_event (kind, case_no, instance_id, task_id, actor_id, data)
    values (:kind, :case_no, :instance_id, :task_id, :actor_id, :data)
""").bindparams(bindparam("data", type_=JSONB(none_as_null=True)))


async def record(
    session: Session,
    kind: str,
    *,
    actor_id: int | None = None,
    case: str | None = None,
    instance_id: UUID | None = None,
    task_id: UUID | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    """Write what happened, e.g. ``task.claimed``. *data* holds JSON values, never a password or a token."""
    await session.execute(
        _INSERT,
        {
            "kind": kind,
            "case_no": case,
            "instance_id": instance_id,
            "task_id": task_id,
            "actor_id": actor_id,
            "data": data,
        },
    )
