"""the day: versions of appointments, overbooking with a reason, the history of a ticket

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SEARCHED = (
    "lower((((((((firstname::text || ' '::text) || midname::text) || ' '::text) || "
    "lastname::text) || ' '::text) || email::text) || ' '::text) || mobile::text)"
)
LIVE = "status in ('pending', 'booked', 'arrived', 'checked-in')"


def upgrade() -> None:
    op.add_column("appointment", sa.Column("overbooked", sa.String(length=200), nullable=True))
    op.add_column("appointment", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column(
        "appointment",
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.add_column("appointment", sa.Column("changed_by", sa.Integer(), nullable=True))
    _guard(f"{LIVE} and overbooked is null")
    op.create_index(
        "ix_case_event_ticket",
        "case_event",
        [sa.text("(data ->> 'ticket')")],
        postgresql_where=sa.text("data ->> 'ticket' is not null"),
    )
    op.create_index(
        "ix_engine_run_ticket",
        "engine_run",
        [sa.text("(input ->> 'ticket')")],
        postgresql_where=sa.text("engine = 'temporal'"),
    )
    op.create_index(
        "ix_patient_search",
        "patient",
        [sa.literal_column(SEARCHED).label("searched")],
        postgresql_using="gin",
        postgresql_ops={"searched": "gin_trgm_ops"},
    )


def downgrade() -> None:
    op.drop_index("ix_patient_search", table_name="patient")
    op.drop_index("ix_engine_run_ticket", table_name="engine_run")
    op.drop_index("ix_case_event_ticket", table_name="case_event")
    _guard(LIVE)
    for column in ("changed_by", "changed_at", "version", "overbooked"):
        op.drop_column("appointment", column)


def _guard(doctors_where: str) -> None:
    """Both anew: they are checked in the order in which they were made, and a taken doctor is to be said first."""
    for name, column, where in (("doctor", "docid", doctors_where), ("patient", "patientid", LIVE)):
        op.drop_constraint(f"ex_appointment_{name}", "appointment")
        op.create_exclude_constraint(
            f"ex_appointment_{name}",
            "appointment",
            (sa.column(column), "="),
            (sa.column("during"), "&&"),
            where=sa.text(where),
            using="gist",
        )
