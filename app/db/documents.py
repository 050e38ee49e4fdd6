"""Documents that were made for a case, e.g. release notices."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ids import uuid7
from app.db.base import Base


class Document(Base):
    """One file of a case. (`kind`, `instance_id`) is unique, so a repeated step makes no second one."""

    __tablename__ = "document"
    __table_args__ = (UniqueConstraint("kind", "instance_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    kind: Mapped[str]
    name: Mapped[str]
    media_type: Mapped[str]
    content: Mapped[bytes] = mapped_column(LargeBinary)
    sha256: Mapped[str]
    case_no: Mapped[str] = mapped_column(index=True)
    instance_id: Mapped[UUID | None]
    patientid: Mapped[int | None] = mapped_column(ForeignKey("patient.patientid"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
