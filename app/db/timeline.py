"""The case timeline, which is the audit trail too: append-only, one row for each committed change."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, BigSerial


class CaseEvent(Base):
    """What happened, when, to which case, by whom. A trigger refuses UPDATE and DELETE.

    `trace` is what a step of an instance really ran: ``[[element_id, event, task id], …]`` in order. `key` names what
    another engine may tell more than once.
    """

    __tablename__ = "case_event"
    __table_args__ = (
        Index("ix_case_event_case_no", "case_no", "id", postgresql_where=text("case_no is not null")),
        Index("ix_case_event_kind", "kind", "id", postgresql_where=text("case_no is null")),
        Index("uq_case_event_key", "key", unique=True, postgresql_where=text("key is not null")),
        Index(
            "ix_case_event_ticket", text("(data ->> 'ticket')"), postgresql_where=text("data ->> 'ticket' is not null")
        ),
    )

    id: Mapped[BigSerial]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    kind: Mapped[str]
    case_no: Mapped[str | None]
    instance_id: Mapped[UUID | None]
    task_id: Mapped[UUID | None]
    actor_id: Mapped[int | None]
    data: Mapped[dict[str, Any] | None]
    trace: Mapped[list[Any] | None]
    key: Mapped[str | None]
