"""The states that an instance has been in, made once more from its timeline: what came from outside, in its order.

Nothing outside is reached. What comes out at the end is held against the instance as it is stored; where the two differ
none of the states is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.core.errors import Conflict, DamsError
from app.engines.spiff import steps
from app.engines.spiff.dry_run.cases import Player
from app.engines.spiff.dry_run.recording import MOVED, Event, steps_of
from app.engines.spiff.limits import bounds
from app.engines.spiff.models import StoredModel
from app.engines.spiff.outcome import Outcome, TraceEntry
from app.engines.spiff.records import InstanceView
from app.engines.spiff.values import shown

RESET, FORKED = "instance.reset", "instance.forked"


@dataclass(frozen=True, slots=True)
class Point:
    """The instance as it stood after one event of its timeline."""

    event_id: int
    at: datetime
    kind: str
    element_id: str
    """Of the task, job or event whose end it was; "" for others."""
    outcome: Outcome


class NotRebuilt(Conflict):
    """The instance cannot be made again from its timeline"""


def points(model: StoredModel, view: InstanceView, events: Sequence[Event]) -> list[Point]:
    """Every state that the instance waited in, oldest first.

    Raises:
        NotRebuilt: with the event from which it goes another way than it went, or what differs at the end.
    """
    for event in events:
        if event.kind in (MOVED, FORKED):
            raise NotRebuilt("It was moved to another version or forked; its timeline alone does not make it again.")
    player = Player(model.compiled(), model.spec, view.started_at)
    found: list[Point] = []
    for event in events:
        try:
            why = _take(player, event, found)
        except DamsError as error:
            why = error.detail
        if why:
            raise NotRebuilt(f"At {event.kind} ({event.at:%Y-%m-%d %H:%M:%S} UTC) it goes another way: {why}.")
        found.append(Point(event.id, event.at, event.kind, str(event.data.get("element", "")), player.outcome))
    _compare(player, view, events)
    return found


def _take(player: Player, event: Event, found: Sequence[Point]) -> str:
    given: dict[str, Any] = event.data.get("entries") or {}
    if event.kind == RESET:
        player.outcome = next(one.outcome for one in found if one.event_id == event.data["to"])
        return ""
    if event.kind == "instance.started" and "start" not in event.data:
        player.begin(given)
        return ""
    if event.kind == "incident.retried":
        return _retry(player, str(event.data.get("element", "")), given)
    if event.kind == "job.completed":
        return _answer(player, str(event.data.get("element", "")), event.result)
    for step in steps_of(player, event, given):
        if event.kind == "instance.started":
            player.begin({}, step)
        elif why := player.take(step, event.data.get("gained")):
            return why
    return ""


def _retry(player: Player, element: str, given: dict[str, Any]) -> str:
    stopped = next((one for one in player.outcome.incidents if one.element_id == element), None)
    if stopped is None:
        return f"nothing has stopped at {element or 'an element'}"
    state, at = player.outcome.state, stopped.task_id
    player.settle(steps.retry(player.spec, state, at, given, bounds=bounds(), now=player.now))
    return ""


def _answer(player: Player, element: str, result: Any) -> str:
    waiting = next((one for one in player.outcome.waiting if (one.kind, one.element_id) == ("job", element)), None)
    state = player.outcome.state
    after = waiting and steps.answer(player.spec, state, waiting.task_id, result, bounds=bounds(), now=player.now)
    if after is None:
        return f"nothing waits for the result of {element or 'a job'}"
    player.settle(after)
    return ""


def _compare(player: Player, view: InstanceView, events: Sequence[Event]) -> None:
    went = [one for event in events for one in event.completed if one in player.model.elements]
    if went != player.path:
        raise NotRebuilt("Made again it takes another way than it took.")
    if view.status == "cancelled":
        return
    here = sorted(task.element_id for task in player.outcome.open_tasks)
    if here != sorted(task.element_id for task in view.tasks):
        raise NotRebuilt("Made again it stands elsewhere than it does.")
    now: dict[str, Any] = shown(player.outcome.variables)
    wrong = sorted(name for name in {*now, *view.variables} if now.get(name) != view.variables.get(name))
    if wrong:
        raise NotRebuilt(f"Made again it holds other values than it does: {', '.join(wrong)}.")


def opening(outcome: Outcome, leaves: Sequence[str] = ()) -> Outcome:
    """A state to be stored as it is: nothing runs or is thrown because of it. *leaves* are called off for it."""
    opened = [*(task.element_id for task in outcome.open_tasks), *(item.element_id for item in outcome.waiting)]
    trace = [TraceEntry(one, "cancelled") for one in leaves] + [TraceEntry(one, "entered") for one in opened]
    return replace(outcome, trace=trace, events_out=[], unfinished=False)
