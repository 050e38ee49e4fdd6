"""Running scopes: a process instance and, inside it, its sub-processes and called processes.

SpiffWorkflow finds its next task by walking the whole tree; here each scope keeps its unfinished tokens in an index
(the frontier) and the instance a queue of those that can run, so a step costs the same however long the past is.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any
from uuid import UUID

from app.engines.spiff import sharing
from app.engines.spiff.library import Mixin, SubWorkflow, TaskState, Workflow
from app.engines.spiff.outcome import Bounds, Incident, TraceEntry
from app.engines.spiff.tokens import REACHED, UNFINISHED, Token

if TYPE_CHECKING:
    from app.engines.spiff.specs import LoadedSpec


class Scope(Mixin):
    """What both kinds of scope share. ``frontier`` holds the unfinished tokens by id, oldest first."""

    tasks: dict[UUID, Token]
    task_tree: Token
    spec: Any
    data: dict[str, Any]
    completed: bool
    success: bool
    last_task: Token | None
    correlations: dict[str, Any]
    data_objects: dict[str, Any]
    top_workflow: Instance
    depth: int

    def prepare(self) -> None:
        self.frontier: dict[UUID, Token] = {}
        self.onlookers: dict[UUID, Token] = {}
        """Unfinished tokens that look at others: joins and conditional events. They are asked after every step."""
        self.aside: dict[UUID, Token] = {}
        """Unfinished tokens that wait for events of the whole scope and do not keep it from ending."""
        self.kept = 0
        """Tokens left by the last pruning."""

    def plant(self) -> None:
        """Put the first token into a new scope."""
        self.task_tree = Token(self, self.spec.start, state=TaskState.FUTURE)
        self.task_tree._set_state(TaskState.READY)

    def moved(self, token: Token, before: int, after: int) -> None:
        """A token changed its state: keep the index, the queue and the trace."""
        if after & UNFINISHED:
            if not before & UNFINISHED:
                top = self.top_workflow
                top.arrivals += 1
                token.arrival = top.arrivals
                self.frontier[token.id] = token
                if token.task_spec.looks_around:
                    self.onlookers[token.id] = token
                elif token.task_spec.aside and not token.triggered:
                    self.aside[token.id] = token
            if after == TaskState.READY and not token.task_spec.manual:
                self.top_workflow.enqueue(token)
        elif before & UNFINISHED:
            self.frontier.pop(token.id, None)
            self.onlookers.pop(token.id, None)
            self.aside.pop(token.id, None)
            self.top_workflow.failures.pop(token.id, None)
            self.top_workflow.watchers.pop(token.id, None)
        if after == TaskState.WAITING and token.task_spec.watches:
            self.top_workflow.watchers[token.id] = token
        if token.task_spec.trace_id is not None and not token.hidden:
            self._trace(token, before, after)

    def has_enough(self, token: Token) -> bool:
        """Whether the completion condition of an ad-hoc sub-process holds, with what its live tokens have set."""
        data = {**self.live_data(), **token.data}
        return bool(self.script_engine.evaluate_on(data, self.spec.enough, token))

    def _trace(self, token: Token, before: int, after: int) -> None:
        spec, note = token.task_spec, self.top_workflow.note
        if spec.tells_all and after & REACHED:
            if not before & REACHED:
                note(spec.trace_id, "reached")
            if after == TaskState.READY:
                note(spec.trace_id, "ready")
        elif spec.momentary and not spec.tells_all:
            if after == TaskState.COMPLETED:
                note(spec.trace_id, "entered")
                note(spec.trace_id, "completed")
        elif after & REACHED:
            if (after == TaskState.READY) if spec.quiet else not before & REACHED:
                note(spec.trace_id, "entered")
        elif after == TaskState.COMPLETED:
            note(spec.trace_id, "completed")
        elif after == TaskState.CANCELLED and ((before == TaskState.READY) if spec.quiet else before & REACHED):
            note(spec.trace_id, "cancelled")

    def update_waiting_tasks(self) -> None:
        """A token has moved: may one of those that look at the others go on now?"""
        for token in list(self.onlookers.values()):
            if token._state == TaskState.WAITING:
                self.top_workflow.guarded_update(token)

    def _remove_task(self, task_id: UUID) -> None:
        token = self.tasks.pop(task_id)
        parent = token.parent
        if parent is not None:
            parent._children.remove(task_id)
        self.frontier.pop(task_id, None)
        self.onlookers.pop(task_id, None)
        self.aside.pop(task_id, None)
        self.top_workflow.failures.pop(task_id, None)
        self.top_workflow.watchers.pop(task_id, None)

    def live_data(self, *, runs: bool = False) -> dict[str, Any]:
        """What the live tokens hold, the newest last; what a called process works with is its own until it returns.

        So is what belongs to one run of a loop or multi-instance activity; *runs* shows that too.
        """
        data: dict[str, Any] = dict(self.data.get("data_objects") or {})
        for token in self.frontier.values():
            if token.task_spec.momentary or (sharing.is_run(token) and not runs):
                continue  # a momentary one waits with the data of the moment it began to
            data.update(token.data)
            inner = self.top_workflow.subprocesses.get(token.id)
            if inner is not None and not inner.completed and token.task_spec.shares_data:
                data.update(inner.live_data(runs=runs))
        return {**data, **sharing.latest(self)}

    def process(self) -> Any:
        """The process around: this scope itself unless it is a sub-process."""
        scope: Any = self
        while scope.parent_task_id is not None and scope.host.task_spec.shares_data:
            scope = scope.host.workflow
        return scope

    def visible_data(self, token: Token) -> dict[str, Any]:
        """What a condition sees: the token's data, and the last value any branch of the process has set."""
        return {**token.data, **sharing.latest(self)}

    def _mark_complete(self, task: Token) -> None:
        self.data.update(task.data)
        self.completed = True

    def cancel(self, success: bool = False) -> list[Token]:
        self.success, self.completed = success, True
        cancelled = list(self.frontier.values())
        for token in reversed(cancelled):
            if token.unfinished():
                token.cancel()
        return cancelled


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a token cannot go on; it stays where it is until somebody retries it."""

    code: str
    message: str
    line: int


class Instance(Scope, Workflow):
    """A process instance in memory, for one step. Not thread-safe; the spec it runs on is shared and never written."""

    def __init__(self, loaded: LoadedSpec, script_engine: Any, bounds: Bounds, now: datetime) -> None:
        from app.engines.spiff.events import Events  # the event classes know scopes

        self.loaded, self.bounds, self.now = loaded, bounds, now
        self.ready: list[tuple[int, int, Token]] = []
        self.failures: dict[UUID, Failure] = {}
        self.trace: list[TraceEntry] = []
        self.zone: tzinfo = UTC
        """Where times without a zone are meant."""
        self.arrivals = 0
        self.watchers: dict[UUID, Token] = {}
        """Tokens that wait for a condition on the data."""
        self.idle_steps = 0
        """Steps since the instance last waited for something."""
        self.prepare()
        super().__init__(loaded.spec, loaded.subprocess_specs, script_engine, deserializing=True)
        self.event_manager = Events(self)

    def note(self, element_id: str, event: Any) -> None:
        self.trace.append(TraceEntry(element_id, event))

    def enqueue(self, token: Token) -> None:
        heapq.heappush(self.ready, (token.task_spec.rank, token.arrival, token))

    def next_ready(self) -> Token | None:
        """The next token that needs no person: boundary events first, then in order of arrival."""
        while self.ready:
            token = heapq.heappop(self.ready)[2]
            if token._state == TaskState.READY and token.id not in self.failures and token.id in token.workflow.tasks:
                return token
        return None

    def requeue(self, token: Token | None) -> bool:
        """Put a token that `next_ready` gave back. Whether there was one."""
        if token is not None:
            self.enqueue(token)
        return token is not None

    def scopes(self) -> Iterator[Any]:
        yield self
        yield from self.subprocesses.values()

    def create_subprocess(self, my_task: Token, spec_name: str) -> SubScope:
        scope = SubScope(self.subprocess_specs[spec_name], my_task, self)
        self.subprocesses[my_task.id] = scope
        return scope

    def get_task_from_id(self, task_id: UUID) -> Token | None:
        """The token with that id in any scope."""
        for scope in self.scopes():
            if task_id in scope.tasks:
                return scope.tasks[task_id]
        return None

    def fail(self, token: Token, failure: Failure) -> None:
        self.failures[token.id] = failure
        if token.task_spec.shown_id is not None:
            self.note(token.task_spec.shown_id, "failed")

    def incident(self, token: Token) -> Incident:
        failure = self.failures[token.id]
        name = token.task_spec.shown_id or token.task_spec.name
        return Incident(name, token.id, failure.code, failure.message, failure.line)

    def keep_changes(self, token: Token, before: dict[str, Any]) -> None:
        """What a step has set while others run beside it counts for all of them, as variables of the process do."""
        sharing.keep(token, before, always=self.loaded.watches)

    def watch(self) -> None:
        """The data may have changed: ask the conditions that are waited for."""
        for token in list(self.watchers.values()):
            if token._state == TaskState.WAITING:
                self.guarded_update(token)

    def guarded_update(self, token: Token) -> None:
        """Let a token look whether it can go on; what goes wrong is a failure of that token alone."""
        from app.engines.spiff.scripting import failure_of  # it knows the sandbox, which this module need not

        if token.id in self.failures:
            return
        data = token.data
        try:
            token.task_spec._update(token)
        except Exception as error:  # noqa: BLE001 - any defect of a model or engine is an incident, never a lost step
            for child in token.children:
                child.cancel()
                token.workflow._remove_task(child.id)
            if token._state == TaskState.STARTED:
                token._set_state(TaskState.FUTURE)
            token.data = data
            self.fail(token, failure_of(error))


class SubScope(Scope, SubWorkflow):
    """A sub-process or called process inside an instance. ``host`` is the token of the activity that runs it."""

    def __init__(self, spec: Any, host: Token, top: Instance) -> None:
        self.host = host
        self.prepare()
        super().__init__(spec, host.id, top, deserializing=True)

    @property
    def parent_workflow(self) -> Any:
        return self.host.workflow

    @property
    def script_engine(self) -> Any:
        return self.top_workflow.script_engine

    def _task_completed_notify(self, task: Token) -> None:
        self.last_task = task
        if task.task_spec.name == "End":
            self._mark_complete(task)
        elif self.spec.enough is not None and task.task_spec.shown_id is not None and self.has_enough(task):
            self.cancel(success=True)
            self._mark_complete(task)
        if self.completed:
            self.host.task_spec._on_subworkflow_completed(self, self.host)
        else:
            self.update_waiting_tasks()
