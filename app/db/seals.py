"""The hash chains over the timeline: a row changed or taken away behind the service's back is found."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, BigSerial


class CaseSeal(Base):
    """One event's link. `hash` follows that of the case's event before, `head` that of the seal before over all cases.

    A trigger refuses UPDATE and DELETE, and the role that serves has no grant for them.
    """

    __tablename__ = "case_seal"
    __table_args__ = (Index("ix_case_seal_case_no", "case_no", "n", postgresql_where=text("case_no is not null")),)

    n: Mapped[BigSerial]
    event_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    case_no: Mapped[str | None]
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    head: Mapped[bytes] = mapped_column(LargeBinary)
