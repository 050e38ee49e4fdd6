"""The saved state of an instance: a version byte of our own, then msgpack. It holds neither the specification nor
anything predicted; each token's data is written as what differs from its parent's.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec

from app.engines.spiff import values
from app.engines.spiff.blueprints import ForeignForm, LoadedSpec
from app.engines.spiff.library import CatchingEvent, TaskState
from app.engines.spiff.outcome import Bounds
from app.engines.spiff.pruning import prune_instance
from app.engines.spiff.scopes import Failure, Instance, SubScope
from app.engines.spiff.tokens import Token

VERSION = 1
_UPGRADES: dict[int, Callable[[list[Any]], list[Any]]] = {}
"""From a version to the next one, for states saved by an older release. A test holds a state of every version."""
_TRIGGERED, _HIDDEN = 1, 2

# A state is [process, idle steps, scopes, failures]; a failure is [scope, row, code, message, line];
# a scope is [process, scope and row of its host or None, success, completed, data, correlations, rows];
# a row is [id, row of the parent or -1, number of the task spec, state, arrival, flags, internal, changed, removed].


def encode(instance: Instance) -> bytes:
    """Prune the instance and write it down.

    Raises:
        values.BadVariable: a variable of a type that could not be read back as it is.
    """
    prune_instance(instance)
    places: dict[UUID, tuple[int, int]] = {}
    scopes = [_scope(instance, scope, number, places) for number, scope in enumerate(instance.scopes())]
    failures = [[*places[own], one.code, one.message, one.line] for own, one in instance.failures.items()]
    return bytes([VERSION]) + values.pack([instance.spec.name, instance.idle_steps, scopes, failures])


def decode(loaded: LoadedSpec, state: bytes, engine: Any, bounds: Bounds, now: datetime) -> Instance:
    """The instance as it was saved, on a loaded specification.

    Raises:
        ForeignForm: the bytes are of another program, a newer release or another process.
    """
    process, idle_steps, scopes, failures = _upgraded(state)
    if process != loaded.spec.name:
        raise ForeignForm(f"The state is one of {process}, not of {loaded.spec.name}.")
    instance = Instance(loaded, engine, bounds, now)
    instance.idle_steps = idle_steps
    restored: list[list[Token]] = []
    for row in scopes:
        restored.append(_restore_scope(instance, row, restored))
    for scope, row, code, message, line in failures:
        instance.failures[restored[scope][row].id] = Failure(code, message, line)
    index(instance, [token for tokens in restored for token in tokens])
    return instance


def _upgraded(state: bytes) -> list[Any]:
    version = state[0] if state else 0
    if version != VERSION and version not in _UPGRADES:
        raise ForeignForm(f"The instance was saved in form {version}; this release reads forms up to {VERSION}.")
    try:
        content = cast("list[Any]", values.unpack(state[1:]))
        while version != VERSION:
            content, version = _UPGRADES[version](content), version + 1
        _, _, _, _ = content
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise ForeignForm("The saved instance cannot be read.") from error
    return content


def _scope(instance: Instance, scope: Any, number: int, places: dict[UUID, tuple[int, int]]) -> list[Any]:
    numbers = instance.loaded.numbers[scope.spec.name]
    rows: list[list[Any]] = []
    for row, token in enumerate(scope.tasks.values()):
        places[token.id] = (number, row)
        rows.append(_row(token, numbers, places))
    host = list(places[scope.host.id]) if isinstance(scope, SubScope) else None
    return [
        scope.spec.name,
        host,
        scope.success,
        scope.completed,
        values.wrap(scope.data),
        values.wrap(scope.correlations),
        rows,
    ]


def _row(token: Token, numbers: dict[str, int], places: dict[UUID, tuple[int, int]]) -> list[Any]:
    parent = token.parent
    before: dict[str, Any] = parent.data if parent is not None else {}
    data = token.data
    changed = {
        name: value for name, value in data.items() if name not in before or not values.same(before[name], value)
    }
    removed = [name for name in before if name not in data]
    if changed:
        values.check_types(changed)
    return [
        token.id.bytes,
        -1 if parent is None else places[parent.id][1],
        numbers[token.task_spec.name],
        token._state,
        token.arrival,
        (_TRIGGERED if token.triggered else 0) | (_HIDDEN if token.hidden else 0),
        values.wrap(token.internal_data) or None,
        values.wrap(changed) or None,
        removed or None,
    ]


def _restore_scope(instance: Instance, row: list[Any], restored: list[list[Token]]) -> list[Token]:
    name, host, success, completed, data, correlations, rows = row
    if host is None:
        scope: Any = instance
    else:
        owner = restored[host[0]][host[1]]
        scope = SubScope(instance.subprocess_specs[name], owner, instance)
        instance.subprocesses[owner.id] = scope
    scope.success, scope.completed, scope.data, scope.correlations = success, completed, data, correlations
    names, specs = instance.loaded.names[name], scope.spec.task_specs
    tokens: list[Token] = []
    for entry in rows:
        tokens.append(_restore_token(scope, entry, tokens, names, specs))
    scope.task_tree, scope.kept = tokens[0], len(tokens)
    return tokens


def _restore_token(scope: Any, entry: list[Any], tokens: list[Token], names: list[str], specs: Any) -> Token:
    own, above, number, state, arrival, flags, internal, changed, removed = entry
    parent: Token | None = tokens[int(above)] if above >= 0 else None
    token = Token(scope, specs[names[number]], parent, TaskState.MAYBE, UUID(bytes=own))
    token._state, token.arrival = state, arrival
    token.triggered, token.hidden = bool(flags & _TRIGGERED), bool(flags & _HIDDEN)
    token.internal_data = internal or {}
    token.data = {**(parent.data if parent is not None else {}), **(changed or {})}
    for name in removed or ():
        del token.data[name]
    return token


def index(instance: Instance, tokens: list[Token]) -> None:
    """Rebuild what is not saved of an instance with those *tokens*: frontier, onlookers, queue, waiting events."""
    unfinished = sorted((token for token in tokens if token.unfinished()), key=lambda token: token.arrival)
    for number, token in enumerate(unfinished, 1):
        scope, spec = token.workflow, token.task_spec
        token.arrival = number
        scope.frontier[token.id] = token
        if spec.looks_around:
            scope.onlookers[token.id] = token
        elif spec.aside and not token.triggered:
            scope.aside[token.id] = token
        if spec.watches and token._state == TaskState.WAITING:
            instance.watchers[token.id] = token
        if token._state == TaskState.READY and not spec.manual:
            instance.enqueue(token)
        elif token._state == TaskState.WAITING and isinstance(spec, CatchingEvent):
            instance.event_manager.add_task(token)
    instance.arrivals = len(unfinished)
