"""engine runs: what Celery, Zeebe, Temporal and Airflow do for DAMS

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = postgresql.JSONB(astext_type=sa.Text())
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "engine_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="requested", nullable=False),
        sa.Column("case_no", sa.Text(), nullable=True),
        sa.Column("instance_id", sa.Uuid(), nullable=True),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("input", JSON, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("result", JSON, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("started_by", sa.Integer(), nullable=True),
        sa.Column("requested_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("seen_at", MOMENT, nullable=True),
        sa.CheckConstraint("engine in ('celery', 'zeebe', 'temporal', 'airflow')", name=op.f("ck_engine_run_engine")),
        sa.CheckConstraint(
            "status in ('requested', 'running', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_engine_run_status"),
        ),
        sa.ForeignKeyConstraint(
            ["started_by"], ["login.id"], name=op.f("fk_engine_run_started_by"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_engine_run")),
        sa.UniqueConstraint("engine", "external_id", name=op.f("uq_engine_run_engine_external_id")),
    )
    op.create_index(
        "ix_engine_run_open",
        "engine_run",
        ["engine", "id"],
        postgresql_where=sa.text("status in ('requested', 'running')"),
    )
    op.create_index("ix_engine_run_case_no", "engine_run", ["case_no"], postgresql_where=sa.text("case_no is not null"))
    op.create_index("ix_engine_run_name", "engine_run", ["engine", "name", "id"])
    op.add_column("incident", sa.Column("run_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_incident_run_id"), "incident", "engine_run", ["run_id"], ["id"], ondelete="CASCADE")
    op.create_index(op.f("ix_incident_run_id"), "incident", ["run_id"])


def downgrade() -> None:
    op.drop_column("incident", "run_id")
    op.drop_table("engine_run")
