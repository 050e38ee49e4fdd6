"""Writes what a step did: in one statement, and what follows from it in further ones: timers, incidents, effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Uuid

from app.db.driver import Line
from app.db.session import Session
from app.engines import notify, outbox
from app.engines.spiff import assignment, effects, forms, listeners, models, statements
from app.engines.spiff.coded import compiling
from app.engines.spiff.elements import UserTaskInfo
from app.engines.spiff.listeners import Heard
from app.engines.spiff.models import StoredModel
from app.engines.spiff.outcome import OpenTask, Outcome

DESK_CANDIDATES = ["admin", "doctor", "staff"]
"""Who may take a task for which the model names nobody."""


@dataclass(slots=True)
class Change:
    """What a step did, as the timeline tells it, and the task whose completion it was, if it was one."""

    kind: str
    actor_id: int | None = None
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    task_id: UUID | None = None
    completes: bool = False
    completion_key: str | None = None
    case_no: str | None = None
    step: str = ""
    """Names this step of this instance, so that what it throws has the same key at every try."""


def _task_row(model: StoredModel, task: OpenTask) -> dict[str, Any]:
    info, form = model.tasks.get(task.element_id), model.forms.get(task.element_id)
    shown = {name: value for name, value in forms.shown(form, task.values).items() if value is not None} if form else {}
    return {
        "id": task.id,
        "element_id": task.element_id,
        "candidates": candidates(model, task.element_id, task.assigned),
        "else_for": DESK_CANDIDATES,  # a task for somebody who has no account must not be nobody's
        "assignee": _assignee(model, task),
        "due": info.due if info else "",
        "priority": (info.priority if info else 0) or 50,
        "form_data": shown or None,
    }


def _parameters(instance_id: UUID, outcome: Outcome, change: Change, now: datetime) -> dict[str, Any]:
    return {
        "id": instance_id,
        "status": outcome.status,
        "unfinished": outcome.unfinished,
        "state": outcome.state,
        "variables": outcome.variables,
        "waiting": [waiting_record(item) for item in outcome.waiting],
        "now": now,
        "ended_at": now if outcome.status == "completed" else None,
        "kind": change.kind,
        "case_no": change.case_no,
        "task_id": change.task_id,
        "actor_id": change.actor_id,
        "completion_key": change.completion_key,
        "data": change.data or None,
        "trace": [[entry.element_id, entry.event] for entry in outcome.trace] or None,
    }


def waiting_record(item: Any) -> dict[str, Any]:
    """A waiting event as the API shows it."""
    due = item.due_at.isoformat() if item.due_at else None
    return {"kind": item.kind, "element_id": item.element_id, "name": item.name, "due_at": due}


async def insert(
    session: Session,
    model: StoredModel,
    instance_id: UUID,
    outcome: Outcome,
    change: Change,
    now: datetime,
    further: dict[str, Any],
) -> None:
    """Write a new instance with its tasks and its first row of the timeline."""
    await insert_alone(session, model, instance_id, outcome, change, now, further)
    new = outcome.open_tasks
    await _follow(session, model, instance_id, outcome, change, troubled=False, timed=False, new=new)


async def insert_alone(
    session: Session | Line,
    model: StoredModel,
    instance_id: UUID,
    outcome: Outcome,
    change: Change,
    now: datetime,
    further: dict[str, Any],
) -> None:
    """The one statement of :func:`insert` that writes a new instance, for an outcome from which nothing follows."""
    change.step = f"{instance_id}:0"
    parameters = _parameters(instance_id, outcome, change, now) | further
    parts = [statements.INSERT]
    # The new row is not visible to the other parts of its own statement, so its tasks are checked at the end of it.
    if outcome.open_tasks:
        parameters["new_tasks"] = _records(model, outcome.open_tasks)
        parts.append(statements.NEW_TASKS)
    await statements.execute(session, [*parts, statements.EVENT], parameters)


async def update(session: Session, model: StoredModel, row: Any, outcome: Outcome, change: Change) -> None:
    """Write the instance after a step: its row, the tasks that came and went, the timeline, timers and incidents."""
    new = _gained(row, outcome, change)
    await statements.execute(session, *_updating(model, row, outcome, change, new))
    timed = any(item["kind"] == "timer" for item in row.waiting)
    if any(item["kind"] == "job" for item in row.waiting):
        await _jobs().withdraw(session, row.id, change, outcome.waiting)
    await _follow(session, model, row.id, outcome, change, troubled=row.troubled, timed=timed, new=new)


async def update_alone(line: Line, model: StoredModel, row: Any, outcome: Outcome, change: Change) -> bool:
    """Write the completion of a task that was seen without a lock, for an outcome from which nothing follows.

    False, and nothing is written, if something has happened to the instance or the task since.
    """
    parts, parameters = _updating(model, row, outcome, change, _gained(row, outcome, change))
    held = {"revision": row.revision, "task_state": row.task_state, "assignee_id": row.assignee_id}
    return await statements.execute(line, [statements.HELD, *parts], parameters | held)


def _left(row: Any, change: Change) -> set[UUID]:
    """The tasks that were open, but for the one that this step completes."""
    return set(row.open_tasks) - ({change.task_id} if change.completes else set())


def _gained(row: Any, outcome: Outcome, change: Change) -> list[OpenTask]:
    before = _left(row, change)
    return [task for task in outcome.open_tasks if task.id not in before]


def _updating(
    model: StoredModel, row: Any, outcome: Outcome, change: Change, new: list[OpenTask]
) -> tuple[list[str], dict[str, Any]]:
    change.case_no, change.step = row.case_no, f"{row.id}:{row.revision}"
    parameters = _parameters(row.id, outcome, change, row.now)
    parts = [statements.UPDATE]
    if change.completes:
        parts.append(statements.COMPLETED)
    if new:
        parameters["new_tasks"] = _records(model, new)
        parts.append(statements.NEW_TASKS)
    if left := _left(row, change) - {task.id for task in outcome.open_tasks}:
        parameters["gone"] = list(left)
        parts.append(statements.CANCELLED)
    return [*parts, statements.EVENT], parameters


def follows_nothing(model: StoredModel, outcome: Outcome) -> bool:
    """Whether an outcome is all there is to write: no wait, incident, event or effect, and no task with a person."""
    if outcome.waiting or outcome.incidents or outcome.events_out or model.effects or compiling.is_coded(model.file):
        return False
    return not any(asks(model, task) for task in outcome.open_tasks)


def asks(model: StoredModel, task: OpenTask) -> bool:
    """Whether a task has a date or a person that the database works out or somebody is told of."""
    info = model.tasks.get(task.element_id) or UserTaskInfo()
    return bool(info.due or info.assignee or task.assigned)


def _jobs() -> ModuleType:
    from app.engines.spiff import jobs  # which answers them by this module

    return jobs


def _records(model: StoredModel, tasks: list[OpenTask]) -> list[dict[str, Any]]:
    return [_task_row(model, task) for task in tasks]


async def _follow(
    session: Session,
    model: StoredModel,
    instance_id: UUID,
    outcome: Outcome,
    change: Change,
    *,
    troubled: bool,
    timed: bool,
    new: list[OpenTask],
) -> None:
    timers = [item for item in outcome.waiting if item.due_at is not None]
    if timers or timed:
        await _save_timers(session, instance_id, timers)
    if outcome.incidents or troubled:
        await _save_incidents(session, model, instance_id, outcome, change)
    for number, event in enumerate(outcome.events_out):
        key = f"{change.step}:{number}"
        payload = {"name": event.name, "payload": event.payload}
        await outbox.enqueue(session, f"bpmn-{event.kind}", key, payload, case=change.case_no, instance_id=instance_id)
    moves = [(entry.element_id, str(entry.event)) for entry in outcome.trace]
    await _tell(session, model, instance_id, change, outcome.variables, moves)
    if any(item.kind == "job" for item in outcome.waiting):  # after the effects: a job may be about what they wrote
        await _jobs().ask(session, instance_id, change, outcome.waiting)
    for task in new:
        if assignee := _assignee(model, task):
            await notify.task_mail(session, task.id, assignee, case=change.case_no, instance_id=instance_id)


async def _tell(
    session: Session,
    model: StoredModel,
    instance_id: UUID,
    change: Change,
    variables: dict[str, Any],
    moves: list[tuple[str, str]],
) -> None:
    """Let who listens to a coded process hear what its tasks did, and let the effects that a model names happen."""
    coded = compiling.is_coded(model.file)
    if not coded and not model.effects:
        return
    case = change.case_no or ""
    heard = [Heard(name, event, instance_id, case, change.actor_id, variables) for name, event in moves]
    if coded:
        await listeners.tell(session, model.process_id, heard)
    if model.effects:
        await effects.happen(session, model.effects, [one for one in heard if one.element_id not in model.tasks])


async def _save_timers(session: Session, instance_id: UUID, timers: list[Any]) -> None:
    rows = [{"task_id": item.task_id, "element_id": item.element_id, "due_at": item.due_at} for item in timers]
    await session.execute(
        text("""delete from timer where instance_id = :id and not (task_id = any(:kept))""").bindparams(
            bindparam("kept", type_=ARRAY(Uuid))
        ),
        {"id": instance_id, "kept": [row["task_id"] for row in rows]},
    )
    if rows:
        await session.execute(
            text("""insert into timer (instance_id, task_id, element_id, due_at)
                    select :id, r.task_id, r.element_id, r.due_at
                    from jsonb_to_recordset(:rows) as r(task_id uuid, element_id text, due_at timestamptz)
                    on conflict (instance_id, task_id) do update
                    set due_at = excluded.due_at, element_id = excluded.element_id""").bindparams(
                bindparam("rows", type_=JSONB), bindparam("id", type_=Uuid)
            ),
            {"id": instance_id, "rows": orjson.loads(orjson.dumps(rows))},
        )


async def _save_incidents(
    session: Session, model: StoredModel, instance_id: UUID, outcome: Outcome, change: Change
) -> None:
    """Open incidents of the state become rows; rows whose incident is gone are resolved by who caused the step."""
    known = {
        row.task_id
        for row in await session.execute(
            text("select task_id from incident where instance_id = :id and resolved_at is null"), {"id": instance_id}
        )
    }
    found = {incident.task_id: incident for incident in outcome.incidents}
    for task_id in known - set(found):
        await session.execute(
            text("""update incident set resolved_at = now(), resolved_by = :actor
                    where instance_id = :id and task_id is not distinct from :task and resolved_at is null"""),
            {"id": instance_id, "task": task_id, "actor": change.actor_id},
        )
    for task_id in set(found) - known:
        incident = found[task_id]
        number = await session.scalar(
            text("""insert into incident (instance_id, n, element_id, task_id, code, message, line)
                    values (:id, (select coalesce(max(n), 0) + 1 from incident where instance_id = :id),
                            :element, :task, :code, :message, :line) returning n"""),
            {
                "id": instance_id,
                "element": incident.element_id,
                "task": task_id,
                "code": incident.code,
                "message": incident.message,
                "line": incident.line,
            },
        )
        await notify.incident_mail(
            session, instance_id, number or 1, model.element_name(incident.element_id), case=change.case_no
        )


_REBASE = text("""
    with tasks as (
        update user_task t set element_id = r.element_id, priority = r.priority, form_data = r.form_data,
               candidates = case when t.state = 'claimed' then t.candidates
                                 when cardinality(r.candidates) = 0 then r.else_for else r.candidates end
        from jsonb_to_recordset(:tasks) as r(id uuid, element_id text, candidates text[], else_for text[],
                                             priority int, form_data jsonb)
        where t.id = r.id
    ), incidents as (
        update incident n set element_id = r.element_id
        from jsonb_to_recordset(:incidents) as r(task_id uuid, element_id text)
        where n.instance_id = :id and n.task_id = r.task_id and n.resolved_at is null
    )
    update instance set model_id = :model where id = :id
""").bindparams(bindparam("tasks", type_=JSONB), bindparam("incidents", type_=JSONB), bindparam("id", type_=Uuid))


async def rebase(session: Session, model: StoredModel, instance_id: UUID, outcome: Outcome) -> None:
    """After a move to another version: the rows of an instance name its elements, and say who may do what there.

    A task that somebody has claimed stays with them, and what they have entered is kept.
    """
    tasks = orjson.loads(orjson.dumps(_records(model, outcome.open_tasks)))
    incidents = [{"task_id": str(one.task_id), "element_id": one.element_id} for one in outcome.incidents]
    given = {"id": instance_id, "model": model.id, "tasks": tasks, "incidents": incidents}
    await session.execute(_REBASE, given)


def candidates(model: StoredModel, element_id: str, assigned: Mapping[str, list[str]]) -> list[str]:
    """The roles and groups, in lower case, and the people that may take a task of this element."""
    info = model.tasks.get(element_id) or UserTaskInfo()
    names = [name.lower() for name in (*info.candidate_roles, *assigned.get(assignment.GROUPS, []))]
    names += [f"user:{name}" for name in (*info.candidate_users, *assigned.get(assignment.USERS, []))]
    return names or ([] if info.assignee or assigned.get(assignment.ASSIGNEE) else DESK_CANDIDATES)


def _assignee(model: StoredModel, task: OpenTask) -> str | None:
    info, computed = model.tasks.get(task.element_id), task.assigned.get(assignment.ASSIGNEE)
    return computed[0] if computed else (info.assignee or None) if info else None


async def cancel(session: Session, row: Any, change: Change) -> None:
    """End an instance before its end: nothing of it stays open, due or in need of attention."""
    change.case_no = row.case_no
    where = {"id": row.id}
    elements = await session.execute(
        text("""update user_task set state = 'cancelled', ended_at = now(), draft = null, form_data = null
                where instance_id = :id and state in ('ready', 'claimed') returning element_id"""),
        where,
    )
    stopped = [element for (element,) in elements] + [item["element_id"] for item in row.waiting]
    await session.execute(text("delete from timer where instance_id = :id"), where)
    if any(item["kind"] == "job" for item in row.waiting):
        await _jobs().withdraw(session, row.id, change, [])
    await session.execute(
        text("""update incident set resolved_at = now(), resolved_by = :actor
                where instance_id = :id and resolved_at is null"""),
        where | {"actor": change.actor_id},
    )
    await session.execute(
        text("""update instance set status = 'cancelled', revision = revision + 1, unfinished = false, ended_at = :now,
                       waiting = '[]' where id = :id"""),
        where | {"now": row.now},
    )
    parameters = {
        "id": row.id,
        "kind": change.kind,
        "case_no": row.case_no,
        "task_id": None,
        "actor_id": change.actor_id,
        "data": change.data,
        "trace": [[element, "cancelled"] for element in stopped] or None,
    }
    await statements.execute(session, [statements.EVENT], parameters)
    model = await models.by_id(session, row.model_id)
    await _tell(session, model, row.id, change, row.variables, [(element, "cancelled") for element in stopped])
