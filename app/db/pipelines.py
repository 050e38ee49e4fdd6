"""Pipelines that the Celery workers offer, and the steps of their runs: what was begun, what is done and its result."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base

STEP_STATES = ("running", "done", "failed")


class Pipeline(Base):
    """A pipeline as a worker announced it when it started. The web makes its form from `input_schema`."""

    __tablename__ = "pipeline"

    name: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    description: Mapped[str]
    input_schema: Mapped[dict[str, Any]]
    roles: Mapped[list[str]]
    """Who may start it on the page; none: it is part of a call of its own."""
    announced_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PipelineStep(Base):
    """One task of a run. Its effect and `done` are one transaction: a task given out again finds its own result here.

    A step that is `running` and has ended gave its place to other steps, whose names begin with its own.
    `attempts` is counted and committed before the task begins, so one that kills its process is counted too.
    """

    __tablename__ = "pipeline_step"
    __table_args__ = (
        CheckConstraint("state in ('" + "', '".join(STEP_STATES) + "')", name="state"),
        Index("ix_pipeline_step_running", "worker", postgresql_where=text("state = 'running'")),
    )

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The run in `engine_run`, or the root task's id of a task that was started by itself."""
    step: Mapped[str] = mapped_column(primary_key=True)
    task: Mapped[str]
    state: Mapped[str]
    attempts: Mapped[int]
    task_id: Mapped[str]
    worker: Mapped[str]
    result: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    error: Mapped[dict[str, Any] | None]
    began_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]
