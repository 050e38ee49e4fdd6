"""The runs of an instance are found by their own index: a step that ends a wait reads them, and so does the reconciler

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INDEX = "ix_engine_run_instance_id"


def upgrade() -> None:
    op.create_index(INDEX, "engine_run", ["instance_id"], postgresql_where=sa.text("instance_id is not null"))


def downgrade() -> None:
    op.drop_index(INDEX, table_name="engine_run")
