"""searches: what is looked for in payments, diagnoses, laboratory requests and accounts is found by trigrams

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SEARCHED = {
    "payment": "lower(ticketid::text)",
    "diagnosis": "lower((narrative::text || ' '::text) || resolution::text)",
    "request": "lower(details::text)",
    "login": "lower((((username::text || ' '::text) || display_name::text) || ' '::text) || email::text)",
}


def upgrade() -> None:
    for table, expression in SEARCHED.items():
        op.create_index(
            f"ix_{table}_search",
            table,
            [sa.literal_column(expression).label("searched")],
            postgresql_using="gin",
            postgresql_ops={"searched": "gin_trgm_ops"},
        )


def downgrade() -> None:
    for table in SEARCHED:
        op.drop_index(f"ix_{table}_search", table_name=table)
