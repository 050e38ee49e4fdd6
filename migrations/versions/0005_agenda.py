"""agenda: opening hours, doctors' hours and blocks, holds, the waiting list, calendar feeds

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "holiday",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_holiday")),
    )
    op.create_table(
        "opening_hours",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("opens", sa.Time(), nullable=False),
        sa.Column("closes", sa.Time(), nullable=False),
        sa.CheckConstraint("opens < closes", name=op.f("ck_opening_hours_order")),
        sa.CheckConstraint("weekday between 0 and 6", name=op.f("ck_opening_hours_weekday")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opening_hours")),
        sa.UniqueConstraint("weekday", "opens", name=op.f("uq_opening_hours_weekday_opens")),
    )
    op.create_table(
        "calendar_feed",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("docid", sa.String(length=12), nullable=True),
        sa.Column("patientid", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["docid"], ["doctor.empid"], name=op.f("fk_calendar_feed_docid"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["patientid"], ["patient.patientid"], name=op.f("fk_calendar_feed_patientid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_feed")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_calendar_feed_token_hash")),
    )
    op.create_index(op.f("ix_calendar_feed_docid"), "calendar_feed", ["docid"], unique=False)
    op.create_index(op.f("ix_calendar_feed_patientid"), "calendar_feed", ["patientid"], unique=False)
    op.create_table(
        "doctor_block",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("docid", sa.String(length=12), nullable=False),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(length=200), server_default="", nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=True),
        sa.CheckConstraint("kind in ('leave', 'block')", name=op.f("ck_doctor_block_kind")),
        sa.CheckConstraint("not isempty(during)", name=op.f("ck_doctor_block_during")),
        sa.ForeignKeyConstraint(["docid"], ["doctor.empid"], name=op.f("fk_doctor_block_docid"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_doctor_block")),
    )
    op.create_index(
        "ix_doctor_block_during", "doctor_block", ["docid", "during"], unique=False, postgresql_using="gist"
    )
    op.create_table(
        "doctor_hours",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("docid", sa.String(length=12), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("begins", sa.Time(), nullable=False),
        sa.Column("ends", sa.Time(), nullable=False),
        sa.Column("slot_minutes", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.CheckConstraint("begins < ends", name=op.f("ck_doctor_hours_order")),
        sa.CheckConstraint("slot_minutes between 5 and 480", name=op.f("ck_doctor_hours_slot")),
        sa.CheckConstraint("valid_until is null or valid_from <= valid_until", name=op.f("ck_doctor_hours_valid")),
        sa.CheckConstraint("weekday between 0 and 6", name=op.f("ck_doctor_hours_weekday")),
        sa.ForeignKeyConstraint(["docid"], ["doctor.empid"], name=op.f("fk_doctor_hours_docid"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_doctor_hours")),
    )
    op.create_index("ix_doctor_hours_docid", "doctor_hours", ["docid", "weekday"], unique=False)
    op.create_table(
        "slot_hold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("docid", sa.String(length=12), nullable=False),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=True),
        sa.Column("held_by", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("docid"), "="), (sa.column("during"), "&&"), using="gist", name="ex_slot_hold_doctor"
        ),
        sa.ForeignKeyConstraint(["docid"], ["doctor.empid"], name=op.f("fk_slot_hold_docid"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot_hold")),
    )
    op.create_index("ix_slot_hold_expires_at", "slot_hold", ["expires_at"], unique=False)
    op.create_index("ix_slot_hold_instance_id", "slot_hold", ["instance_id"], unique=False)
    op.create_table(
        "waiting_entry",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("patientid", sa.Integer(), nullable=False),
        sa.Column("docid", sa.String(length=12), nullable=True),
        sa.Column("specialization", sa.String(length=100), nullable=True),
        sa.Column("earliest", sa.Date(), nullable=False),
        sa.Column("latest", sa.Date(), nullable=False),
        sa.Column("priority_level", sa.Integer(), server_default=sa.text("3"), nullable=False),
        sa.Column("replaces", sa.String(length=20), nullable=True),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state in ('waiting', 'booked', 'withdrawn')", name=op.f("ck_waiting_entry_state")),
        sa.CheckConstraint("docid is not null or specialization is not null", name=op.f("ck_waiting_entry_wish")),
        sa.CheckConstraint("earliest <= latest", name=op.f("ck_waiting_entry_days")),
        sa.CheckConstraint("priority_level between 1 and 5", name=op.f("ck_waiting_entry_priority")),
        sa.ForeignKeyConstraint(["docid"], ["doctor.empid"], name=op.f("fk_waiting_entry_docid"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["patientid"], ["patient.patientid"], name=op.f("fk_waiting_entry_patientid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiting_entry")),
    )
    op.create_index(
        "ix_waiting_entry_open",
        "waiting_entry",
        ["priority_level", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_waiting_entry_patientid", "waiting_entry", ["patientid"], unique=False)
    op.create_table(
        "slot_offer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("docid", sa.String(length=12), nullable=False),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("docid"), "="),
            (sa.column("during"), "&&"),
            where=sa.text("state = 'open'"),
            using="gist",
            name="ex_slot_offer_doctor",
        ),
        sa.CheckConstraint("state in ('open', 'taken', 'declined', 'expired')", name=op.f("ck_slot_offer_state")),
        sa.ForeignKeyConstraint(["docid"], ["doctor.empid"], name=op.f("fk_slot_offer_docid"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["waiting_entry.id"], name=op.f("fk_slot_offer_entry_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot_offer")),
        sa.UniqueConstraint("entry_id", "docid", "during", name=op.f("uq_slot_offer_entry_id_docid_during")),
    )
    op.create_index(
        "ix_slot_offer_expires_at",
        "slot_offer",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "uq_slot_offer_open", "slot_offer", ["entry_id"], unique=True, postgresql_where=sa.text("state = 'open'")
    )


def downgrade() -> None:
    op.drop_index("uq_slot_offer_open", table_name="slot_offer", postgresql_where=sa.text("state = 'open'"))
    op.drop_index("ix_slot_offer_expires_at", table_name="slot_offer", postgresql_where=sa.text("state = 'open'"))
    op.drop_table("slot_offer")
    op.drop_index("ix_waiting_entry_patientid", table_name="waiting_entry")
    op.drop_index("ix_waiting_entry_open", table_name="waiting_entry", postgresql_where=sa.text("state = 'waiting'"))
    op.drop_table("waiting_entry")
    op.drop_index("ix_slot_hold_instance_id", table_name="slot_hold")
    op.drop_index("ix_slot_hold_expires_at", table_name="slot_hold")
    op.drop_table("slot_hold")
    op.drop_index("ix_doctor_hours_docid", table_name="doctor_hours")
    op.drop_table("doctor_hours")
    op.drop_index("ix_doctor_block_during", table_name="doctor_block", postgresql_using="gist")
    op.drop_table("doctor_block")
    op.drop_index(op.f("ix_calendar_feed_patientid"), table_name="calendar_feed")
    op.drop_index(op.f("ix_calendar_feed_docid"), table_name="calendar_feed")
    op.drop_table("calendar_feed")
    op.drop_table("opening_hours")
    op.drop_table("holiday")
