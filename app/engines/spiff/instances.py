"""Running instances: start, complete, go on, retry, cancel. Each call is one step in the caller's transaction.

Reads live in `app.engines.spiff.lookup`. Nothing here commits, and nothing here knows HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, NotFound
from app.core.ids import uuid7
from app.db import driver
from app.db.driver import Statement
from app.db.session import Session
from app.engines.spiff import choices, effects, forms, lookup, messages, models, saving, statements, steps, timeline
from app.engines.spiff.limits import bounds
from app.engines.spiff.listeners import Heard
from app.engines.spiff.models import StoredModel
from app.engines.spiff.outcome import Outcome
from app.engines.spiff.records import InstanceView, TaskRef
from app.engines.spiff.saving import Change
from app.engines.spiff.values import entered, shown

T = TypeVar("T")
MAX_KEY = 200
MOST_INCIDENTS = 2**31 - 1
"""The column's largest number: a larger one in an address names no incident and is no error of the database."""
_CLOCK = Statement("select dams_now() as now, nextval('case_number') as number", {})


class OtherEngine(Conflict):
    """The model is run by another engine"""

    def __init__(self, model: StoredModel) -> None:
        super().__init__(f"{model.process_id} runs on {model.engine}, which this call does not start.")
        self.model = model


async def start(
    session: Session,
    actor: Actor,
    process_id: str,
    variables: Mapping[str, Any],
    *,
    version: int | None = None,
    business_key: str | None = None,
    case: str | None = None,
    key: str | None = None,
) -> InstanceView:
    """Start an instance and run it to its first wait. The same *key* of the same person starts it only once.

    Raises:
        NotFound: no such model or version.
        Invalid: a key, a case number or a variable's name that cannot be, or fields of its start form to be mended.
    """
    check_texts(key=key, case=case, business_key=business_key)
    if key and (known := await _started(session, actor, key)):
        return await lookup.view(session, actor, known)
    model = await models.find(session, process_id, version)
    if model.engine != "spiff":
        raise OtherEngine(model)
    given = variables_of(model, actor, variables)
    clock: Any = await driver.first(session, _CLOCK, {})
    outcome = await begin(model, given, clock.now)
    instance_id = uuid7()
    change = Change("instance.started", actor.id, entered(given), case_no=case or f"A-{clock.number}")
    row = {"model_id": model.id, "business_key": business_key, "started_by": actor.id, "start_key": key}
    try:
        async with session.begin_nested() if key else _no_savepoint():
            await saving.insert(session, model, instance_id, outcome, change, clock.now, row)
    except IntegrityError:
        known = await _started(session, actor, key or "")
        if known is None:
            raise
        return await lookup.view(session, actor, known)
    return await _after(session, model, instance_id, outcome, change, business_key, clock.now)


async def begin(model: StoredModel, given: Mapping[str, Any], now: datetime) -> Outcome:
    """The first step of an instance, not yet written."""
    return await model.paces[""].run(lambda: steps.start(model.spec, given, bounds=bounds(), now=now))


def variables_of(model: StoredModel, actor: Actor, variables: Mapping[str, Any]) -> dict[str, Any]:
    """What an instance starts with: the caller's variables, those of the start form as its fields say."""
    given = dict(variables)
    if model.start_form:
        fields = {field.id for field in model.start_form.fields}
        filled = forms.submit(model.start_form, variables, {})
        given = {name: value for name, value in given.items() if name not in fields} | filled
    if model.initiator:
        given[model.initiator] = actor.username
    return given


async def complete(
    session: Session, actor: Actor, task_id: UUID, values: Mapping[str, Any], *, key: str | None = None
) -> InstanceView:
    """Complete a user or manual task with *values* of its form and run on to the next wait.

    The same *key* again is the same completion: it answers the instance as it is now.

    Raises:
        NotFound: no such task, or not one this person may see.
        Conflict: somebody completed or claimed it first; `context` has `first_by`, `first_at` and, in `counts`, what
            was entered.
        Invalid: fields that must be mended; nothing was written.
    """
    check_texts(key=key)
    row = await statements.load(session, statements.LOAD_FOR_TASK, task_id)
    if row is None or not lookup.may_take(actor, row.candidates, row.assignee_id, row.ended_by):
        raise NotFound("There is no such task for you.")
    if row.task_state == "completed" and key and row.completion_key == key and row.ended_by == actor.id:
        return await lookup.view(session, actor, row.id)
    await _refuse_loser(session, actor, row, task_id)
    model = await models.by_id(session, row.model_id)
    form = model.forms.get(row.element_id)
    if form and choices.has_any(form):
        given = forms.submit(form, values, row.variables)
        await choices.check(session, actor, form, given, row.variables, row.id)
    gained = await _precede(session, actor, model, row, values)

    async def take(further: Mapping[str, Any]) -> tuple[Outcome, Change]:
        outcome, change = await go_on(model, row, actor, task_id, values, {**gained, **further}, key)
        await saving.update(session, model, row, outcome, change)
        return outcome, change

    outcome, change = await _with_effects(session, model, take)
    return await _after(session, model, row.id, outcome, change, row.business_key, row.started_at, row)


async def go_on(
    model: StoredModel,
    row: Any,
    actor: Actor,
    task_id: UUID,
    values: Mapping[str, Any],
    further: Mapping[str, Any],
    key: str | None,
) -> tuple[Outcome, Change]:
    """The step that completes a task, not yet written, and how the timeline tells it.

    Raises:
        Invalid: fields of the form that must be mended.
    """
    form = model.forms.get(row.element_id)

    def step() -> tuple[dict[str, Any], Outcome]:
        given = forms.submit(form, values, row.variables) if form else {}
        data = {**given, **further}
        return given, steps.complete(model.spec, row.state, task_id, data, bounds=bounds(), now=row.now)

    given, outcome = await model.paces[row.element_id].run(step)
    entries: dict[str, Any] = {"element": row.element_id, "entries": shown(given)}
    if further:
        entries["gained"] = shown(dict(further))
    return outcome, Change("task.completed", actor.id, entries, task_id, True, key)


async def _precede(
    session: Session, actor: Actor, model: StoredModel, row: Any, values: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The effect of the task itself, before the process goes on; what it gives to the process."""
    if row.element_id not in model.effects:
        return {}
    given = forms.submit(model.forms.get(row.element_id) or forms.Form(), values, row.variables)
    variables = shown({**row.variables, **given})
    heard = Heard(row.element_id, "completed", row.id, row.case_no, actor.id, variables)
    return await effects.precede(session, model.effects, heard)


async def _with_effects(session: Session, model: StoredModel, take: Callable[[Mapping[str, Any]], Awaitable[T]]) -> T:
    """Take a step; where an effect finds its ground gone, take it again with what the process must know instead."""
    if not model.effects:
        return await take({})
    try:
        async with session.begin_nested():
            return await take({})
    except effects.Lost as lost:
        return await take(lost.variables)


async def proceed(session: Session, instance_id: UUID) -> bool:
    """Fire what is due and go on where a bound stopped. False if somebody else holds the instance or it has ended."""
    row = await statements.load(session, statements.LOAD_SKIPPING, instance_id)
    if row is None or row.status in ("completed", "cancelled"):
        return False
    model = await models.by_id(session, row.model_id)
    outcome = await asyncio.to_thread(lambda: steps.proceed(model.spec, row.state, bounds=bounds(), now=row.now))
    await saving.update(session, model, row, outcome, Change("instance.proceeded"))
    await _take_messages(session, instance_id, outcome, row)
    return True


async def retry(
    session: Session, actor: Actor, instance_id: UUID, n: int, variables: Mapping[str, Any] | None = None
) -> InstanceView:
    """Run the element of incident *n* again, with *variables* corrected first.

    Raises:
        NotFound: no such open incident on an instance this person may see.
    """
    actor.require("ops", "admin")
    row = await statements.load(session, statements.LOAD, instance_id)
    if row is None:
        raise NotFound("No such instance.")
    found = (
        await session.execute(
            text("""select task_id, element_id from incident
                    where instance_id = :id and n = :n and resolved_at is null and task_id is not null"""),
            {"id": instance_id, "n": min(n, MOST_INCIDENTS)},
        )
    ).first()
    if found is None:
        raise NotFound(f"Incident {n} is not open.")
    task_id = found.task_id
    if row.status == "cancelled":
        raise Conflict("The instance was cancelled.")
    model = await models.by_id(session, row.model_id)
    changed = dict(variables or {})
    outcome = await asyncio.to_thread(
        lambda: steps.retry(model.spec, row.state, task_id, changed, bounds=bounds(), now=row.now)
    )
    await _reopen(session, instance_id, n, actor)
    told = {"n": n, "element": found.element_id, "variables": sorted(changed), **entered(changed)}
    change = Change("incident.retried", actor.id, told)
    await saving.update(session, model, row, outcome, change)
    await _take_messages(session, instance_id, outcome, row)
    return await lookup.view(session, actor, instance_id)


async def cancel(session: Session, actor: Actor, instance_id: UUID, reason: str) -> None:
    """End an instance: its tasks leave the inbox, its timers go, what ran stays in the trace.

    Raises:
        Invalid: no reason was given.
        Conflict: it has ended already.
    """
    if not reason.strip() or len(reason) > 1000:
        raise Invalid({"reason": "Say in up to 1,000 characters why."})
    row = await statements.load(session, statements.LOAD, instance_id)
    if row is None or not lookup.may_see(actor, row.started_by):
        raise NotFound("No such instance.")
    if row.status in ("completed", "cancelled"):
        raise Conflict(f"The instance is {row.status} already.")
    await saving.cancel(session, row, Change("instance.cancelled", actor.id, {"reason": reason.strip()}))


async def _reopen(session: Session, instance_id: UUID, n: int, actor: Actor) -> None:
    """Close the incident being retried; if the retry fails the step writes a new one."""
    await session.execute(
        text("update incident set resolved_at = now(), resolved_by = :actor where instance_id = :id and n = :n"),
        {"id": instance_id, "n": n, "actor": actor.id},
    )


async def _started(session: Session, actor: Actor, key: str) -> UUID | None:
    return await session.scalar(
        text("select id from instance where started_by = :actor and start_key = :key"), {"actor": actor.id, "key": key}
    )


async def _refuse_loser(session: Session, actor: Actor, row: Any, task_id: UUID) -> None:
    taken = row.task_state == "claimed" and row.assignee_id not in (None, actor.id)
    if row.task_state in ("completed", "cancelled"):
        first, at, what = row.ended_by, row.task_ended_at, row.task_state
    elif taken:
        first, at, what = row.assignee_id, row.claimed_at, "claimed"
    else:
        return
    name = await session.scalar(text("select display_name from login where id = :id"), {"id": first}) if first else None
    detail = f"This task was {what} by {name}." if name else f"This task was {what} by the process."
    counts = await timeline.entries(session, row.case_no, task_id) if row.task_state == "completed" else None
    first_at = at.isoformat() if at else None
    raise Conflict(detail, first_by=name, first_at=first_at, state=row.task_state, counts=counts)


async def _after(
    session: Session,
    model: StoredModel,
    instance_id: UUID,
    outcome: Outcome,
    change: Change,
    business_key: str | None,
    started_at: datetime,
    before: Any | None = None,
) -> InstanceView:
    """The instance after a step, without asking the database what this step knows itself."""
    stayed = before is not None and any(t.id in set(before.open_tasks) for t in outcome.open_tasks)
    took = await _take_messages(session, instance_id, outcome, before)
    asked = any(saving.asks(model, task) for task in outcome.open_tasks)
    if took or stayed or asked or outcome.incidents:
        return await lookup.view(session, None, instance_id)
    ended_at = (before.now if before else started_at) if outcome.status == "completed" else None
    return view_after(model, instance_id, outcome, change, business_key, started_at, ended_at)


def view_after(
    model: StoredModel,
    instance_id: UUID,
    outcome: Outcome,
    change: Change,
    business_key: str | None,
    started_at: datetime,
    ended_at: datetime | None,
) -> InstanceView:
    """The instance after a step that told nobody of its tasks and left none from before."""
    return InstanceView(
        id=instance_id,
        process_id=model.process_id,
        name=model.name,
        version=model.version,
        engine=model.engine,
        status=outcome.status,
        case=change.case_no or "",
        business_key=business_key,
        variables=outcome.variables,
        started_at=started_at,
        ended_at=ended_at,
        tasks=[
            TaskRef(
                id=task.id,
                element_id=task.element_id,
                name=model.element_name(task.element_id),
                state="ready",
                assignee=None,
                candidate_roles=saving.candidates(model, task.element_id, {}),
                due_at=None,
            )
            for task in outcome.open_tasks
        ],
        waiting=[saving.waiting_record(item) for item in outcome.waiting],
    )


async def _take_messages(session: Session, instance_id: UUID, outcome: Outcome, before: Any | None) -> bool:
    """An early message is taken as soon as the instance begins to wait for it."""
    known = {item["name"] for item in before.waiting if item["kind"] == "message"} if before else set[str]()
    names = [item.name for item in outcome.waiting if item.kind == "message" and item.name not in known]
    return bool(names) and await messages.take_kept(session, instance_id)


def check_texts(**texts: str | None) -> None:
    """A caller's own names become columns: short and printable, or refused."""
    for name, value in texts.items():
        if value is not None and (not value.strip() or len(value) > MAX_KEY or not value.isprintable()):
            raise Invalid({name: f"Up to {MAX_KEY} printable characters."})


class _no_savepoint:  # noqa: N801 - used like a function
    """Without a key nothing can collide, so no savepoint is paid for."""

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None
