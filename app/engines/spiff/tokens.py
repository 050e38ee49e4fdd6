"""A token of a running flow: SpiffWorkflow's `Task` without what makes it slow or unsafe in a long instance.

Differences from the base class: ids sort by time, a state change builds no log record but tells the scope (which
keeps an index), nothing recurses, and values are never changed in place, so parent and child may share them.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from app.core.ids import uuid7
from app.engines.spiff.library import Task, TaskState
from app.engines.spiff.values import merge

if TYPE_CHECKING:
    from app.engines.spiff.scopes import Scope

UNFINISHED = TaskState.FUTURE | TaskState.WAITING | TaskState.READY | TaskState.STARTED
"""States of a token that still has something to do. Predicted states never outlive the run of their parent."""
REACHED = TaskState.WAITING | TaskState.READY | TaskState.STARTED


class Token(Task):
    """One visit of one element. ``arrival`` orders tokens by when they became unfinished, over the whole instance."""

    def __init__(
        self,
        workflow: Scope,
        task_spec: Any,
        parent: Token | None = None,
        state: int = TaskState.MAYBE,
        id: UUID | None = None,  # noqa: A002 - the base class's name
    ) -> None:
        # Not the base class's: it draws a random id and reads the clock for each of a thousand tokens.
        self.id: UUID = id or uuid7()
        self.workflow: Any = workflow
        self.task_spec: Any = task_spec
        self._parent: UUID | None = parent.id if parent is not None else None
        self._children: list[UUID] = []
        self._state: int = state
        self.triggered = False
        self.hidden = False
        """It shows in no trace: a finished sub-process that is reopened to undo what was done in it."""
        self.thread_id = 0
        self.data: dict[str, Any] = {}
        self.internal_data: dict[str, Any] = {}
        self.last_state_change = 0
        self.arrival = 0
        workflow.tasks[self.id] = self
        if parent is not None:
            parent._children.append(self.id)
        if state & UNFINISHED:
            workflow.moved(self, TaskState.MAYBE, state)

    @property
    def parent(self) -> Token | None:
        """The token this one came from; None for the first of a scope."""
        return cast("Token | None", self.workflow.tasks.get(self._parent))

    @property
    def children(self) -> list[Token]:
        """The tokens that came from this one and are still kept."""
        tasks = self.workflow.tasks
        return [tasks[child] for child in self._children]

    def unfinished(self) -> bool:
        return self._state & UNFINISHED != 0

    def _add_child(self, task_spec: Any, state: int = TaskState.MAYBE) -> Token:
        token = Token(self.workflow, task_spec, self, TaskState.FUTURE if state == TaskState.READY else state)
        if state == TaskState.READY:
            token._ready()
        return token

    def _set_state(self, value: int) -> None:
        before = self._state
        if value != before:
            self._state = value
            self.workflow.moved(self, before, value)

    def _ready(self) -> None:
        if not self._state & TaskState.FINISHED_MASK:
            self._set_state(TaskState.READY)
            self.task_spec._on_ready(self)

    def _inherit_data(self) -> None:
        parent = self.parent
        if parent is not None:
            self.data = merge(self.data, parent.data) if self.data else dict(parent.data)

    def set_data(self, **kwargs: Any) -> None:
        self.data = {**self.data, **kwargs}

    def find_ancestor(self, spec_name: str) -> Token | None:
        """The nearest token before this one at the element of that name."""
        token = self.parent
        while token is not None and token.task_spec.name != spec_name:
            token = token.parent
        return token

    def is_descendant_of(self, task: Token) -> bool:
        token = self.parent
        while token is not None and token is not task:
            token = token.parent
        return token is not None

    def cancel(self) -> None:
        """Take the token and all that came from it and is unfinished out of the flow, innermost first."""
        tokens, below = [cast("Token", self)], 0
        while below < len(tokens):
            tokens.extend(tokens[below].children)
            below += 1
        for token in reversed(tokens):
            if token.unfinished():
                token.task_spec._on_cancel(token)
                token._set_state(TaskState.CANCELLED)
            elif token._state & TaskState.PREDICTED_MASK:
                self.workflow._remove_task(token.id)

    def run(self) -> bool | None:
        """Execute the element. What goes wrong comes out as an exception and leaves the state as it was."""
        self.task_spec.foresee(self)
        result = self.task_spec._run(self)
        if result is None:
            self._set_state(TaskState.STARTED)
        else:
            self.complete()
        return result

    def step_back(self, data: dict[str, Any]) -> None:
        """After a run that failed: as it was before it, with *data*, so that it can be run again."""
        for child in self.children:
            if not child.triggered:
                child.cancel()
                self.workflow._remove_task(child.id)
        self.data = data
        self._set_state(TaskState.READY)
