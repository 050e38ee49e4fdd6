"""What events are about: messages, signals, errors, times, conditions, and when each has come.

SpiffWorkflow reads the wall clock and keeps each plain end event as an unhandled event; here times go by the moment
the instance is given, and throwing what nobody can hear is nothing. Who catches what is in `events`.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import ast
from datetime import datetime
from typing import Any

from app.engines.spiff import schedule
from app.engines.spiff.library import Event, EventDefinition, Mixin
from app.engines.spiff.library import definitions as stock
from app.engines.spiff.nodes import CannotGoOn
from app.engines.spiff.sandbox import ScriptFailed
from app.engines.spiff.tokens import Token


class _Silent(Mixin):
    """Throwing it is no event for anybody."""

    def throw(self, my_task: Token) -> None:
        pass


class Plain(_Silent, stock.NoneEventDefinition):
    pass


class Terminate(_Silent, stock.TerminateEventDefinition):
    pass


class _Scoped(Mixin):
    """Caught by a boundary event of the activities around the one that throws."""

    def throw(self, my_task: Token) -> None:
        event = Event(self, payload=dict(my_task.data), target=my_task.workflow)
        my_task.workflow.top_workflow.event_manager.raise_event(event, my_task)


class Cancel(_Scoped, stock.CancelEventDefinition):
    def update_task_data(self, my_task: Token) -> None:
        pass


class Error(_Scoped, stock.ErrorEventDefinition):
    pass


class Escalation(_Scoped, stock.EscalationEventDefinition):
    pass


class _Broadcast(Mixin):
    def throw(self, my_task: Token) -> None:
        event = Event(self, payload=dict(my_task.data))
        my_task.workflow.top_workflow.event_manager.catch(event)


class Signal(_Broadcast, stock.SignalEventDefinition):
    pass


class Message(stock.MessageEventDefinition):
    """A message. The first one of a conversation gives a process its correlation keys, later ones must have the same.

    Outside source: BPMN 2.0, 8.4.2, key-based correlation.
    """

    def throw(self, my_task: Token) -> None:
        payload = dict(my_task.data)
        self.remember(my_task, payload)
        my_task.workflow.top_workflow.event_manager.catch(Event(self, payload))

    def catches(self, my_task: Token, event: Any) -> bool:
        if self != event.event_definition:
            return False
        known = my_task.workflow.process().correlations
        told = self.get_correlations(my_task, event.payload) if known else {}
        return all(known[key] == value for key, value in told.items() if key in known)

    def catch(self, my_task: Token, event: Any = None) -> None:
        self.update_internal_data(my_task, event)
        self.remember(my_task, event.payload)
        EventDefinition.catch(self, my_task, event)

    def remember(self, my_task: Token, payload: Any) -> None:
        """Keep the keys of a conversation that begins."""
        process = my_task.workflow.process()
        process.correlations = {**self.get_correlations(my_task, payload), **process.correlations}

    def get_correlations(self, my_task: Token, payload: Any) -> dict[str, dict[str, Any]]:
        """The properties that *payload* has, by key; SpiffWorkflow hands the arguments over the wrong way round."""
        found: dict[str, dict[str, Any]] = {}
        for property_ in self.correlation_properties:
            try:
                value = my_task.workflow.script_engine.evaluate(payload, property_.retrieval_expression)
            except ScriptFailed:  # the payload has no such value: no key that was kept is equal to that
                value = None
            for key in property_.correlation_keys:
                found.setdefault(key, {})[property_.name] = value
        return found


def tell(token: Token, kind: str, name: str, code: str) -> None:
    """Throw an event for one run of an activity; an escalation is offered to the events at the activity first."""
    if kind == "escalation":
        event = Event(Escalation(name, code=code), payload=dict(token.data), target=token.workflow)
        manager = token.workflow.top_workflow.event_manager
        if manager.catch_at(event, token) is None:
            manager.catch_outside(event, token.workflow)
        return
    (Signal(name) if kind == "signal" else Message(name)).throw(token)


class Compensate(EventDefinition):
    """Undoes what has been done in its scope; ``name`` is the id of the one activity to undo, None for all."""

    def __init__(self, name: str | None = None, description: str | None = None) -> None:
        super().__init__(name, description)

    def throw(self, my_task: Token) -> None:
        """The throwing element itself waits for the handlers: `compensation`."""


class Conditional(stock.ConditionalEventDefinition):
    """Comes when its condition becomes true, whichever branch made it so; again only after it was false."""

    def has_fired(self, my_task: Token) -> bool:
        before = bool(my_task.internal_data.get("holds"))
        data = my_task.workflow.visible_data(my_task)
        holds = bool(my_task.workflow.script_engine.evaluate_on(data, self.expression, my_task))
        if holds != before:
            my_task.internal_data = {**my_task.internal_data, "holds": holds}
        return holds and not before


class _Timer(Mixin):
    """``due`` is when it fires next; None once it will not fire again."""

    name: str
    expression: str

    def _value(self, my_task: Token) -> Any:
        text = self.expression.strip()
        if schedule.is_literal(text):
            return text
        if text[:1] in ("'", '"'):  # a plain time that the checks put into the tree as Python
            return ast.literal_eval(text)
        return my_task.workflow.script_engine.evaluate(my_task, text)

    def _first(self, my_task: Token) -> dict[str, Any]:
        top = my_task.workflow.top_workflow
        return {"due": schedule.due(self._value(my_task), top.now, top.zone)}

    def plan(self, my_task: Token, key: str = "timer") -> dict[str, Any]:
        """The timer's state, made when the token first asks."""
        found = my_task.internal_data.get(key)
        if found is None:
            try:
                found = self._first(my_task)
            except (ValueError, OverflowError) as error:
                raise CannotGoOn("timer", f"the timer cannot be read: {error}") from None
            my_task.internal_data = {**my_task.internal_data, key: found}
        return found

    def is_due(self, my_task: Token, key: str = "timer") -> bool:
        due = self.plan(my_task, key)["due"]
        return due is not None and due <= my_task.workflow.top_workflow.now

    def has_fired(self, my_task: Token) -> bool:
        return bool(my_task.internal_data.get("event_fired")) or self.is_due(my_task)

    def due(self, my_task: Token) -> datetime | None:
        return self.plan(my_task)["due"]


class DateTimer(_Timer, stock.TimeDateEventDefinition):
    pass


class DurationTimer(_Timer, stock.DurationTimerEventDefinition):
    pass


class CycleTimer(_Timer, stock.CycleTimerEventDefinition):
    """Repeats beside running work; anywhere else, and where it interrupts, it fires once."""

    def _first(self, my_task: Token) -> dict[str, Any]:
        top = my_task.workflow.top_workflow
        found = schedule.cycle(self._value(my_task), top.now, top.zone)
        every = [found.every.months, found.every.rest.total_seconds()]
        return {"due": found.first if found.count != 0 else None, "left": found.count, "every": every}

    def has_fired(self, my_task: Token) -> bool:
        if not self.is_due(my_task):
            return False
        if my_task.task_spec.repeats:
            self._plan_next(my_task)
        return True

    def _plan_next(self, my_task: Token) -> None:
        plan, now = my_task.internal_data["timer"], my_task.workflow.top_workflow.now
        left = None if plan["left"] is None else plan["left"] - 1
        every = schedule.Duration(int(plan["every"][0]), schedule.timedelta(seconds=plan["every"][1]))
        following = None if left == 0 else schedule.skip_overdue(plan["due"], every, now)
        my_task.internal_data = {**my_task.internal_data, "timer": {**plan, "due": following, "left": left}}


class Several(stock.MultipleEventDefinition):
    """Several events of one element, each known by its place; SpiffWorkflow lets two timers share one due time."""

    def seen(self, my_task: Token) -> list[list[Any]]:
        """Place and payload of each event that came, in order."""
        return my_task.internal_data.get("seen", [])

    def has_fired(self, my_task: Token) -> bool:
        for index, definition in enumerate(self.event_definitions):
            if index not in [place for place, _ in self.seen(my_task)] and self._is_due(definition, my_task, index):
                self._see(my_task, index, None)
        wanted = len(self.event_definitions) if self.parallel else 1
        return len(self.seen(my_task)) >= wanted

    def catch(self, my_task: Token, event: Any = None) -> None:
        for index, definition in enumerate(self.event_definitions):
            if definition.catches(my_task, event):
                self._see(my_task, index, event.payload)
                return

    def update_task_data(self, my_task: Token) -> None:
        for _, payload in self.seen(my_task):
            my_task.data = {**my_task.data, **(payload or {})}

    def due(self, my_task: Token) -> list[tuple[int, datetime]]:
        """Place and due time of the timers among them."""
        timers = [(i, d) for i, d in enumerate(self.event_definitions) if isinstance(d, _Timer)]
        plans = [(index, timer.plan(my_task, f"timer{index}")["due"]) for index, timer in timers]
        return [(index, due) for index, due in plans if due is not None]

    def _is_due(self, definition: Any, my_task: Token, index: int) -> bool:
        if isinstance(definition, _Timer):
            return definition.is_due(my_task, f"timer{index}")
        return isinstance(definition, Conditional) and definition.has_fired(my_task)

    def _see(self, my_task: Token, index: int, payload: Any) -> None:
        my_task.internal_data = {**my_task.internal_data, "seen": [*self.seen(my_task), [index, payload]]}


def due_times(token: Token) -> list[tuple[int, datetime]]:
    """The timers of a waiting token that are still to fire."""
    if token.id in token.workflow.top_workflow.failures:
        return []
    definition = token.task_spec.event_definition
    if isinstance(definition, Several):
        return definition.due(token)
    if isinstance(definition, _Timer):
        due = definition.due(token)
        return [] if due is None else [(0, due)]
    return []
