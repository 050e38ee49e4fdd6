"""Models that are being drawn: the text as it was left, and who has it open."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class ModelDraft(Base):
    """A file that is being drawn, valid or not. `key` is the process id it was begun with, `revision` counts saves.

    A discarded one stays, so that it can be brought back.
    """

    __tablename__ = "model_draft"
    __table_args__ = (CheckConstraint("engine in ('spiff', 'zeebe', 'dmn')", name="engine"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    engine: Mapped[str]
    file: Mapped[str]
    name: Mapped[str]
    xml: Mapped[str]
    base_version: Mapped[int | None]
    revision: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    saved_at: Mapped[datetime] = mapped_column(server_default=func.now())
    saved_by: Mapped[int | None] = mapped_column(ForeignKey("login.id", ondelete="SET NULL"))
    discarded_at: Mapped[datetime | None]


class ModelLock(Base):
    """Who draws a model just now, in which tab of a browser; over when `seen_at` is old."""

    __tablename__ = "model_lock"

    key: Mapped[str] = mapped_column(primary_key=True)
    login_id: Mapped[int] = mapped_column(ForeignKey("login.id", ondelete="CASCADE"))
    tab: Mapped[UUID]
    since: Mapped[datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
