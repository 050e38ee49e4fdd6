"""Events that other engines report: one row per key, however often they are told

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("case_event", sa.Column("key", sa.Text(), nullable=True))
    op.create_index(
        "uq_case_event_key", "case_event", ["key"], unique=True, postgresql_where=sa.text("key is not null")
    )


def downgrade() -> None:
    op.drop_index("uq_case_event_key", table_name="case_event")
    op.drop_column("case_event", "key")
