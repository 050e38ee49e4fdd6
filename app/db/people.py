"""Accounts, their profiles, groups, sessions and tokens."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from app.core.ids import uuid7
from app.db.base import Base, Serial, trigrams

SEARCHED = (
    "lower((((((((firstname::text || ' '::text) || midname::text) || ' '::text) || "
    "lastname::text) || ' '::text) || email::text) || ' '::text) || mobile::text)"
)
"""What a patient is found by; an index is made of it. Written as PostgreSQL writes it, so that both can be compared."""
LOGIN_SEARCHED = "lower((((username::text || ' '::text) || display_name::text) || ' '::text) || email::text)"
"""What an account is found by."""
ROLES = ("patient", "doctor", "staff", "modeler", "ops", "admin")


class Login(Base):
    """An account. `password` holds an argon2id hash, never a password; `roles` are of :data:`ROLES`."""

    __tablename__ = "login"
    __table_args__ = (trigrams("ix_login_search", LOGIN_SEARCHED),)

    id: Mapped[Serial]
    username: Mapped[str] = mapped_column(String(20), unique=True)
    password: Mapped[str] = mapped_column(String(255))
    display_name: Mapped[str] = mapped_column(String(160), server_default="")
    email: Mapped[str] = mapped_column(String(254), server_default="")
    roles: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    locale: Mapped[str] = mapped_column(String(8), server_default="en")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    password_changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    disabled_at: Mapped[datetime | None]


class CandidateGroup(Base):
    """A named group of accounts that a model's `candidateGroups` or a lane may name (stored in lower case)."""

    __tablename__ = "candidate_group"

    id: Mapped[Serial]
    name: Mapped[str] = mapped_column(String(80), unique=True)


class GroupMember(Base):
    __tablename__ = "group_member"

    group_id: Mapped[int] = mapped_column(ForeignKey("candidate_group.id", ondelete="CASCADE"), primary_key=True)
    login_id: Mapped[int] = mapped_column(ForeignKey("login.id", ondelete="CASCADE"), primary_key=True, index=True)


class WebSession(Base):
    """A signed-in browser. `token_hash` is SHA-256 of the cookie, so a copy of the table signs nobody in."""

    __tablename__ = "web_session"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    login_id: Mapped[int | None] = mapped_column(ForeignKey("login.id", ondelete="CASCADE"), index=True)
    data: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AccessToken(Base):
    """A bearer token of the API, stored as SHA-256 like a session."""

    __tablename__ = "access_token"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    login_id: Mapped[int] = mapped_column(ForeignKey("login.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class ProfileColumns:
    """What the specification's three profile tables share."""

    @declared_attr
    @classmethod
    def username(cls) -> Mapped[str]:
        return mapped_column(ForeignKey("login.username", onupdate="CASCADE"), unique=True)

    role: Mapped[int]
    firstname: Mapped[str] = mapped_column(String(50))
    midname: Mapped[str] = mapped_column(String(50))
    lastname: Mapped[str] = mapped_column(String(50))
    email: Mapped[str] = mapped_column(String(254))
    mobile: Mapped[str] = mapped_column(String(15))


class Administrator(ProfileColumns, Base):
    __tablename__ = "administrator"

    id: Mapped[Serial]
    empid: Mapped[str] = mapped_column(String(12), unique=True)
    position: Mapped[str] = mapped_column(String(100))
    status: Mapped[bool]
    date_started: Mapped[date]


class Doctor(ProfileColumns, Base):
    __tablename__ = "doctor"
    __table_args__ = (Index("ix_doctor_specialization", "specialization"),)

    id: Mapped[Serial]
    empid: Mapped[str] = mapped_column(String(12), unique=True)
    position: Mapped[str] = mapped_column(String(100))
    age: Mapped[int]
    specialization: Mapped[str] = mapped_column(String(100))
    status: Mapped[bool]
    date_started: Mapped[date]


class Patient(ProfileColumns, Base):
    __tablename__ = "patient"
    __table_args__ = (
        UniqueConstraint("patientid"),
        Index("ix_patient_name", "lastname", "firstname"),
        trigrams("ix_patient_search", SEARCHED),
    )

    id: Mapped[Serial]
    patientid: Mapped[int]
    birthday: Mapped[date]
    age: Mapped[int]
    profession: Mapped[str] = mapped_column(String(100))
    address: Mapped[str] = mapped_column(String(200))
    date_registered: Mapped[date]
    reminders: Mapped[bool] = mapped_column(server_default=text("true"))
    """Whether a mail is sent before each visit."""
