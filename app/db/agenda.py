"""When the clinic is open, when doctors see patients, what is held for a moment, and who waits for a freed slot."""

from __future__ import annotations

from datetime import date, datetime, time
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ids import uuid7
from app.db.base import Base, Serial


class OpeningHours(Base):
    """The clinic is open from `opens` to `closes` on each `weekday` (0 Monday … 6 Sunday), in its own zone."""

    __tablename__ = "opening_hours"
    __table_args__ = (
        UniqueConstraint("weekday", "opens"),
        CheckConstraint("weekday between 0 and 6", name="weekday"),
        CheckConstraint("opens < closes", name="order"),
    )

    id: Mapped[Serial]
    weekday: Mapped[int]
    opens: Mapped[time]
    closes: Mapped[time]


class Holiday(Base):
    """A day on which the clinic is closed."""

    __tablename__ = "holiday"

    day: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))


class DoctorHours(Base):
    """A doctor's weekly hours, cut into slots of `slot_minutes`, valid from a day on, until a day or for good."""

    __tablename__ = "doctor_hours"
    __table_args__ = (
        CheckConstraint("weekday between 0 and 6", name="weekday"),
        CheckConstraint("begins < ends", name="order"),
        CheckConstraint("slot_minutes between 5 and 480", name="slot"),
        CheckConstraint("valid_until is null or valid_from <= valid_until", name="valid"),
        Index("ix_doctor_hours_docid", "docid", "weekday"),
    )

    id: Mapped[Serial]
    docid: Mapped[str] = mapped_column(ForeignKey("doctor.empid", ondelete="CASCADE"))
    weekday: Mapped[int]
    begins: Mapped[time]
    ends: Mapped[time]
    slot_minutes: Mapped[int]
    valid_from: Mapped[date]
    valid_until: Mapped[date | None]


class DoctorBlock(Base):
    """Time in which a doctor sees nobody: leave, or a block for something else (FHIR Slot `busy-unavailable`)."""

    __tablename__ = "doctor_block"
    __table_args__ = (
        CheckConstraint("kind in ('leave', 'block')", name="kind"),
        CheckConstraint("not isempty(during)", name="during"),
        Index("ix_doctor_block_during", "docid", "during", postgresql_using="gist"),
    )

    id: Mapped[Serial]
    docid: Mapped[str] = mapped_column(ForeignKey("doctor.empid", ondelete="CASCADE"))
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    kind: Mapped[str]
    reason: Mapped[str] = mapped_column(String(200), server_default="")
    created_by: Mapped[int | None]


class SlotHold(Base):
    """A slot kept for whoever fills in a form (FHIR Slot `busy-tentative`). Expired holds are deleted before a new
    one is made or an appointment is booked, in the same transaction."""

    __tablename__ = "slot_hold"
    __table_args__ = (
        ExcludeConstraint(("docid", "="), ("during", "&&"), name="ex_slot_hold_doctor"),
        Index("ix_slot_hold_expires_at", "expires_at"),
        Index("ix_slot_hold_instance_id", "instance_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    docid: Mapped[str] = mapped_column(ForeignKey("doctor.empid", ondelete="CASCADE"))
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    instance_id: Mapped[UUID | None]
    held_by: Mapped[int | None]
    expires_at: Mapped[datetime]


class WaitingEntry(Base):
    """A patient who wants an earlier slot (FHIR status `waitlist`), of one doctor or of a specialization."""

    __tablename__ = "waiting_entry"
    __table_args__ = (
        CheckConstraint("state in ('waiting', 'booked', 'withdrawn')", name="state"),
        CheckConstraint("priority_level between 1 and 5", name="priority"),
        CheckConstraint("docid is not null or specialization is not null", name="wish"),
        CheckConstraint("earliest <= latest", name="days"),
        Index("ix_waiting_entry_open", "priority_level", "id", postgresql_where=text("state = 'waiting'")),
        Index("ix_waiting_entry_patientid", "patientid"),
    )

    id: Mapped[Serial]
    patientid: Mapped[int] = mapped_column(ForeignKey("patient.patientid", ondelete="CASCADE"))
    docid: Mapped[str | None] = mapped_column(ForeignKey("doctor.empid", ondelete="CASCADE"))
    specialization: Mapped[str | None] = mapped_column(String(100))
    earliest: Mapped[date]
    latest: Mapped[date]
    priority_level: Mapped[int] = mapped_column(server_default=text("3"))
    replaces: Mapped[str | None] = mapped_column(String(20))
    """The ticket of the later appointment that the patient gives up for the earlier one."""
    state: Mapped[str] = mapped_column(server_default="waiting")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SlotOffer(Base):
    """A freed slot offered to one patient of the waiting list for a limited time; one open offer per slot and entry."""

    __tablename__ = "slot_offer"
    __table_args__ = (
        CheckConstraint("state in ('open', 'taken', 'declined', 'expired')", name="state"),
        ExcludeConstraint(("docid", "="), ("during", "&&"), name="ex_slot_offer_doctor", where=text("state = 'open'")),
        Index("uq_slot_offer_open", "entry_id", unique=True, postgresql_where=text("state = 'open'")),
        UniqueConstraint("entry_id", "docid", "during"),
        Index("ix_slot_offer_expires_at", "expires_at", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    entry_id: Mapped[int] = mapped_column(ForeignKey("waiting_entry.id", ondelete="CASCADE"))
    docid: Mapped[str] = mapped_column(ForeignKey("doctor.empid", ondelete="CASCADE"))
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    state: Mapped[str] = mapped_column(server_default="open")
    offered_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]


class CalendarFeed(Base):
    """The secret address of a doctor's iCal feed; only its SHA-256 is stored, and it can be revoked."""

    __tablename__ = "calendar_feed"

    id: Mapped[Serial]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    docid: Mapped[str | None] = mapped_column(ForeignKey("doctor.empid", ondelete="CASCADE"), index=True)
    patientid: Mapped[int | None] = mapped_column(ForeignKey("patient.patientid", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revoked_at: Mapped[datetime | None]
