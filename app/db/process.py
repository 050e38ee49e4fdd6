"""Deployed models, running instances, people's tasks, timers and incidents.

Columns that name an account on a hot table carry no foreign key: each insert would lock the account's row and
write that lock to the log. Accounts are disabled, never deleted, so the names stay true.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ids import uuid7
from app.db.base import Base, Serial

OPEN = "state in ('ready', 'claimed')"


class Deployment(Base):
    """Files that were deployed together, by whom and with which note."""

    __tablename__ = "deployment"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    login_id: Mapped[int | None] = mapped_column(ForeignKey("login.id", ondelete="SET NULL"))
    note: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Model(Base):
    """A version of a process. `spec` is stored here once and never with an instance."""

    __tablename__ = "model"
    __table_args__ = (
        UniqueConstraint("process_id", "version"),
        Index("uq_model_active", "process_id", unique=True, postgresql_where=text("active")),
        CheckConstraint("engine in ('spiff', 'zeebe')", name="engine"),
    )

    id: Mapped[Serial]
    deployment_id: Mapped[UUID] = mapped_column(ForeignKey("deployment.id"), index=True)
    process_id: Mapped[str]
    version: Mapped[int]
    name: Mapped[str]
    engine: Mapped[str]
    file: Mapped[str]
    xml: Mapped[bytes] = mapped_column(LargeBinary)
    sha256: Mapped[str]
    spec: Mapped[bytes] = mapped_column(LargeBinary)
    elements: Mapped[list[Any]]
    forms: Mapped[dict[str, Any]]
    tasks: Mapped[dict[str, Any]]
    problems: Mapped[list[Any]]
    active: Mapped[bool]
    external_version: Mapped[int | None]
    """The engine's own number of this version, where it keeps models itself."""
    retired_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Instance(Base):
    """A running or finished process. `state` holds no spec and no predicted tasks; `revision` counts steps."""

    __tablename__ = "instance"
    __table_args__ = (
        CheckConstraint("status in ('running', 'completed', 'failed', 'cancelled')", name="status"),
        UniqueConstraint("started_by", "start_key"),
        Index("ix_instance_case_no", "case_no"),
        Index("ix_instance_model", "model_id", "id"),
        # The relay looks here for instances that a bound of one request left unfinished.
        Index("ix_instance_unfinished", "id", postgresql_where=text("unfinished")),
        # Who waits for a message or signal is found by its name; instances that wait for nothing cost nothing.
        Index(
            "ix_instance_waiting",
            "waiting",
            postgresql_using="gin",
            postgresql_ops={"waiting": "jsonb_path_ops"},
            postgresql_where=text("waiting <> '[]'::jsonb"),
        ),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    case_no: Mapped[str]
    business_key: Mapped[str | None]
    status: Mapped[str]
    revision: Mapped[int]
    unfinished: Mapped[bool] = mapped_column(server_default=text("false"))
    state: Mapped[bytes] = mapped_column(LargeBinary)
    variables: Mapped[dict[str, Any]]
    waiting: Mapped[list[Any]]
    started_by: Mapped[int | None]
    start_key: Mapped[str | None]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]


class UserTask(Base):
    """One user or manual task, as the inbox shows it: ready → claimed → completed or cancelled."""

    __tablename__ = "user_task"
    __table_args__ = (
        CheckConstraint("state in ('ready', 'claimed', 'completed', 'cancelled')", name="state"),
        Index("ix_user_task_instance_id", "instance_id"),
        Index("ix_user_task_open_of_instance", "instance_id", postgresql_where=text(OPEN)),
        Index("ix_user_task_open", text("due_at nulls last"), "id", postgresql_where=text(OPEN)),
        Index(
            "ix_user_task_assignee",
            "assignee_id",
            postgresql_where=text(OPEN + " and assignee_id is not null"),
        ),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instance.id", ondelete="CASCADE"))
    element_id: Mapped[str]
    state: Mapped[str]
    candidates: Mapped[list[str]]
    """Lower-case names of roles and groups that may take it."""
    assignee_id: Mapped[int | None]
    claimed_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    priority: Mapped[int] = mapped_column(server_default=text("50"))
    form_data: Mapped[dict[str, Any] | None]
    """Values of the instance that the form shows as defaults."""
    draft: Mapped[dict[str, Any] | None]
    completion_key: Mapped[str | None]
    """The submit's own key: the same key again is the same completion, not a second one."""
    ended_by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]


class Timer(Base):
    """A timer event that waits; any relay process fires it with `FOR UPDATE SKIP LOCKED`."""

    __tablename__ = "timer"

    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instance.id", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[UUID] = mapped_column(primary_key=True)
    element_id: Mapped[str]
    due_at: Mapped[datetime] = mapped_column(index=True)


class StartEvent(Base):
    """What starts the active version of a process by itself: a message or signal by name, or a time."""

    __tablename__ = "start_event"
    __table_args__ = (
        CheckConstraint("kind in ('message', 'signal', 'timer')", name="kind"),
        Index("ix_start_event_due_at", "due_at", postgresql_where=text("due_at is not null")),
        Index("ix_start_event_name", "kind", "name"),
    )

    id: Mapped[Serial]
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"))
    element_id: Mapped[str]
    kind: Mapped[str]
    name: Mapped[str]
    due_at: Mapped[datetime | None]
    plan: Mapped[dict[str, Any] | None]
    """Of a timer: how often it is still to start one, and months and seconds from one time to the next."""


class Incident(Base):
    """Something that stopped a branch: who looks after it sees element, reason and line, never patient values."""

    __tablename__ = "incident"
    __table_args__ = (
        UniqueConstraint("instance_id", "n"),
        Index("ix_incident_open", "id", postgresql_where=text("resolved_at is null")),
        Index("ix_incident_open_of_instance", "instance_id", postgresql_where=text("resolved_at is null")),
    )

    id: Mapped[Serial]
    instance_id: Mapped[UUID | None] = mapped_column(ForeignKey("instance.id", ondelete="CASCADE"))
    outbox_id: Mapped[UUID | None] = mapped_column(ForeignKey("outbox.id", ondelete="CASCADE"))
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("engine_run.id", ondelete="CASCADE"), index=True)
    n: Mapped[int]
    element_id: Mapped[str]
    task_id: Mapped[UUID | None]
    code: Mapped[str]
    message: Mapped[str]
    line: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[int | None] = mapped_column(ForeignKey("login.id", ondelete="SET NULL"))


class ServiceClock(Base):
    """The one row behind `dams_now()`: demo mode moves it, nothing else does."""

    __tablename__ = "service_clock"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    offset_seconds: Mapped[int] = mapped_column(server_default=text("0"))


class BufferedMessage(Base):
    """A message that nobody waited for yet; it is delivered to the first instance that does, until it expires."""

    __tablename__ = "buffered_message"
    __table_args__ = (Index("ix_buffered_message_name", "name", "expires_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str]
    correlation: Mapped[dict[str, Any]]
    variables: Mapped[dict[str, Any]]
    published_by: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class InstanceMigration(Base):
    """Running instances of one version being moved to another; `elements` names those with another id there."""

    __tablename__ = "instance_migration"
    __table_args__ = (
        CheckConstraint("state in ('running', 'completed', 'stopped')", name="state"),
        Index("uq_instance_migration_running", "process_id", unique=True, postgresql_where=text("state = 'running'")),
        Index("ix_instance_migration_process_id", "process_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    process_id: Mapped[str]
    from_model: Mapped[int] = mapped_column(ForeignKey("model.id"))
    to_model: Mapped[int] = mapped_column(ForeignKey("model.id"))
    elements: Mapped[dict[str, Any]]
    reason: Mapped[str]
    login_id: Mapped[int | None] = mapped_column(ForeignKey("login.id", ondelete="SET NULL"))
    state: Mapped[str]
    moved: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]


class InstanceMigrationRefusal(Base):
    """An instance that a migration left on its version, and why."""

    __tablename__ = "instance_migration_refusal"

    migration_id: Mapped[UUID] = mapped_column(
        ForeignKey("instance_migration.id", ondelete="CASCADE"), primary_key=True
    )
    instance_id: Mapped[UUID] = mapped_column(ForeignKey("instance.id", ondelete="CASCADE"), primary_key=True)
    element_id: Mapped[str]
    message: Mapped[str]
    fix: Mapped[str]
