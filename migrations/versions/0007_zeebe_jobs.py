"""zeebe jobs: each once, and the broker's number of a model's version

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JSON = postgresql.JSONB(astext_type=sa.Text())
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "zeebe_job",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("process_id", sa.Text(), nullable=False),
        sa.Column("element_id", sa.Text(), nullable=False),
        sa.Column("element_instance_key", sa.BigInteger(), nullable=False),
        sa.Column("instance_key", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="active", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("result", JSON, nullable=True),
        sa.Column("started_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint("state in ('active', 'done', 'error', 'parked')", name=op.f("ck_zeebe_job_state")),
        sa.ForeignKeyConstraint(["run_id"], ["engine_run.id"], name=op.f("fk_zeebe_job_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_zeebe_job")),
    )
    op.create_index("ix_zeebe_job_run_id", "zeebe_job", ["run_id"])
    op.add_column("model", sa.Column("external_version", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("model", "external_version")
    op.drop_table("zeebe_job")
