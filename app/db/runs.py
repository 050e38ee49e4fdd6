"""Work that is done for DAMS elsewhere, one row each: Celery pipeline, Zeebe instance, Temporal workflow, DAG run,
HTTP call, mail.

And each job of a Zeebe instance, so that its effect happens once however often the broker hands it out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ids import uuid7
from app.db.base import Base

ENGINES = ("celery", "zeebe", "temporal", "airflow", "http", "mail")
RUN_STATUSES = ("requested", "running", "completed", "failed", "cancelled")
OPEN_RUN = "status in ('requested', 'running')"


class EngineRun(Base):
    """One run in another engine, as DAMS knows it. (`engine`, `external_id`) names it there and here.

    `external_id` is chosen by DAMS where the engine lets the caller choose it (Temporal workflow id, Celery task id,
    Airflow run id), so a second request is the same run; Zeebe gives its own key, which is written when it is known.
    """

    __tablename__ = "engine_run"
    __table_args__ = (
        UniqueConstraint("engine", "external_id"),
        CheckConstraint("engine in ('" + "', '".join(ENGINES) + "')", name="engine"),
        CheckConstraint("status in ('" + "', '".join(RUN_STATUSES) + "')", name="status"),
        Index("ix_engine_run_open", "engine", "id", postgresql_where=text(OPEN_RUN)),
        Index("ix_engine_run_case_no", "case_no", postgresql_where=text("case_no is not null")),
        Index("ix_engine_run_name", "engine", "name", "id"),
        Index("ix_engine_run_instance_id", "instance_id", postgresql_where=text("instance_id is not null")),
        Index("ix_engine_run_ticket", text("(input ->> 'ticket')"), postgresql_where=text("engine = 'temporal'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    engine: Mapped[str]
    name: Mapped[str]
    """The pipeline, process id, workflow type or DAG id."""
    external_id: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="requested")
    case_no: Mapped[str | None]
    instance_id: Mapped[UUID | None]
    task_id: Mapped[UUID | None]
    """The element of the instance that waits for this run."""
    input: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    result: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    error: Mapped[str | None]
    done: Mapped[int] = mapped_column(server_default=text("0"))
    total: Mapped[int | None]
    started_by: Mapped[int | None] = mapped_column(ForeignKey("login.id", ondelete="SET NULL"))
    requested_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    """When the engine was last asked about it."""


class ZeebeJob(Base):
    """One job as the broker names it. `key` is the same at every try; `attempts` counts the tries, crashes too.

    A `parked` job has used up its tries: the broker gives it out again only when ops asks for it. `result` is what
    was or will be sent to the broker, sealed as there.
    """

    __tablename__ = "zeebe_job"
    __table_args__ = (
        CheckConstraint("state in ('active', 'done', 'error', 'parked')", name="state"),
        Index("ix_zeebe_job_run_id", "run_id"),
    )

    key: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("engine_run.id", ondelete="CASCADE"))
    type: Mapped[str]
    process_id: Mapped[str]
    element_id: Mapped[str]
    element_instance_key: Mapped[int] = mapped_column(BigInteger)
    instance_key: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(server_default="active")
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    error: Mapped[str | None]
    result: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
