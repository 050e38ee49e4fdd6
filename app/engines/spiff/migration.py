"""Moves an instance onto another version of its process: the same tokens, on the elements that stand for the old ones.

What is done stays done. A token keeps its id, its data and its due time. Events beside a running activity or scope that
only the other version has begin to wait, those that it lacks end. What cannot be carried over exactly is refused.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.errors import Conflict
from app.engines.spiff import codec, happenings, joins, nodes
from app.engines.spiff.events import BoundaryEvent, Catching, Listener
from app.engines.spiff.library import LoopTask, TaskState
from app.engines.spiff.loops import StandardLoop
from app.engines.spiff.normaliser import MARK
from app.engines.spiff.scopes import Instance, SubScope
from app.engines.spiff.tokens import Token

_SPLIT = ".BoundaryEventSplit"
_AROUND = (".", " ", MARK)
"""What follows an element's id in the names of the task specs that stand around it."""
_MOST_TOLD = 20
"""Obstacles of one instance that are told; more only repeat them."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a token cannot be carried over: the element it stands on, what is wrong there and what to do."""

    element_id: str
    message: str
    fix: str


class NotMigrated(Conflict):
    """The instance cannot be moved to that version"""

    def __init__(self, obstacles: list[Obstacle]) -> None:
        first = obstacles[0]
        super().__init__(f"{first.element_id}: {first.message}; {first.fix}.")
        self.obstacles = obstacles


def move(before: Instance, after: Instance, mapping: Mapping[str, str]) -> None:
    """Fill the empty instance *after* with the tokens of *before*. *mapping* names elements whose id is another one.

    Raises:
        NotMigrated: a token would be lost, or would mean something else.
    """
    _Crossing(before, after, mapping).run()


class _Crossing:
    """One instance on its way; ``placed`` holds the new token by the id of the old one, which is its own too."""

    def __init__(self, before: Instance, after: Instance, mapping: Mapping[str, str]) -> None:
        self.before, self.after, self.mapping = before, after, mapping
        self.placed: dict[UUID, Token] = {}
        self.tokens: list[Token] = []
        self.obstacles: list[Obstacle] = []

    def run(self) -> None:
        pairs: list[tuple[Any, Any, dict[str, str]]] = []
        for old in self.before.scopes():
            new = self._scope(old)
            if new is not None:
                pairs.append((old, new, self._fill(old, new)))
        if self.obstacles:
            raise NotMigrated(self.obstacles[:_MOST_TOLD])
        self.after.idle_steps = self.before.idle_steps
        self.after.failures = {
            token_id: failure for token_id, failure in self.before.failures.items() if token_id in self.placed
        }
        codec.index(self.after, self.tokens)
        for old, new, names in pairs:
            if not new.completed:
                self._listen(old, new, names)
                self._settle_joins(old, new)
        if self.obstacles:
            raise NotMigrated(self.obstacles[:_MOST_TOLD])

    def _refuse(self, spec: Any, message: str, fix: str) -> None:
        one = Obstacle(str(spec.shown_id or spec.name), message, fix)
        if one not in self.obstacles:
            self.obstacles.append(one)

    def _scope(self, old: Any) -> Any | None:
        if old is self.before:
            new: Any = self.after
        else:
            host = self.placed.get(old.host.id)
            if host is None:
                return None  # its activity is refused already
            if host.task_spec.spec not in self.after.subprocess_specs:
                self._refuse(
                    host.task_spec, f"it would call {host.task_spec.spec}, which is not there", "deploy both together"
                )
                return None
            new = SubScope(self.after.subprocess_specs[host.task_spec.spec], host, self.after)
            self.after.subprocesses[host.id] = new
        new.success, new.completed, new.data, new.correlations = old.success, old.completed, old.data, old.correlations
        return new

    def _fill(self, old: Any, new: Any) -> dict[str, str]:
        """Put the tokens of one scope into its successor; the names of its task specs by their old ones."""
        names = _renamed(old.spec, new.spec, self.mapping)
        for token in old.tasks.values():
            if not token._state & TaskState.PREDICTED_MASK:
                self._place(token, old, new, names)
        new.task_tree, new.kept = next(iter(new.tasks.values())), len(new.tasks)
        return names

    def _place(self, token: Token, old: Any, new: Any, names: Mapping[str, str]) -> None:
        spec = new.spec.start if token is old.task_tree else new.spec.task_specs.get(names[token.task_spec.name])
        parent = self.placed.get(token._parent) if token._parent is not None else None
        fits = spec is not None and (token is old.task_tree or _alike(token, spec))
        if token.unfinished():
            if not fits or (_waits_beside(token) and parent is not None and spec not in parent.task_spec.outputs):
                if not (_waits_beside(token) or isinstance(token.task_spec, joins.BoundaryJoin | joins.StartJoin)):
                    self._refuse_place(token, spec, names)
                return
            if isinstance(spec, joins.ParallelGateway | joins.InclusiveGateway):
                self._check_arrival(token, spec, names)
            parent = self._split(new, spec, token, parent)
        elif not fits:
            spec = new.spec.start  # what is over is only asked for its data and what came from it
        copy = Token(new, spec, parent, TaskState.MAYBE, token.id)
        copy._state, copy.arrival = token._state, token.arrival
        copy.triggered, copy.hidden = token.triggered, token.hidden
        copy.data = token.data
        copy.internal_data = self._remembered(token.internal_data, old.spec, new.spec, names)
        self.placed[token.id] = copy
        self.tokens.append(copy)

    def _split(self, scope: Any, spec: Any, token: Token, parent: Token | None) -> Token | None:
        """The element in front of an activity whose first boundary events only the new version has."""
        split = scope.spec.task_specs.get(spec.name + _SPLIT)
        if split is None or token.triggered or (parent is not None and parent.task_spec is split):
            return parent
        made = Token(scope, split, parent, TaskState.COMPLETED)
        made.data = parent.data if parent is not None else token.data
        self.tokens.append(made)
        return made

    def _refuse_place(self, token: Token, spec: Any, names: Mapping[str, str]) -> None:
        own, fix = token.task_spec, "map it to an element of the same kind"
        wanted = names[own.name]
        if spec is not None and type(own) is type(spec):
            message = "in the new version it waits for something else or repeats otherwise"
            fix = "let the instance pass it first"
        elif spec is not None:
            message = f"it is {_kind(own)}, and {spec.shown_id or spec.name} is {_kind(spec)}"
        elif any(wanted in other.task_specs for other in self.after.subprocess_specs.values()):
            message, fix = "it stands in another scope in the new version", "let the instance pass it first"
        else:
            message = "the new version does not have it"
        self._refuse(own, message, fix)

    def _check_arrival(self, token: Token, spec: Any, names: Mapping[str, str]) -> None:
        if token._state != TaskState.WAITING:
            return
        source = token.parent.task_spec.name if token.parent is not None else ""
        if len(spec._inputs) < 2:
            self._refuse(token.task_spec, "a token waits at it for others, and it joins nothing now", "keep the join")
        elif names.get(source) not in spec._inputs:
            message = f"a token waits at it that came from {source}, from where no flow leads to it now"
            self._refuse(token.task_spec, message, "keep the flow")

    def _remembered(self, data: dict[str, Any], old: Any, new: Any, names: Mapping[str, str]) -> dict[str, Any]:
        """What is kept with a token, in names of the other version: what can be undone, what a gateway has counted."""
        kept = dict(data)
        if isinstance(kept.get("done"), list):  # the body of a loop counts its turns under this name
            kept["done"] = [self._record(one, old, new, names) for one in kept["done"]]
        if "undo" in kept:
            left = [self._record(one, old, new, names) for one in kept["undo"]["left"]]
            kept["undo"] = {**kept["undo"], "left": left}
        if "gone_on" in kept:
            gone = {names[gateway]: sources for gateway, sources in kept["gone_on"].items()}
            kept["gone_on"] = {
                gateway: [names[one] for one in sources]
                for gateway, sources in gone.items()
                if gateway in new.task_specs
            }
        return kept

    def _record(self, record: list[Any], old: Any, new: Any, names: Mapping[str, str]) -> list[Any]:
        """A record of something that can be undone (see `compensation`), for the specification *new* of its scope."""
        name, inner, data = record
        was, now = old.task_specs[name], new.task_specs.get(names[name])
        if type(now) is not type(was) or (was.undone_by is None) != (now.undone_by is None):
            self._refuse(was, "what was done there could no longer be undone", "keep it and what compensates it")
        elif inner and now.spec in self.after.subprocess_specs:
            within, there = self.before.subprocess_specs[was.spec], self.after.subprocess_specs[now.spec]
            renamed = _renamed(within, there, self.mapping)
            inner = [self._record(one, within, there, renamed) for one in inner]
        return [names[name], inner, data]

    def _listen(self, old: Any, new: Any, names: Mapping[str, str]) -> None:
        """Let events wait that only the new version has beside what runs."""
        for split in [t for t in list(new.tasks.values()) if isinstance(t.task_spec, nodes.BoundarySplit)]:
            children = split.children
            runs = any(t.unfinished() and not isinstance(t.task_spec, BoundaryEvent) for t in children)
            have = {t.task_spec.name for t in children}
            if runs and not split.unfinished():
                missing = [s for s in split.task_spec.outputs if isinstance(s, BoundaryEvent) and s.name not in have]
                self._begin(new, split, missing)
        known = {names[name] for name, spec in old.spec.task_specs.items() if isinstance(spec, Listener)}
        present = {t.task_spec.name for t in new.frontier.values()}
        wanted = [s for s in new.spec.start.outputs if s.aside and s.name not in present]
        begins = new.task_tree._state != TaskState.READY  # else it makes its listeners itself
        self._begin(new, new.task_tree, [s for s in wanted if begins and s.name not in known])

    def _begin(self, scope: Any, parent: Token, specs: list[Any]) -> None:
        for spec in specs:
            self.after.guarded_update(Token(scope, spec, parent, TaskState.FUTURE))

    def _settle_joins(self, old: Any, new: Any) -> None:
        """A join whose last empty flow is gone goes on; one that would now wait for ever is refused."""
        for token in [t for t in new.frontier.values() if isinstance(t.task_spec, joins.ParallelGateway)]:
            if token._state == TaskState.WAITING:
                self.after.guarded_update(token)
        stuck = _stuck(old)
        for token in _stuck(new).values():
            if token.id not in stuck:
                message = "it would wait for a flow that no token can take any more"
                self._refuse(token.task_spec, message, "keep the ways to it")


def _stuck(scope: Any) -> dict[UUID, Token]:
    """The tokens at parallel joins that wait for a flow which no other token can reach."""
    found: dict[UUID, Token] = {}
    for token in scope.frontier.values():
        spec = token.task_spec
        if isinstance(spec, joins.ParallelGateway) and token._state == TaskState.WAITING:
            reach = joins.reachable(spec, scope.spec.task_specs)
            others = [t for t in scope.frontier.values() if t.task_spec is not spec]
            coming = {name for t in others for name in reach.get(t.task_spec.name, ())}
            here = {joins.came_from(t) for t in scope.frontier.values() if t.task_spec is spec}
            if set(spec._inputs) - here - coming:
                found[token.id] = token
    return found


def _renamed(old: Any, new: Any, mapping: Mapping[str, str]) -> dict[str, str]:
    """The names of all task specs of one process by their old ones, those that stand around an element included."""
    ids = {spec.bpmn_id for spec in old.task_specs.values()} | {
        name.partition(MARK)[0] for name in old.task_specs if MARK in name
    }
    longest = sorted((one for one in ids if one), key=len, reverse=True)
    found: dict[str, str] = {}
    for name in old.task_specs:
        own = next(
            (one for one in longest if name == one or name.startswith(tuple(one + mark for mark in _AROUND))), ""
        )
        found[name] = mapping.get(own, own) + name[len(own) :]
    found |= {old.start.name: new.start.name, old.end.name: new.end.name}
    return found


def _waits_beside(token: Token) -> bool:
    """Whether it waits for an event beside what runs; one that has come is not given up."""
    beside = isinstance(token.task_spec, BoundaryEvent | Listener) and not token.triggered
    return beside and token._state != TaskState.READY


def _alike(token: Token, spec: Any) -> bool:
    """Whether *token* means the same on the element *spec*."""
    own = token.task_spec
    if type(own) is not type(spec) or (own.job is None) != (spec.job is None):
        return False
    if isinstance(own, Catching) and own.job is None and _events(own) != _events(spec):
        return False
    if isinstance(own, BoundaryEvent | Listener) and own.cancel_activity != spec.cancel_activity:
        return False
    if isinstance(own, LoopTask) and not isinstance(own, StandardLoop) and _runs(own) != _runs(spec):
        return False
    local = "local" in token.internal_data
    return not local or {name for name, _, _ in own.takes} == {name for name, _, _ in spec.takes}


def _events(spec: Any) -> list[Any]:
    definition = spec.event_definition
    if isinstance(definition, happenings.Several):
        return [definition.parallel, *(type(one) for one in definition.event_definitions)]
    return [type(definition)]


def _runs(spec: Any) -> list[bool]:
    return [spec.data_input is None, spec.data_output is None]


def _kind(spec: Any) -> str:
    name = type(spec).__name__
    return ("an " if name[0] in "AEIO" else "a ") + name[0].lower() + name[1:]
