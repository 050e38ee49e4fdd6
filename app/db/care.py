"""What happens to patients: appointments, diagnoses, payments and lab requests."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func, text
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Serial, trigrams

APPOINTMENT_STATUSES = (
    "proposed",
    "pending",
    "booked",
    "arrived",
    "fulfilled",
    "cancelled",
    "noshow",
    "entered-in-error",
    "checked-in",
    "waitlist",
)
"""FHIR R4 AppointmentStatus."""

LIVE = "status in ('pending', 'booked', 'arrived', 'checked-in')"
"""The statuses that occupy a doctor's and a patient's time."""


class Appointment(Base):
    """A half-open time range of one doctor and one patient. The exclusion constraints are what stops double booking."""

    __tablename__ = "appointment"
    __table_args__ = (
        CheckConstraint("status in ('" + "', '".join(APPOINTMENT_STATUSES) + "')", name="status"),
        CheckConstraint("priority_level between 1 and 5", name="priority"),
        CheckConstraint("not isempty(during)", name="during"),
        ExcludeConstraint(
            ("docid", "="), ("during", "&&"), name="ex_appointment_doctor", where=f"{LIVE} and overbooked is null"
        ),
        ExcludeConstraint(("patientid", "="), ("during", "&&"), name="ex_appointment_patient", where=LIVE),
        Index("ix_appointment_date", "date_scheduled", "docid"),
    )

    id: Mapped[Serial]
    ticketid: Mapped[str] = mapped_column(String(20), unique=True)
    patientid: Mapped[int] = mapped_column(ForeignKey("patient.patientid"), index=True)
    docid: Mapped[str] = mapped_column(ForeignKey("doctor.empid"))
    priority_level: Mapped[int]
    date_scheduled: Mapped[date]
    time_scheduled: Mapped[time]
    consult_hrs: Mapped[Decimal]
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    status: Mapped[str] = mapped_column(String(20), server_default="booked")
    remarks: Mapped[str] = mapped_column(server_default=text("''"))
    """Why it was cancelled, or what else should be known (FHIR R4 `cancelationReason`, `comment`)."""
    overbooked: Mapped[str | None] = mapped_column(String(200))
    """Why it was put on top of another one of this doctor (FHIR R4 Slot `overbooked`); the patient's time stays free
    of others all the same."""
    instance_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    version: Mapped[int] = mapped_column(server_default=text("1"))
    """Counts the changes, so that who decided on an old state is told what happened."""
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    changed_by: Mapped[int | None]


PAYMENT_SEARCHED = "lower(ticketid::text)"
DIAGNOSIS_SEARCHED = "lower((narrative::text || ' '::text) || resolution::text)"
REQUEST_SEARCHED = "lower(details::text)"
"""What the books are searched for besides the patient; an index is made of each."""


class Diagnosis(Base):
    __tablename__ = "diagnosis"
    __table_args__ = (trigrams("ix_diagnosis_search", DIAGNOSIS_SEARCHED),)

    id: Mapped[Serial]
    docid: Mapped[str] = mapped_column(ForeignKey("doctor.empid"), index=True)
    patientid: Mapped[int] = mapped_column(ForeignKey("patient.patientid"), index=True)
    narrative: Mapped[str] = mapped_column(String(500))
    resolution: Mapped[str] = mapped_column(String(500))
    date_submitted: Mapped[date]


class Payment(Base):
    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("amount >= 0 and discount >= 0 and charge >= 0", name="not_negative"),
        trigrams("ix_payment_search", PAYMENT_SEARCHED),
    )

    id: Mapped[Serial]
    paymentid: Mapped[str] = mapped_column(String(50), unique=True)
    ticketid: Mapped[str] = mapped_column(String(20), index=True)
    patientid: Mapped[int] = mapped_column(ForeignKey("patient.patientid"), index=True)
    charge: Mapped[Decimal]
    amount: Mapped[Decimal]
    discount: Mapped[Decimal]
    status: Mapped[bool]
    date_released: Mapped[date | None]
    voided_at: Mapped[datetime | None]


class LabRequest(Base):
    """A laboratory request; the specification calls the table `request`."""

    __tablename__ = "request"
    __table_args__ = (trigrams("ix_request_search", REQUEST_SEARCHED),)

    id: Mapped[Serial]
    docid: Mapped[str] = mapped_column(ForeignKey("doctor.empid"), index=True)
    adminid: Mapped[str] = mapped_column(ForeignKey("administrator.empid"), index=True)
    details: Mapped[str] = mapped_column(String(500))
    date_approved: Mapped[date | None]
    status: Mapped[bool]
