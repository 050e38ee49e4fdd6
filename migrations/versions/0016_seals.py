"""Hash chains over the timeline, per case and over all

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

APPEND_ONLY = """create trigger case_seal_is_append_only before update or delete or truncate on case_seal
    for each statement execute function case_event_is_append_only()"""


def upgrade() -> None:
    op.create_table(
        "case_seal",
        sa.Column("n", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("case_no", sa.Text(), nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_case_seal")),
        sa.UniqueConstraint("event_id", name=op.f("uq_case_seal_event_id")),
    )
    op.create_index(
        "ix_case_seal_case_no", "case_seal", ["case_no", "n"], postgresql_where=sa.text("case_no is not null")
    )
    op.execute(APPEND_ONLY)


def downgrade() -> None:
    op.drop_table("case_seal")
