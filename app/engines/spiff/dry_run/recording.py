"""A test case made of an instance that has run: what was entered and what came, in its order, and where it ended.

The case is played at once. Where it does not go the same way in memory, as when ops corrected a value, it is given all
the same, with the place at which it differs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.actor import Actor
from app.core.errors import Conflict, DamsError
from app.db.session import Session
from app.engines.spiff import lookup, models, starts
from app.engines.spiff.dry_run.cases import MOST_STEPS, Case, Cases, Player, Step, Verdict, play
from app.engines.spiff.models import StoredModel
from app.engines.spiff.records import InstanceView
from app.engines.spiff.values import shown
from app.engines.zeebe.variables import opened

MOVED = "instance.migrated"


@dataclass(frozen=True, slots=True)
class Recording:
    """The file of one test case, the version it was recorded on, and how it goes when it is played."""

    cases: Cases
    version: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Event:
    """One row of an instance's timeline."""

    id: int
    at: datetime
    kind: str
    data: dict[str, Any]
    completed: list[str]
    """The elements that it completed, in order."""
    result: Any
    """Of a job that has ended: its result, or the message of its failure."""


async def record(session: Session, actor: Actor, instance_id: UUID) -> Recording:
    """Make a test case of an instance.

    Raises:
        NotFound: not one this person may see.
        Conflict: another engine ran it, it is not over, it was moved between versions or called off, or it is too long.
    """
    view = await lookup.view(session, actor, instance_id)
    if view.engine != "spiff":
        raise Conflict("Zeebe ran it; only what DAMS ran itself is recorded.")
    if view.status != "completed":
        raise Conflict(f"The instance is {view.status}; what has completed can be recorded.")
    model = await models.find(session, view.process_id, view.version)
    events = await events_of(session, view.case, instance_id)
    if any(event.kind == MOVED for event in events):
        raise Conflict("The instance was moved from one version to another; no version has gone its whole way.")
    return await asyncio.to_thread(_recording, model, view, events)


def _recording(model: StoredModel, view: InstanceView, events: list[Event]) -> Recording:
    player = Player(model.compiled(), model.spec, view.started_at)
    start, steps = _moves(player, events)
    if len(steps) > MOST_STEPS:
        raise Conflict(f"It has more than {MOST_STEPS} steps.")
    path = [one for event in events for one in event.completed]
    case = Case(name=f"as {view.case} went", start=start, steps=steps, path=path, data=shown(view.variables))
    verdict = play(player.model, model.spec, case, view.started_at)
    return Recording(Cases(process=model.process_id, cases=[case]), model.version, verdict)


def _moves(player: Player, events: list[Event]) -> tuple[dict[str, Any], list[Step]]:
    """What started it and each move after; from where it does not go the same way on, what can be told without it."""
    start: dict[str, Any] = {}
    steps: list[Step] = []
    alive = True
    for event in events:
        given = event.data.get("entries") or {}
        if event.kind == "instance.started" and "start" not in event.data:
            start = given
            alive = _goes(player, None, start)
            continue
        made = steps_of(player, event, given) if alive or event.kind == "task.completed" else []
        for step in made:
            steps.append(step)
            alive = alive and _goes(player, step, {})
    return start, steps


def _goes(player: Player, step: Step | None, start: dict[str, Any]) -> bool:
    try:
        if step is None or player.model.elements[step.element].type == "startEvent":
            player.begin(start, step)
            return True
        return not player.take(step)
    except DamsError:
        return False  # the verdict tells where and why


def steps_of(player: Player, event: Event, given: dict[str, Any]) -> list[Step]:
    """The moves that an event was, where the player stands."""
    element, waiting = str(event.data.get("element", "")), getattr(player, "outcome", None)
    waits = waiting.waiting if waiting is not None else []
    match event.kind:
        case "instance.started":
            own = str(event.data["start"])
            return [Step(do=_of_start(player, own), element=own, given=given)]
        case "task.completed":
            return [Step(do="form", element=element, given=given)]
        case "message.received" | "signal.received":
            kind, name = event.kind.split(".")[0], event.data.get("name")
            found = next((one for one in waits if one.kind == kind and one.name == name), None)
            do = "message" if kind == "message" else "signal"
            return [Step(do=do, element=found.element_id, given=given)] if found else []
        case "job.completed":
            result = event.result if isinstance(event.result, dict) else {"result": event.result}
            return [Step(do="job", element=element, given=result)]
        case "job.failed":
            why = {"code": event.data.get("code", ""), "message": event.result}
            return [Step(do="error", element=element, given=why)]
        case "instance.proceeded":
            timers = {one.element_id for one in waits if one.kind == "timer"}
            return [Step(do="timer", element=one) for one in event.completed if one in timers]
        case _:
            return []


def _of_start(player: Player, own: str) -> Any:
    return next((one.kind for one in starts.of(player.spec) if one.element_id == own), "message")


async def events_of(session: Session, case: str, instance_id: UUID) -> list[Event]:
    """What happened to an instance, oldest first."""
    rows = await session.execute(
        text("""select e.id, e.at, e.kind, e.data, e.trace, coalesce(r.result, to_jsonb(r.error)) as result, r.engine
                from case_event e left join engine_run r on r.id = (e.data ->> 'run')::uuid
                where e.case_no = :case and e.instance_id = :id order by e.id""").columns(
            data=JSONB, trace=JSONB, result=JSONB
        ),
        {"case": case, "id": instance_id},
    )
    return [
        Event(
            row.id,
            row.at,
            row.kind,
            row.data or {},
            [one[0] for one in row.trace or () if one[1] == "completed"],
            opened(row.result) if row.engine == "zeebe" and isinstance(row.result, dict) else row.result,
        )
        for row in rows
    ]
