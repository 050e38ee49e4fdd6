"""What an instance looks like from outside after a step: its open tasks, waits, incidents and data. Changes nothing."""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.engines.spiff import assignment, codec, happenings, values
from app.engines.spiff.events import JOB
from app.engines.spiff.library import TaskState
from app.engines.spiff.nodes import ManualTask
from app.engines.spiff.outcome import OpenTask, Outcome, Status, ThrownEvent, Waiting
from app.engines.spiff.scopes import Failure, Instance
from app.engines.spiff.tokens import Token


def outcome(instance: Instance, *, unfinished: bool, steps: int) -> Outcome:
    """Read the instance and write it down."""
    open_tasks, waiting = list(_open_tasks(instance)), list(waits(instance))
    if not (instance.completed or unfinished or open_tasks or waiting or instance.failures):
        _name_dead_end(instance)
    incidents = [instance.incident(token) for token in _failed(instance)]
    moves = unfinished or open_tasks or waiting
    status: Status = "completed" if instance.completed else "running" if moves else "failed"
    return Outcome(
        state=codec.encode(instance),
        status=status,
        variables=variables(instance),
        trace=instance.trace,
        open_tasks=open_tasks,
        waiting=waiting,
        incidents=incidents,
        unfinished=unfinished,
        events_out=[_thrown(event) for event in instance.get_events()],
        steps=steps,
    )


def variables(instance: Instance) -> dict[str, Any]:
    """The data as people see it: what the live tokens hold, the newest last; of a completed instance, its last data."""
    data = _final(instance) if instance.completed else instance.live_data(runs=True)
    return values.shown(data)


def _final(scope: Any) -> dict[str, Any]:
    objects = scope.data.get("data_objects") or {}
    return {**objects, **{name: value for name, value in scope.data.items() if name != "data_objects"}}


def _unfinished(instance: Instance) -> Iterator[Token]:
    for scope in instance.scopes():
        yield from scope.frontier.values()


def _open_tasks(instance: Instance) -> Iterator[OpenTask]:
    for token in _unfinished(instance):
        spec = token.task_spec
        if token._state == TaskState.READY and spec.manual:
            kind = "manualTask" if isinstance(spec, ManualTask) else "userTask"
            assigned = token.internal_data.get(assignment.KEPT, {})
            yield OpenTask(token.id, str(spec.shown_id), kind, values.shown(token.data), assigned)


def waits(instance: Instance) -> Iterator[Waiting]:
    """What it waits for; an element that failed waits for nothing but help."""
    for token in instance.event_manager.tasks.values():
        if token.id in instance.failures:
            continue
        element = str(token.task_spec.shown_id)
        for _, due in happenings.due_times(token):
            yield Waiting("timer", element, token.task_spec.bpmn_name or element, due, token.id)
        if token.task_spec.job is not None:
            given = values.shown(token.internal_data.get(JOB, {}))
            yield Waiting("job", element, token.task_spec.job["topic"], None, token.id, given)
            continue
        definition = token.task_spec.event_definition
        for one in definition.event_definitions if isinstance(definition, happenings.Several) else [definition]:
            if isinstance(one, happenings.Message):
                yield Waiting("message", element, one.name, None, token.id)
            elif isinstance(one, happenings.Signal):
                yield Waiting("signal", element, one.name, None, token.id)
            elif isinstance(one, happenings.Conditional):
                yield Waiting("conditional", element, token.task_spec.bpmn_name or element, None, token.id)


def _failed(instance: Instance) -> Iterator[Token]:
    return (token for token in _unfinished(instance) if token.id in instance.failures)


def _name_dead_end(instance: Instance) -> None:
    """Nothing stays running with nothing open, nothing waiting and no incident: say where the flow is stuck."""
    stuck = [token for token in _unfinished(instance) if token.task_spec.bpmn_id is not None]
    token = stuck[-1] if stuck else next(iter(instance.frontier.values()), instance.task_tree)
    instance.fail(token, Failure("stuck", "it waits for a flow that can no longer arrive", 0))


def _thrown(event: Any) -> ThrownEvent:
    kind = "signal" if isinstance(event.event_definition, happenings.Signal) else "message"
    return ThrownEvent(kind, event.event_definition.name)
