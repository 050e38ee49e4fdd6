"""What each step asks for is found by its own index; the service's time is planned once per connection

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# A function in SQL with a query in it cannot be inlined: it is parsed and planned anew in each statement.
PLANNED_ONCE = """create or replace function dams_now() returns timestamptz language plpgsql stable as
    $$ begin return now() + make_interval(secs => (select offset_seconds from service_clock)); end $$"""
PLANNED_EACH_TIME = """create or replace function dams_now() returns timestamptz language sql stable as
    $$ select now() + make_interval(secs => (select offset_seconds from service_clock)) $$"""

# Planned while few tasks were open, a step read all open tasks of the clinic to find those of its instance.
OPEN_TASKS, OPEN_INCIDENTS = "ix_user_task_open_of_instance", "ix_incident_open_of_instance"


def upgrade() -> None:
    op.execute(PLANNED_ONCE)
    open_tasks, open_incidents = sa.text("state in ('ready', 'claimed')"), sa.text("resolved_at is null")
    op.create_index(OPEN_TASKS, "user_task", ["instance_id"], postgresql_where=open_tasks)
    op.create_index(OPEN_INCIDENTS, "incident", ["instance_id"], postgresql_where=open_incidents)


def downgrade() -> None:
    op.drop_index(OPEN_INCIDENTS, table_name="incident")
    op.drop_index(OPEN_TASKS, table_name="user_task")
    op.execute(PLANNED_EACH_TIME)
