"""calls and letters: what a model has done by HTTP or mail is a run as well

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BEFORE = "engine in ('celery', 'zeebe', 'temporal', 'airflow')"
AFTER = "engine in ('celery', 'zeebe', 'temporal', 'airflow', 'http', 'mail')"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_engine_run_engine"), "engine_run", type_="check")
    op.create_check_constraint(op.f("ck_engine_run_engine"), "engine_run", AFTER)


def downgrade() -> None:
    op.execute("delete from engine_run where engine in ('http', 'mail')")
    op.drop_constraint(op.f("ck_engine_run_engine"), "engine_run", type_="check")
    op.create_check_constraint(op.f("ck_engine_run_engine"), "engine_run", BEFORE)
