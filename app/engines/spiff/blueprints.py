"""The stored form of a parsed process: made once at deployment, loaded once per process that runs its instances.

The bytes are ours: a version byte, then msgpack of what SpiffWorkflow's converters give, with everything that the
process calls. Loading restores them into the classes of `nodes`, `joins`, `loops` and `events`.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import msgspec

from app.core.errors import DamsError
from app.engines.spiff import events, happenings, joins, loops, nodes
from app.engines.spiff.library import (
    CONVERTERS,
    DefinitionConverter,
    LoopTask,
    ProcessSpec,
    Registry,
    Serializer,
    control,
    definitions,
    elements,
)
from app.engines.spiff.normaliser import MARK, file_id

VERSION = 1
_UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a version to the next one, for specifications stored by an older release."""

_OURS: dict[type, type] = {
    ProcessSpec: nodes.ProcessSpec,
    control.BpmnStartTask: nodes.Begin,
    control.SimpleBpmnTask: nodes.Internal,
    control._EndJoin: joins.EndJoin,
    control.BoundaryEventSplit: nodes.BoundarySplit,
    control.BoundaryEventJoin: joins.BoundaryJoin,
    control.StartEventSplit: nodes.StartSplit,
    control.StartEventJoin: joins.StartJoin,
    elements.NoneTask: nodes.PlainTask,
    elements.UserTask: nodes.UserTask,
    elements.ManualTask: nodes.ManualTask,
    elements.ScriptTask: nodes.ScriptTask,
    elements.ExclusiveGateway: nodes.ExclusiveGateway,
    elements.InclusiveGateway: joins.InclusiveGateway,
    elements.ParallelGateway: joins.ParallelGateway,
    elements.StandardLoopTask: loops.StandardLoop,
    elements.ParallelMultiInstanceTask: loops.ParallelMultiInstance,
    elements.SequentialMultiInstanceTask: loops.SequentialMultiInstance,
    elements.SubWorkflowTask: nodes.SubProcess,
    elements.CallActivity: nodes.CallActivity,
    elements.TransactionSubprocess: nodes.Transaction,
    elements.StartEvent: events.StartEvent,
    elements.EndEvent: events.EndEvent,
    elements.IntermediateCatchEvent: events.CatchEvent,
    elements.IntermediateThrowEvent: events.ThrowEvent,
    elements.BoundaryEvent: events.BoundaryEvent,
    elements.SendTask: events.SendTask,
    elements.ReceiveTask: events.ReceiveTask,
    elements.EventBasedGateway: events.EventGateway,
    definitions.NoneEventDefinition: happenings.Plain,
    definitions.TerminateEventDefinition: happenings.Terminate,
    definitions.CancelEventDefinition: happenings.Cancel,
    definitions.ErrorEventDefinition: happenings.Error,
    definitions.EscalationEventDefinition: happenings.Escalation,
    definitions.SignalEventDefinition: happenings.Signal,
    definitions.MessageEventDefinition: happenings.Message,
    definitions.ConditionalEventDefinition: happenings.Conditional,
    definitions.TimeDateEventDefinition: happenings.DateTimer,
    definitions.DurationTimerEventDefinition: happenings.DurationTimer,
    definitions.CycleTimerEventDefinition: happenings.CycleTimer,
    definitions.MultipleEventDefinition: happenings.Several,
}


_CONVERTERS: dict[type, Any] = {
    **CONVERTERS,
    events.Listener: CONVERTERS[elements.BoundaryEvent],
    happenings.Compensate: DefinitionConverter,
}


class ForeignForm(DamsError):
    """What was stored is not of a form this release can read"""

    code = "stored-form"


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """A process with all it calls, ready to run. Never written after loading, so threads may share it.

    ``names`` gives, by process, the order of its task specs: a saved state refers to them by number.
    """

    spec: Any
    subprocess_specs: dict[str, Any]
    names: dict[str, list[str]]
    numbers: dict[str, dict[str, int]]
    watches: bool
    """Whether any element waits for a condition on the data."""
    forks: bool
    """Whether an instance can ever have two tokens side by side."""


def store(parser: Any, process_id: str, file_ids: Mapping[str, str], *, coded: bool = False) -> bytes:
    """The stored form of one process. *file_ids* gives the file's id where a task spec has another one.

    A *coded* process tells its events as SpiffWorkflow does, and computes its conditions exactly.

    Raises SpiffWorkflow's `ValidationException` for what its parser cannot read.
    """
    used = parser.get_subprocess_specs(process_id, require_call_activity_specs=False)
    specs = {process_id: parser.get_spec(process_id), **{name: spec for name, spec in used.items() if spec is not None}}
    converted = {name: _convert(spec, file_ids) for name, spec in specs.items()}
    form = {"process": process_id, "specs": converted} | ({"coded": True} if coded else {})
    return bytes([VERSION]) + msgspec.msgpack.encode(form)


def load(content: bytes) -> LoadedSpec:
    """Reverse of `store`, also for the forms of older releases.

    Raises:
        ForeignForm: another program's or a newer release's bytes.
    """
    stored = _upgraded(content)
    names = {name: list(spec["task_specs"]) for name, spec in stored["specs"].items()}
    specs = {name: _restore(spec) for name, spec in stored["specs"].items()}
    if stored.get("coded"):
        _tell_all(specs[stored["process"]])
    numbers = {name: {task: number for number, task in enumerate(order)} for name, order in names.items()}
    watches = any(task.watches for spec in specs.values() for task in spec.task_specs.values())
    forks = any(_forks(task) for spec in specs.values() for task in spec.task_specs.values())
    return LoadedSpec(specs[stored["process"]], specs, names, numbers, watches, forks)


def sources(content: bytes) -> Iterator[str]:
    """Every text of a stored process that may be a script or an expression: all that is more than one word.

    Raises:
        ForeignForm: as `load`.
    """
    todo: list[Any] = [_upgraded(content)["specs"]]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            todo += reversed(cast("dict[str, Any]", one).values())
        elif isinstance(one, list):
            todo += reversed(cast("list[Any]", one))
        elif isinstance(one, str) and not one.isidentifier():
            yield one


def _forks(task: Any) -> bool:
    chooses = isinstance(task, nodes.ExclusiveGateway | events.EventGateway)
    return (len(task.outputs) > 1 and not chooses) or isinstance(task, loops.ParallelMultiInstance)


def _upgraded(content: bytes) -> dict[str, Any]:
    version = content[0] if content else 0
    if version != VERSION and version not in _UPGRADES:
        raise ForeignForm(f"The stored process has form {version}; this release reads forms up to {VERSION}.")
    try:
        stored = cast("dict[str, Any]", msgspec.msgpack.decode(content[1:]))
        while version != VERSION:
            stored, version = _UPGRADES[version](stored), version + 1
        _ = stored["process"], stored["specs"].items()
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise ForeignForm("The stored process cannot be read.") from error
    return stored


@lru_cache(maxsize=1)
def _stock() -> Any:
    return Serializer.configure(_CONVERTERS)


@lru_cache(maxsize=1)
def _registry() -> Any:
    """SpiffWorkflow's converters under its names for the types, but making our classes."""
    registry = Registry()
    for stock, converter in _CONVERTERS.items():
        converter(_OURS.get(stock, stock), registry, stock.__name__)
    return registry


def _convert(spec: Any, file_ids: Mapping[str, str]) -> dict[str, Any]:
    converted = _stock().convert(spec)
    converted["file"] = None  # the name of the uploaded file says nothing at run time
    converted["further"] = getattr(spec, "further", {})
    for name, task in converted["task_specs"].items():
        own = task["bpmn_id"]
        task["bpmn_id"] = file_ids[own] if own in file_ids else file_id(own)
        task["further"] = getattr(spec.task_specs[name], "further", {})
        task.pop("extensions", None)
    return converted


def _restore(stored: dict[str, Any]) -> Any:
    further = {name: task.pop("further", {}) for name, task in stored["task_specs"].items()}
    spec_further = stored.pop("further", {})
    spec = _registry().restore(stored)
    spec.end = spec.task_specs[f"{spec.name}.EndJoin"]  # the base class leaves its own, discarded one
    vars(spec).update(spec_further)
    for name, task in spec.task_specs.items():
        vars(task).update(further[name])
        body = isinstance(task, LoopTask)
        task.trace_id = None if body else task.bpmn_id
        task.shown_id = task.bpmn_id or (name.partition(MARK)[0] if MARK in name else None)
        task.watches = _asks_conditions(task)
        task.remembers = task.remembers or task.undone_by is not None
        task.is_plain = isinstance(getattr(task, "event_definition", None), happenings.Plain)
        if isinstance(task, events.BoundaryEvent | events.Listener):
            task.settle()
        if isinstance(task, joins.InclusiveGateway):
            task.reach = joins.reachable(task, spec.task_specs)
    return spec


def _tell_all(spec: Any) -> None:
    for task in spec.task_specs.values():
        task.tells_all = True
        if isinstance(task, nodes.ExclusiveGateway):
            task.cond_task_specs = [(asked and nodes.Exactly(asked.args[0]), to) for asked, to in task.cond_task_specs]


def _asks_conditions(task: Any) -> bool:
    definition = getattr(task, "event_definition", None)
    several = definition.event_definitions if isinstance(definition, happenings.Several) else [definition]
    return any(isinstance(one, happenings.Conditional) for one in several)
