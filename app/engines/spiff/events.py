"""Events on an instance: who catches what, and timers that go by the moment they are given.

SpiffWorkflow reads the wall clock, lets any waiting boundary event of a scope catch an error, and keeps each plain
end event as an unhandled event. Here an error goes to the activities around it, innermost first, and nothing is kept.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import ast
from datetime import datetime
from typing import Any

from app.engines.spiff import schedule
from app.engines.spiff.library import Event, EventManager, Mixin, TaskState, elements
from app.engines.spiff.library import definitions as stock
from app.engines.spiff.nodes import CannotGoOn, Flow
from app.engines.spiff.tokens import Token


class Catching(Flow):
    """An element that waits for an event."""

    event_definition: Any

    def _run_hook(self, my_task: Token) -> bool:
        self.event_definition.update_task_data(my_task)
        my_task.internal_data = {}
        return True

    def _on_cancel(self, my_task: Token) -> None:
        my_task.workflow.top_workflow.event_manager.remove_task(my_task)


class StartEvent(Catching, elements.StartEvent):
    pass


class CatchEvent(Catching, elements.IntermediateCatchEvent):
    pass


class ReceiveTask(Catching, elements.ReceiveTask):
    pass


class BoundaryEvent(Catching, elements.BoundaryEvent):
    rank = 0
    momentary = True


class EventGateway(Catching, elements.EventBasedGateway):
    """Waits for the first of several events and lets only the branch of that one go on."""

    chooses = True

    def _run_hook(self, my_task: Token) -> bool:
        found = self.event_definition.seen(my_task)
        for index, payload in found[:1]:
            my_task.data = {**my_task.data, **(payload or {})}
            my_task._sync_children([self.outputs[index]], TaskState.FUTURE)
        my_task.internal_data = {}
        return True


class Throwing(Flow):
    pass


class ThrowEvent(Throwing, elements.IntermediateThrowEvent):
    pass


class SendTask(Throwing, elements.SendTask):
    pass


class EndEvent(Throwing, elements.EndEvent):
    def _on_complete_hook(self, my_task: Token) -> None:
        super(elements.EndEventMixin, self)._on_complete_hook(my_task)
        scope = my_task.workflow
        if isinstance(self.event_definition, Terminate):
            scope.cancel(success=True)
            scope.completed = False
            scope._mark_complete(my_task)
        elif isinstance(self.event_definition, Cancel):
            scope.cancel()


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
    def throw(self, my_task: Token) -> None:
        payload = dict(my_task.data)
        correlations = self.get_correlations(my_task, payload)
        my_task.workflow.correlations = {**my_task.workflow.correlations, **correlations}
        my_task.workflow.top_workflow.event_manager.catch(Event(self, payload, correlations))


class Conditional(stock.ConditionalEventDefinition):
    pass


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
    """Repeats beside a running activity; anywhere else, and where it interrupts, it fires once."""

    def _first(self, my_task: Token) -> dict[str, Any]:
        top = my_task.workflow.top_workflow
        found = schedule.cycle(self._value(my_task), top.now, top.zone)
        every = [found.every.months, found.every.rest.total_seconds()]
        return {"due": found.first if found.count != 0 else None, "left": found.count, "every": every}

    def has_fired(self, my_task: Token) -> bool:
        repeats = isinstance(my_task.task_spec, BoundaryEvent) and not my_task.task_spec.cancel_activity
        if not repeats:
            return super().has_fired(my_task)
        if self.is_due(my_task):
            self._fire(my_task)
        return False

    def _fire(self, my_task: Token) -> None:
        plan, top = my_task.internal_data["timer"], my_task.workflow.top_workflow
        left = None if plan["left"] is None else plan["left"] - 1
        every = schedule.Duration(int(plan["every"][0]), schedule.timedelta(seconds=plan["every"][1]))
        following = None if left == 0 else schedule.skip_overdue(plan["due"], every, top.now)
        my_task.internal_data = {"timer": {**plan, "due": following, "left": left}}
        top.note(my_task.task_spec.trace_id, "entered")
        top.note(my_task.task_spec.trace_id, "completed")
        for spec in my_task.task_spec.outputs:
            if spec.bpmn_id is not None:  # not the join that ends the activity's events
                top.guarded_update(my_task._add_child(spec, TaskState.FUTURE))

    def update_task(self, my_task: Token) -> None:
        """Firing is done by `has_fired`."""


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


class Events(EventManager):
    """Finds who catches an event inside one instance."""

    tasks: dict[Any, Token]

    def raise_event(self, event: Any, source: Token) -> None:
        """Hand an error, escalation or cancellation to the activities around *source*, innermost first.

        Raises:
            CannotGoOn: nothing catches an error. An escalation that nothing catches is no failure.
        """
        if self.catch_outside(event, source.workflow):
            return
        if isinstance(event.event_definition, Error):
            code = event.event_definition.code or event.event_definition.name
            raise CannotGoOn("uncaught-error", f"the error {code} is caught by nothing around it")

    def catch_at(self, event: Any, activity: Token) -> bool:
        """Let a boundary event of that activity take it; one for its code goes before one for any."""
        body = activity
        while body.triggered and body.parent is not None:  # a run of a loop: the events hang on its body
            body = body.parent
        if body.parent is None or not hasattr(body.parent.task_spec, "event_type"):
            return False
        beside = [token for token in body.parent.children if isinstance(token.task_spec, BoundaryEvent)]
        caught = [token for token in beside if token.id in self.tasks and token.task_spec.catches(token, event)]
        if not caught:
            return False
        self._take(min(caught, key=_catches_any), event)
        return True

    def catch_outside(self, event: Any, scope: Any) -> bool:
        while scope.parent_task_id is not None:
            if self.catch_at(event, scope.host):
                return True
            scope = scope.host.workflow
        return False

    def catch(self, event: Any, internal: bool = True) -> int:
        """A message or signal: everybody who waits for it takes it. Returns how many."""
        takers = [t for t in self.tasks.values() if t.task_spec.catches(t, event)]
        if internal and (not takers or isinstance(event.event_definition, Signal)):
            self.workflow.bpmn_events.append(event)
        for token in takers:
            self._take(token, event)
        return len(takers)

    def due_tokens(self) -> list[Token]:
        """Tokens whose time has come, the one due first in front."""
        times = [(due, token.arrival, token) for token in self.tasks.values() for _, due in due_times(token)]
        due = [item for item in times if item[0] <= self.workflow.now]
        return [token for _, _, token in sorted(due, key=lambda item: item[:2])]

    def _take(self, token: Token, event: Any) -> None:
        token.task_spec.catch(token, event)
        self.workflow.guarded_update(token)


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


def _catches_any(token: Token) -> bool:
    return getattr(token.task_spec.event_definition, "code", None) is None
