"""Servers that flows and models may call."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class Connection(Base):
    """`token` is an envelope, `revision` counts changes."""

    __tablename__ = "connection"

    name: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str]
    token: Mapped[bytes | None]
    models: Mapped[bool]
    private: Mapped[bool]
    revision: Mapped[int]
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    changed_by: Mapped[int | None] = mapped_column(ForeignKey("login.id", ondelete="SET NULL"))
