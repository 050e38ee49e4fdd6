"""start events: what starts a process by itself

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "start_event",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("element_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("plan", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("kind in ('message', 'signal', 'timer')", name=op.f("ck_start_event_kind")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_start_event_model_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_start_event")),
    )
    op.create_index("ix_start_event_due_at", "start_event", ["due_at"], postgresql_where=sa.text("due_at is not null"))
    op.create_index("ix_start_event_name", "start_event", ["kind", "name"])


def downgrade() -> None:
    op.drop_table("start_event")
