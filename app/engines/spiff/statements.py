"""The SQL of a step: one statement loads an instance with all that a step needs, one writes all that it changed.

Loading locks the instance's row until the step is committed, so two steps of one instance cannot cross. A step that is
one statement can do without: it sees, and writes only if nothing has happened since.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from app.db import driver
from app.db.driver import Line, Statement
from app.db.session import Session

_INSTANCE = """
    i.id, i.model_id, i.case_no, i.business_key, i.status, i.revision, i.state, i.variables, i.waiting,
    i.started_by, i.started_at, i.ended_at, dams_now() as now,
    array(select u.id from user_task u where u.instance_id = i.id and u.state in ('ready', 'claimed')) as open_tasks,
    exists(select from incident n where n.instance_id = i.id and n.resolved_at is null) as troubled
"""

_FOR_TASK = f"""select {_INSTANCE}, t.element_id, t.state as task_state, t.candidates, t.assignee_id, t.claimed_at,
                       t.completion_key, t.ended_by, t.ended_at as task_ended_at
                from user_task t join instance i on i.id = t.instance_id where t.id = :id"""  # noqa: S608 - constants only
_LOAD = f"select {_INSTANCE} from instance i where i.id = :id for update of i"  # noqa: S608 - constants only
LOAD = Statement(_LOAD, {"id": "uuid"})
LOAD_SKIPPING = Statement(f"{_LOAD} skip locked", {"id": "uuid"})
LOAD_FOR_TASK = Statement(  # Both rows are locked, so both are the newest after a wait for somebody else's step.
    f"{_FOR_TASK} for update of i, t", {"id": "uuid"}
)
SEE_FOR_TASK = Statement(_FOR_TASK, {"id": "uuid"})


async def load(session: Session | Line, statement: Statement, number: UUID) -> Any | None:
    """The row of one of the statements above, locked until the transaction ends, but for `SEE_FOR_TASK`."""
    return await driver.first(session, statement, {"id": number})


NEW_TASKS = """
    insert into user_task (id, instance_id, element_id, state, candidates, assignee_id, claimed_at, due_at,
                           priority, form_data)
    select r.id, :id, r.element_id, case when l.id is null then 'ready' else 'claimed' end,
           case when l.id is null and cardinality(r.candidates) = 0 then r.else_for else r.candidates end,
           l.id, case when l.id is not null then now() end,
           case when r.due like 'P%' then dams_now() + r.due::interval else nullif(r.due, '')::timestamptz end,
           r.priority, r.form_data
    from jsonb_to_recordset(:new_tasks) as r(id uuid, element_id text, candidates text[], else_for text[],
                                             assignee text, due text, priority int, form_data jsonb)
         left join lateral (select l.id from login l where l.username = r.assignee limit 1) l on true
    where true {held}
    on conflict (id) do nothing
"""
EVENT = """
    insert into case_event (kind, case_no, instance_id, task_id, actor_id, data, trace)
    select :kind, :case_no, :id, :task_id, :actor_id, :data, :trace where true {held} returning id
"""
HELD = """
    select from user_task t join instance i on i.id = t.instance_id
    where t.id = :task_id and i.revision = :revision and t.state = :task_state
          and t.assignee_id is not distinct from :assignee_id
    for update of i, t
"""
"""Nothing has happened to an instance and its task since they were seen, nor will until this statement ends."""
INSERT = """
    insert into instance (id, model_id, case_no, business_key, status, revision, unfinished, state, variables, waiting,
                          started_by, start_key, started_at, ended_at)
    values (:id, :model_id, :case_no, :business_key, :status, 1, :unfinished, :state, :variables, :waiting,
            :started_by, :start_key, :now, cast(:ended_at as timestamptz))
"""
UPDATE = """
    update instance set status = :status, revision = revision + 1, unfinished = :unfinished, state = :state,
           variables = :variables, waiting = :waiting, ended_at = coalesce(ended_at, cast(:ended_at as timestamptz))
    where id = :id {held}
"""
COMPLETED = """
    update user_task set state = 'completed', assignee_id = coalesce(assignee_id, :actor_id), ended_by = :actor_id,
           ended_at = now(), completion_key = :completion_key, draft = null, form_data = null
    where id = :task_id {held}
"""
CANCELLED = """
    update user_task set state = 'cancelled', ended_at = now(), draft = null, form_data = null
    where id = any(:gone) {held}
"""
_TYPES = {
    "id": "uuid",
    "model_id": "int",
    "case_no": "text",
    "business_key": "text",
    "status": "text",
    "unfinished": "bool",
    "state": "bytea",
    "variables": "jsonb",
    "waiting": "jsonb",
    "started_by": "int",
    "start_key": "text",
    "now": "timestamptz",
    "ended_at": "timestamptz",
    "new_tasks": "jsonb",
    "kind": "text",
    "task_id": "uuid",
    "actor_id": "int",
    "data": "jsonb",
    "trace": "jsonb",
    "completion_key": "text",
    "gone": "uuid[]",
    "revision": "int",
    "task_state": "text",
    "assignee_id": "int",
}
_JSON = ("variables", "waiting", "new_tasks", "data", "trace")


@lru_cache(maxsize=64)
def _statement(parts: tuple[str, ...]) -> Statement:
    """*parts* as one statement, all but the last as common table expressions; with `HELD` first, each hangs on it."""
    where = "and exists (select from part_0)" if parts[0] == HELD else ""
    written = [part.format(held=where) for part in parts]
    named = [f"part_{number} as ({part})" for number, part in enumerate(written[:-1])]
    return Statement(("with " + ", ".join(named) if named else "") + written[-1], _TYPES)


async def execute(session: Session | Line, parts: list[str], parameters: dict[str, Any]) -> bool:
    for name in _JSON:
        if (value := parameters.get(name)) is not None:
            parameters[name] = orjson.dumps(value).decode()
    return await driver.first(session, _statement(tuple(parts)), parameters) is not None
