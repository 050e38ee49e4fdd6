"""People's tasks over all processes: list, open, claim, release, draft. Completing is `instances.complete`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from app.clinic import accounts, audit, lookups
from app.clinic.lookups import Choice
from app.core.actor import Actor
from app.core.errors import BadRequest, Conflict, Invalid, NotFound, TooLarge
from app.core.ids import uuid7
from app.db.session import Session
from app.engines import notify, paging
from app.engines.spiff import choices, models
from app.engines.spiff.forms import Form
from app.engines.spiff.lookup import may_take
from app.engines.spiff.records import Page, TaskRow, TaskView

MAX_DRAFT = 64 * 1024
NEVER = "infinity"
URGENT = 75
"""From this priority on a task is urgent; 50 is what a model that says nothing gives."""
MAX_COMMENT = 2000

_ROW = """
    select t.id, t.instance_id, t.element_id, t.state, t.candidates, t.assignee_id, t.due_at, t.priority,
           t.created_at, t.form_data, t.draft, t.ended_by, t.ended_at, i.model_id, i.case_no,
           i.status as instance_status,
           a.username as assignee, a.display_name as assignee_name, e.display_name as ended_by_name
    from user_task t join instance i on i.id = t.instance_id
         left join login a on a.id = t.assignee_id left join login e on e.id = t.ended_by
"""
_OPEN = "t.state in ('ready', 'claimed')"
_VISIBLE = "(:admin or t.assignee_id = :actor or t.candidates && cast(:names as text[]))"
_SEEN = f"({_VISIBLE} or t.ended_by = :actor)"
_UNTAKEN = "(t.assignee_id is null or t.assignee_id = :actor)"


def _who(actor: Actor) -> dict[str, Any]:
    names = [*actor.candidate_names, f"user:{actor.username}"]
    return {"admin": actor.has("admin"), "actor": actor.id, "names": names}


async def tasks(
    session: Session,
    actor: Actor,
    *,
    mine: bool = False,
    unclaimed: bool = False,
    late: bool = False,
    priority_from: int | None = None,
    candidate_role: str | None = None,
    state: str | None = None,
    name: str | None = None,
    process_id: str | None = None,
    case: str | None = None,
    due_before: datetime | None = None,
    search: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[TaskRow]:
    """The open tasks this person may see, soonest due first, then oldest first; or, with *state*, those in it.

    *name* is a part of the name that the model gives the task, or its id.

    Raises:
        BadRequest: the cursor is not one that this list gave out.
    """
    where, given = [_OPEN, _VISIBLE], _who(actor)
    if state:
        where, given["state"] = ["t.state = :state", _SEEN], state
    if name:
        where.append(
            "(i.model_id, t.element_id) in (select * from unnest(cast(:models as int[]), cast(:ids as text[])))"
        )
        given |= await _named(session, name)
    given["limit"] = paging.shown(limit) + 1
    chosen = ((mine, "t.assignee_id = :actor"), (unclaimed, "t.assignee_id is null"))
    where += [condition for wanted, condition in (*chosen, (late, f"t.due_at < dams_now() and {_UNTAKEN}")) if wanted]
    filters: list[tuple[str, str, Any]] = [
        ("role", ":role = any(t.candidates)", candidate_role.lower() if candidate_role else None),
        ("process_id", "i.model_id in (select id from model where process_id = :process_id)", process_id),
        ("case_no", "i.case_no = :case_no", case),
        ("due_before", "t.due_at < :due_before", due_before),
        ("priority", "t.priority >= :priority", priority_from),
        (
            "search",
            """(i.case_no ilike :search or i.business_key ilike :search or cast(i.variables as text) ilike :search
                or exists(select from patient p where p.patientid::text = i.variables ->> 'patientid'
                          and p.firstname || ' ' || p.lastname ilike :search))""",
            f"%{_escaped(search)}%" if search else None,
        ),
    ]
    for name, condition, value in filters:
        if value:
            where.append(condition)
            given[name] = value
    if cursor:
        where.append(
            "(coalesce(t.due_at, 'infinity'), t.id) > (coalesce(cast(:due as timestamptz), 'infinity'), :after)"
        )
        given |= _read_cursor(cursor)
    sql = f"{_ROW} where {' and '.join(where)} order by t.due_at nulls last, t.id limit :limit"
    rows = (await session.execute(text(sql), given)).all()
    items = [await _task_row(session, row) for row in rows[: given["limit"] - 1]]
    more = len(rows) == given["limit"]
    return Page(items, _write_cursor(items[-1]) if more else None)


async def _named(session: Session, name: str) -> dict[str, list[Any]]:
    """The tasks of all models whose name or id holds *name*: models and ids, one beside the other."""
    wanted = name.strip().lower()
    models_known = (await session.execute(text("select id from model where engine = 'spiff'"))).scalars().all()
    found = [
        (model.id, element_id)
        for model in [await models.by_id(session, number) for number in models_known]
        for element_id in model.tasks
        if wanted in model.element_name(element_id).lower() or wanted == element_id.lower()
    ]
    return {"models": [one[0] for one in found], "ids": [one[1] for one in found]}


async def task(session: Session, actor: Actor, task_id: UUID, entered: Mapping[str, Any] | None = None) -> TaskView:
    """One task with its form; look-ups offer what fits *entered*, else the draft. A finished one stays readable to
    those who could have taken it.

    Raises:
        NotFound: no such task, or not one this person may see.
    """
    row = await _visible(session, actor, task_id)
    model = await models.by_id(session, row.model_id)
    form, info = model.forms.get(row.element_id), model.tasks.get(row.element_id)
    is_open = row.state in ("ready", "claimed")
    entered = {**await _variables(session, row, form), **(entered or _json(row.draft) or {})}
    return TaskView(
        row=await _task_row(session, row),
        model_id=row.model_id,
        form=await choices.offered(session, actor, form, entered, row.instance_id) if form else [],
        form_data=_json(row.form_data) or {},
        draft=_json(row.draft),
        instance_status=row.instance_status,
        documentation=info.documentation if info else "",
        closed_by=row.ended_by_name,
        closed_at=row.ended_at,
        mine=row.assignee_id == actor.id,
        may_complete=is_open and row.assignee_id in (None, actor.id),
    )


async def _variables(session: Session, row: Row[Any], form: Form | None) -> dict[str, Any]:
    """The case's values, read only where a look-up of the form may need them."""
    if not choices.has_any(form):
        return {}
    found = await session.scalar(text("select variables from instance where id = :id"), {"id": row.instance_id})
    return _json(found) or {}


async def find(session: Session, actor: Actor, task_id: UUID, field_id: str, search: str) -> list[Choice]:
    """The choices of one field of a task's form that hold the words of *search*.

    Raises:
        NotFound: not a task this person may see, or not a field of it with a look-up.
    """
    row = await _visible(session, actor, task_id)
    form = (await models.by_id(session, row.model_id)).forms.get(row.element_id)
    field = next((one for one in form.fields if one.id == field_id and one.lookup), None) if form else None
    if field is None:
        raise NotFound("There is no such field with choices.")
    data = {**await _variables(session, row, form), **(_json(row.draft) or {})}
    return (await choices.find(session, actor, field, data, search))[: lookups.MOST]


async def claim(session: Session, actor: Actor, task_id: UUID) -> None:
    """Take a task. Claiming one's own again changes nothing.

    Raises:
        NotFound: not one this person may see.
        Conflict: somebody else has it, or it is finished.
    """
    row = await _visible(session, actor, task_id)
    done = await session.execute(
        text(f"""update user_task t set state = 'claimed', assignee_id = :actor,
                 claimed_at = coalesce(claimed_at, now())
                 where t.id = :id and {_OPEN} and {_UNTAKEN} returning t.id"""),  # noqa: S608 - constants only
        {"id": task_id, "actor": actor.id},
    )
    if done.first() is None:
        await _lost(session, task_id)
    if row.assignee_id != actor.id:
        await _record(session, "task.claimed", actor, row)


async def release(session: Session, actor: Actor, task_id: UUID) -> None:
    """Give a task back to its group. An admin may release anybody's.

    Raises:
        NotFound: not one this person may see.
        Conflict: it is not claimed by this person.
    """
    row = await _visible(session, actor, task_id)
    done = await session.execute(
        text("""update user_task set state = 'ready', assignee_id = null, claimed_at = null
                where id = :id and state = 'claimed' and (assignee_id = :actor or :admin) returning id"""),
        {"id": task_id, "actor": actor.id, "admin": actor.has("admin")},
    )
    if done.first() is None:
        await _lost(session, task_id)
    await _record(session, "task.released", actor, row)


async def reassign(session: Session, actor: Actor, task_id: UUID, username: str) -> None:
    """Give a task to somebody else who may do it. Who has it may, who could take it may, an admin always may.

    Raises:
        NotFound: not a task this person may see.
        Invalid: nobody of this name who could do it.
        Conflict: it is finished, or somebody else's.
    """
    row = await _visible(session, actor, task_id)
    try:
        other = await accounts.by_username(session, username)
    except NotFound:
        raise Invalid({"assignee": "There is nobody of this name."}) from None
    if not may_take(other, row.candidates, None):
        raise Invalid({"assignee": f"{other.display_name} is none of those who may do this."})
    done = await session.execute(
        text(f"""update user_task t set state = 'claimed', assignee_id = :other, claimed_at = now()
                 where t.id = :id and {_OPEN} and ({_UNTAKEN} or :admin) returning t.id"""),  # noqa: S608 - constants only
        {"id": task_id, "other": other.id, "actor": actor.id, "admin": actor.has("admin")},
    )
    if done.first() is None:
        await _lost(session, task_id)
    await _record(session, "task.reassigned", actor, row, to=other.display_name)
    await notify.task_mail(
        session, task_id, other.username, case=row.case_no, instance_id=row.instance_id, again=str(uuid7())
    )


async def colleagues(session: Session, actor: Actor, task_id: UUID) -> list[tuple[str, str]]:
    """User and shown names of the others who may do a task, by name. Raises :class:`NotFound`."""
    row = await _visible(session, actor, task_id)
    found = await session.execute(
        text("""select l.username, l.display_name from login l
                where l.disabled_at is null and l.id <> :actor and l.id is distinct from cast(:assignee as int)
                  and (l.roles && cast(:names as text[]) or 'user:' || l.username = any(:names)
                       or 'admin' = any(l.roles) or exists(
                         select from group_member m join candidate_group g on g.id = m.group_id
                                 where m.login_id = l.id and g.name = any(:names)))
                order by 2, 1 limit 200"""),
        {"actor": actor.id, "assignee": row.assignee_id, "names": list(row.candidates)},
    )
    return [(one.username, one.display_name) for one in found]


async def comment(session: Session, actor: Actor, task_id: UUID, said: str) -> None:
    """Write a comment into the history of a task's case, where everybody who sees the case reads it.

    Raises :class:`NotFound`, and :class:`Invalid` for an empty or too long one.
    """
    row = await _visible(session, actor, task_id)
    if not said.strip() or len(said) > MAX_COMMENT or "\0" in said:
        raise Invalid({"comment": f"Write up to {MAX_COMMENT:,} characters."})
    await _record(session, "comment.added", actor, row, text=said.strip())


async def save_draft(session: Session, actor: Actor, task_id: UUID, values: Mapping[str, Any]) -> None:
    """Keep half-done entries beside the task, apart from the instance's data; only fields of its form are kept.

    Raises:
        Conflict: the task is finished or somebody else's.
        TooLarge: more than 64 kB.
    """
    row = await _visible(session, actor, task_id)
    form = (await models.by_id(session, row.model_id)).forms.get(row.element_id)
    kept = {field.id: values[field.id] for field in form.fields if field.id in values} if form else {}
    if len(orjson.dumps(kept)) > MAX_DRAFT:
        raise TooLarge("A draft holds at most 64 kB.")
    done = await session.execute(
        text(f"""update user_task t set draft = :draft where t.id = :id and {_OPEN} and {_UNTAKEN}
                 returning t.id""").bindparams(bindparam("draft", type_=JSONB)),  # noqa: S608 - constants only
        {"id": task_id, "actor": actor.id, "draft": kept},
    )
    if done.first() is None:
        await _lost(session, task_id)


async def counts(session: Session, actor: Actor) -> dict[str, int]:
    """How many open tasks are `mine`, my `groups`' and unclaimed, and `late` or `urgent` among both."""
    found = await session.execute(
        text(f"""select count(*) filter (where t.assignee_id = :actor) as mine,
                            count(*) filter (where t.assignee_id is null) as groups,
                            count(*) filter (where t.due_at < dams_now() and {_UNTAKEN}) as late,
                            count(*) filter (where t.priority >= {URGENT} and {_UNTAKEN}) as urgent
                     from user_task t where {_OPEN} and {_VISIBLE}"""),  # noqa: S608 - constants only
        _who(actor),
    )
    return dict(found.mappings().one())


async def _visible(session: Session, actor: Actor, task_id: UUID) -> Row[Any]:
    row = (await session.execute(text(f"{_ROW} where t.id = :id"), {"id": task_id})).first()
    if row is None or not may_take(actor, row.candidates, row.assignee_id, row.ended_by):
        raise NotFound("There is no such task for you.")
    return row


async def _lost(session: Session, task_id: UUID) -> None:
    row = (await session.execute(text(f"{_ROW} where t.id = :id"), {"id": task_id})).one()
    if row.state in ("completed", "cancelled"):
        who, at, what = row.ended_by_name, row.ended_at, row.state
    else:
        who, at, what = row.assignee_name, None, row.state
    detail = f"This task is {what} by {who}." if who else f"This task is {what}."
    raise Conflict(detail, first_by=who, first_at=at.isoformat() if at else None, state=row.state)


async def _record(session: Session, kind: str, actor: Actor, row: Row[Any], **further: str) -> None:
    await audit.record(
        session,
        kind,
        actor_id=actor.id,
        case=row.case_no,
        instance_id=row.instance_id,
        task_id=row.id,
        data={"element": row.element_id, **further},
    )


async def _task_row(session: Session, row: Row[Any]) -> TaskRow:
    model = await models.by_id(session, row.model_id)
    element = model.elements.get(row.element_id)
    return TaskRow(
        id=row.id,
        instance_id=row.instance_id,
        process_id=model.process_id,
        process_name=model.name,
        case=row.case_no,
        element_id=row.element_id,
        name=model.element_name(row.element_id),
        type=element.type if element else "userTask",
        state=row.state,
        assignee=row.assignee,
        assignee_name=row.assignee_name,
        candidate_roles=row.candidates,
        due_at=row.due_at,
        priority=row.priority,
        created_at=row.created_at,
    )


def _escaped(search: str) -> str:
    return search.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


def _write_cursor(row: TaskRow) -> str:
    return f"{row.due_at.isoformat() if row.due_at else NEVER}~{row.id}"


def _read_cursor(cursor: str) -> dict[str, Any]:
    due, _, after = cursor.partition("~")
    try:
        return {"due": None if due == NEVER else datetime.fromisoformat(due), "after": UUID(after)}
    except ValueError as error:
        raise BadRequest("cursor is not one that this list gave out") from error


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, (str, bytes)) else value
