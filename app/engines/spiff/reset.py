"""Going back: an instance put into a state that it has been in, or a second one begun from there.

What was done outside meanwhile stays done: it is listed, for whoever decides, and nothing calls it off.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, NotFound
from app.core.ids import uuid7
from app.db.session import Session
from app.engines.spiff import lookup, messages, models, saving, statements
from app.engines.spiff.dry_run.rebuilding import FORKED, RESET, Point, opening, points
from app.engines.spiff.dry_run.recording import events_of
from app.engines.spiff.models import StoredModel
from app.engines.spiff.records import InstanceView
from app.engines.spiff.saving import Change

MEND = ("ops", "admin")


@dataclass(frozen=True, slots=True)
class Done:
    """Something outside the instance that was done after a point and stays done."""

    at: datetime
    what: str
    """`run` of another engine, `mail`, or the kind of an event of the case, e.g. ``document.issued``."""
    name: str


@dataclass(frozen=True, slots=True)
class Stop:
    """A point to go back to: what had just happened, what was open then, and what was done outside since."""

    event_id: int
    at: datetime
    kind: str
    element_id: str
    open: list[str]
    since: list[Done]


async def stops(session: Session, actor: Actor, instance_id: UUID) -> tuple[InstanceView, StoredModel, list[Stop]]:
    """The points that an instance can go back to, newest first; the newest is where it stands.

    Raises:
        NotFound: no such instance.
        NotRebuilt: its states cannot be made again from its timeline.
    """
    view, model, found = await _points(session, actor, instance_id)
    done = await _outside(session, view.case, instance_id)
    return (
        view,
        model,
        [
            Stop(
                one.event_id,
                one.at,
                one.kind,
                one.element_id,
                [task.element_id for task in one.outcome.open_tasks]
                + [item.element_id for item in one.outcome.waiting],
                [item for item in done if item.at > one.at],
            )
            for one in reversed(found)
        ],
    )


async def go_back(session: Session, actor: Actor, instance_id: UUID, to: int, reason: str) -> InstanceView:
    """Put a running instance into the state it had after the event *to*. Its open tasks and waits are called off.

    Raises:
        NotFound: no such instance, or no such point.
        Invalid: no reason.
        Conflict: it has ended, it stands there already, or its states cannot be made again.
    """
    actor.require(*MEND)
    _check(reason)
    row = await statements.load(session, statements.LOAD, instance_id)
    if row is None:
        raise NotFound("No such instance.")
    if row.status in ("completed", "cancelled"):
        raise Conflict(f"The instance is {row.status}; begin a second one from there instead.")
    view, model, found = await _points(session, actor, instance_id)
    if found[-1].event_id == to:
        raise Conflict("The instance stands there already.")
    leaves = [task.element_id for task in view.tasks] + [item["element_id"] for item in view.waiting]
    outcome = opening(_at(found, to).outcome, leaves)
    change = Change(RESET, actor.id, {"to": to, "reason": reason.strip()})
    await saving.update(session, model, row, outcome, change)
    await messages.take_kept(session, instance_id)
    return await lookup.view(session, actor, instance_id)


async def fork(session: Session, actor: Actor, instance_id: UUID, to: int, reason: str) -> InstanceView:
    """Begin a second instance of the same case in the state that this one had after the event *to*.

    Raises:
        NotFound, Invalid, NotRebuilt: as :func:`go_back`.
    """
    actor.require(*MEND)
    _check(reason)
    view, model, found = await _points(session, actor, instance_id)
    now = await session.scalar(text("select dams_now()"))
    own, outcome = uuid7(), opening(_at(found, to).outcome)
    data = {"from": str(instance_id), "to": to, "reason": reason.strip()}
    change = Change(FORKED, actor.id, data, case_no=view.case)
    key = {"business_key": view.business_key, "started_by": actor.id, "start_key": None}
    await saving.insert(session, model, own, outcome, change, now, {"model_id": model.id, **key})
    await messages.take_kept(session, own)
    return await lookup.view(session, actor, own)


async def _points(session: Session, actor: Actor, instance_id: UUID) -> tuple[InstanceView, StoredModel, list[Point]]:
    view = await lookup.view(session, actor, instance_id)
    model = await models.find(session, view.process_id, view.version)
    if model.engine != "spiff":
        raise Conflict("Zeebe runs it; only what DAMS runs itself goes back.")
    events = await events_of(session, view.case, instance_id)
    return view, model, await asyncio.to_thread(points, model, view, events)


def _at(found: list[Point], to: int) -> Point:
    point = next((one for one in found if one.event_id == to), None)
    if point is None:
        raise NotFound("The instance has no such point.")
    if not (point.outcome.open_tasks or point.outcome.waiting):
        raise Conflict("Nothing was open there.")
    return point


def _check(reason: str) -> None:
    if not reason.strip() or len(reason) > 1000:
        raise Invalid({"reason": "Say in up to 1,000 characters why."})


async def _outside(session: Session, case: str, instance_id: UUID) -> list[Done]:
    """What other engines, mails and the clinic's tables have of this case; each with its time."""
    rows = await session.execute(
        text("""
            select requested_at as at, 'run' as what, engine || ': ' || name as name from engine_run
            where instance_id = :id and status <> 'cancelled'
            union all
            select sent_at, 'sent', kind from outbox
            where instance_id = :id and sent_at is not null and kind not like 'bpmn-%'
            union all
            select at, 'event', kind from case_event where case_no = :case and key is null
            and kind not like 'instance.%' and kind not like 'task.%' and kind not like 'job.%'
            and kind not like 'message.%' and kind not like 'signal.%' and kind not like 'incident.%'
            and kind not like 'comment.%' and kind not like 'case.%'
            order by at"""),
        {"id": instance_id, "case": case},
    )
    return [Done(row.at, row.what, row.name) for row in rows]
