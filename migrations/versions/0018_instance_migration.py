"""Instances moved to another version, and those that could not be

Revision ID: 0018
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "instance_migration",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("process_id", sa.Text(), nullable=False),
        sa.Column("from_model", sa.Integer(), nullable=False),
        sa.Column("to_model", sa.Integer(), nullable=False),
        sa.Column("elements", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("login_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("moved", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('running', 'completed', 'stopped')", name=op.f("ck_instance_migration_state")),
        sa.ForeignKeyConstraint(["from_model"], ["model.id"], name=op.f("fk_instance_migration_from_model_model")),
        sa.ForeignKeyConstraint(["to_model"], ["model.id"], name=op.f("fk_instance_migration_to_model_model")),
        sa.ForeignKeyConstraint(
            ["login_id"], ["login.id"], name=op.f("fk_instance_migration_login_id_login"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_migration")),
    )
    op.create_index("ix_instance_migration_process_id", "instance_migration", ["process_id"])
    op.create_index(
        "uq_instance_migration_running",
        "instance_migration",
        ["process_id"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "instance_migration_refusal",
        sa.Column("migration_id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("element_id", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("fix", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["migration_id"],
            ["instance_migration.id"],
            name=op.f("fk_instance_migration_refusal_migration_id_instance_migration"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["instance.id"],
            name=op.f("fk_instance_migration_refusal_instance_id_instance"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("migration_id", "instance_id", name=op.f("pk_instance_migration_refusal")),
    )


def downgrade() -> None:
    op.drop_table("instance_migration_refusal")
    op.drop_table("instance_migration")
