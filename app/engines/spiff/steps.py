"""Steps of an instance, in process: start it, complete a task, let it go on, hand it an event.

Every function takes the saved state and gives an `Outcome` with the next one. Nothing is shared between calls but the
loaded specification, so any thread may run any instance; keeping two steps of one instance apart is the store's part.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.errors import Conflict, Invalid, NotFound
from app.core.metrics import STEPS
from app.core.settings import settings
from app.engines.spiff import codec, happenings, mapping, migration, reading, sharing, values
from app.engines.spiff.blueprints import LoadedSpec
from app.engines.spiff.library import Event, TaskState
from app.engines.spiff.nodes import CannotGoOn
from app.engines.spiff.outcome import Bounds, NamedEvent, Outcome, Waiting
from app.engines.spiff.pruning import overgrown, prune
from app.engines.spiff.sandbox import BpmnErrorRaised, sandbox
from app.engines.spiff.scopes import Failure, Instance
from app.engines.spiff.scripting import ScriptEngine, check_total, failure_of
from app.engines.spiff.tokens import Token
from app.engines.spiff.values import BadVariable


def start(
    spec: LoadedSpec, variables: Mapping[str, Any], *, bounds: Bounds, now: datetime, at: str | None = None
) -> Outcome:
    """Make an instance and run it to its first wait; *at* is the id of the start event, None for the plain one.

    Raises:
        Invalid: a variable that cannot be kept, by name.
    """
    _check_given(variables, bounds)
    instance = _new(spec, bounds, now)
    instance.plant()
    instance.task_tree.data = dict(variables)
    instance.task_tree.internal_data = {"start": at} if at else {}
    instance.task_tree.run()
    return _run(instance)


def complete(
    spec: LoadedSpec, state: bytes, task_id: UUID, given: Mapping[str, Any], *, bounds: Bounds, now: datetime
) -> Outcome:
    """Complete an open user or manual task with the values *given* and run on to the next wait.

    Raises:
        Conflict: the task is not open in this state.
        Invalid: a value that cannot be kept, by name.
    """
    _check_given(given, bounds)
    instance = _load(spec, state, bounds, now)
    token = instance.get_task_from_id(task_id)
    if token is None or token._state != TaskState.READY or not token.task_spec.manual:
        raise Conflict("This task is not open any more.")
    sharing.catch_up(token)
    data = _merged(token.data, given, bounds)
    instance.failures.pop(token.id, None)
    instance.idle_steps = 0
    before, token.data = token.data, data
    instance.keep_changes(token, before)
    _step(instance, token)
    instance.watch()
    return _run(instance)


def proceed(spec: LoadedSpec, state: bytes, *, bounds: Bounds, now: datetime) -> Outcome:
    """Fire the timers that are due at *now*, in due order, and run on, also from where a bound stopped."""
    instance = _load(spec, state, bounds, now)
    run = _Budget(instance.bounds)
    _drive(instance, run)
    for token in instance.event_manager.due_tokens():
        if token._state == TaskState.WAITING and not run.spent():
            instance.guarded_update(token)
            _drive(instance, run)  # what one timer does may end the wait of the next
    return _run(instance, run)


def retry(
    spec: LoadedSpec,
    state: bytes,
    task_id: UUID | None,
    variables: Mapping[str, Any],
    *,
    bounds: Bounds,
    now: datetime,
) -> Outcome:
    """Run an element that failed again, with *variables* corrected; None for all that failed.

    Raises:
        NotFound: nothing failed there.
        Invalid: a value that cannot be kept, by name.
    """
    _check_given(variables, bounds)
    instance = _load(spec, state, bounds, now)
    failed = [task_id] if task_id is not None else list(instance.failures)
    for one in failed:
        token = instance.get_task_from_id(one)
        if token is None or instance.failures.pop(one, None) is None:
            raise NotFound("There is no incident at this element any more.")
        instance.idle_steps = 0
        _correct(token, variables, bounds)
        if token._state == TaskState.READY:
            if not token.task_spec.manual:
                instance.enqueue(token)
        else:
            instance.guarded_update(token)
    return _run(instance)


def deliver(spec: LoadedSpec, state: bytes, event: NamedEvent, *, bounds: Bounds, now: datetime) -> Outcome:
    """Hand a message or signal to whoever waits for it and run on.

    Raises:
        Conflict: nothing in this instance waits for it, or not with this correlation.
        Invalid: a value of the payload that cannot be kept, by name.
    """
    _check_given(event.payload, bounds)
    instance = _load(spec, state, bounds, now)
    definition = happenings.Signal(event.name) if event.kind == "signal" else happenings.Message(event.name)
    told = Event(definition, dict(event.payload))
    takers = [
        token
        for token in instance.event_manager.tasks.values()
        if token.task_spec.catches(token, told) and _correlates(token, event.correlation)
    ]
    if not takers:
        raise Conflict(f"Nothing here waits for the {event.kind} {event.name}.")
    instance.idle_steps = 0
    for token in takers if event.kind == "signal" else takers[:1]:
        token.task_spec.catch(token, told)
        instance.guarded_update(token)
    return _run(instance)


def answer(
    spec: LoadedSpec, state: bytes, task_id: UUID, result: Any, *, bounds: Bounds, now: datetime
) -> Outcome | None:
    """Give a service task the *result* of its job and run on; None if it does not wait for one any more.

    A result that is no object is the variable `result`, or the one that the task names. With output parameters only
    what they compute is kept; a result that cannot be kept is an incident at the task.
    """
    instance, token = _of_job(spec, state, task_id, bounds, now)
    if token is None:
        return None
    job = token.task_spec.job
    named = {job["result"] or "result": result} if job["result"] or not isinstance(result, dict) else result
    before = token.data
    try:
        values.check(named, bounds.variable_bytes)
        if job["outputs"]:
            named = mapping.mapped(token, job["outputs"], {**token.data, **named}, {})
        check_total({**before, **named}, bounds.instance_bytes)
    except Exception as error:  # noqa: BLE001 - any defect of a model or result is an incident, never a lost step
        instance.fail(token, failure_of(error))
        return _run(instance)
    token.task_spec.catch(token, Event(token.task_spec.event_definition, named))
    instance.guarded_update(token)
    return _run(instance)


def refuse(
    spec: LoadedSpec, state: bytes, task_id: UUID, code: str, message: str, *, bounds: Bounds, now: datetime
) -> Outcome | None:
    """Tell a service task that its job failed; None if nothing in the model catches the error *code* there."""
    instance, token = _of_job(spec, state, task_id, bounds, now)
    if token is None or not _caught(instance, token, BpmnErrorRaised(code, message)):
        return None
    return _run(instance)


def migrate(
    old: LoadedSpec, new: LoadedSpec, state: bytes, elements: Mapping[str, str], *, bounds: Bounds, now: datetime
) -> Outcome:
    """The instance on another version of its process, where it stands; *elements* names those with another id there.

    Raises:
        NotMigrated: a token would be lost or would mean something else.
    """
    instance = _new(new, bounds, now)
    migration.move(_load(old, state, bounds, now), instance, elements)
    return reading.outcome(instance, unfinished=instance.requeue(instance.next_ready()), steps=0)


def waits(spec: LoadedSpec, state: bytes, *, bounds: Bounds, now: datetime) -> list[Waiting]:
    """What an instance waits for, with what its jobs are given."""
    return list(reading.waits(_load(spec, state, bounds, now)))


def _of_job(
    spec: LoadedSpec, state: bytes, task_id: UUID, bounds: Bounds, now: datetime
) -> tuple[Instance, Token | None]:
    instance = _load(spec, state, bounds, now)
    token = instance.event_manager.tasks.get(task_id)
    if token is None or token.task_spec.job is None:
        return instance, None
    instance.failures.pop(token.id, None)
    instance.idle_steps = 0
    return instance, token


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _new(spec: LoadedSpec, bounds: Bounds, now: datetime) -> Instance:
    instance = Instance(spec, ScriptEngine(sandbox()), bounds, now)
    instance.zone = _zone(settings().clinic.time_zone)
    return instance


def _load(spec: LoadedSpec, state: bytes, bounds: Bounds, now: datetime) -> Instance:
    instance = codec.decode(spec, state, ScriptEngine(sandbox()), bounds, now)
    instance.zone = _zone(settings().clinic.time_zone)
    return instance


def _check_given(data: Mapping[str, Any], bounds: Bounds) -> None:
    try:
        values.check(data, bounds.variable_bytes)
    except BadVariable as error:
        raise Invalid({error.name: error.message}) from error


def _merged(data: dict[str, Any], given: Mapping[str, Any], bounds: Bounds) -> dict[str, Any]:
    merged = values.merge(data, given)
    try:
        check_total(merged, bounds.instance_bytes)
    except BadVariable as error:
        raise Invalid({error.name: error.message}) from error
    return merged


def _correct(token: Token, variables: Mapping[str, Any], bounds: Bounds) -> None:
    token.data = _merged(token.data, variables, bounds)
    if token._state == TaskState.FUTURE and variables and token.parent is not None:
        token.parent.data = _merged(token.parent.data, variables, bounds)  # what it has yet to inherit


def _correlates(token: Token, correlation: Mapping[str, Any]) -> bool:
    return all(name in token.data and values.same(token.data[name], value) for name, value in correlation.items())


class _Budget:
    """What is left of the bounds of one call."""

    def __init__(self, bounds: Bounds) -> None:
        self.steps, self._bounds, self._deadline = 0, bounds, time.monotonic() + bounds.seconds

    def spent(self) -> bool:
        return self.steps >= self._bounds.steps or time.monotonic() >= self._deadline


@STEPS.time()
def _run(instance: Instance, budget: _Budget | None = None) -> Outcome:
    """Run on, and read the instance as it stands then."""
    budget = budget or _Budget(instance.bounds)
    _drive(instance, budget)
    unfinished = instance.requeue(instance.next_ready())
    if not unfinished:
        instance.idle_steps = 0
    return reading.outcome(instance, unfinished=unfinished, steps=budget.steps)


def _drive(instance: Instance, budget: _Budget) -> None:
    """Run what needs no person, one token at a time, until everything waits or a bound is reached."""
    limit = instance.bounds.steps_between_waits
    while not budget.spent():
        token = instance.next_ready()
        if token is None:
            return
        budget.steps += 1
        instance.idle_steps += 1
        if instance.idle_steps > limit:
            text = f"the flow took {limit} steps without waiting for anything"
            instance.fail(token, Failure("endless-loop", text, 0))
            continue
        _step(instance, token)
        if instance.watchers:
            instance.watch()


def _step(instance: Instance, token: Token) -> None:
    """Run one element; what goes wrong stays with it and its neighbours go on."""
    forks = instance.loaded.forks
    if forks:
        sharing.catch_up(token)
    before = token.data
    token.data = dict(before)
    try:
        token.run()
        if forks:
            instance.keep_changes(token, before)
    except BpmnErrorRaised as error:
        token.step_back(before)
        if not _caught(instance, token, error):
            instance.fail(token, failure_of(error))
    except Exception as error:  # noqa: BLE001 - any defect of a model or engine is an incident, never a lost step
        token.step_back(before)
        instance.fail(token, failure_of(error))
    if overgrown(token.workflow):
        prune(token.workflow)


def _caught(instance: Instance, token: Token, error: BpmnErrorRaised) -> bool:
    event = Event(happenings.Error(error.code, error.code), payload=dict(token.data), target=token.workflow)
    manager = instance.event_manager
    try:
        return (manager.catch_at(event, token) or manager.catch_outside(event, token.workflow)) is not None
    except CannotGoOn:
        return False
