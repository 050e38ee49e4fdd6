"""Undoing: which finished activities of a scope have something that undoes them, and running that, last one first.

A scope keeps what can be undone with its first token, which lives as long as the scope. A finished sub-process is
undone by its own compensation event sub-process, or else by undoing what was done inside it (BPMN 2.0.2, 13.5.5).
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.engines.spiff.library import LoopTask, TaskState
from app.engines.spiff.tokens import Token
from app.engines.spiff.values import merge

# A record of something that can be undone is [name of the activity's spec, records inside it or None, data or None].


def remember(token: Token) -> None:
    """A finished activity that can be undone is noted in its scope."""
    spec = token.task_spec
    if isinstance(spec, LoopTask):
        return  # each of its runs is noted by itself
    if spec.undone_by is not None:
        _note(token, [spec.name, None, None])
        return
    inner = token.workflow.top_workflow.subprocesses.get(token.id)
    if inner is None or not spec.shares_data:
        return
    records = inner.task_tree.internal_data.get("done", [])
    if records or inner.spec.undone_by is not None:
        _note(token, [spec.name, records, dict(token.data)])


def _note(token: Token, record: list[Any]) -> None:
    first = token.workflow.task_tree
    first.internal_data = {**first.internal_data, "done": [*first.internal_data.get("done", []), record]}


def is_over(token: Token, only: str | None) -> bool:
    """Begin to undo for the throwing *token*, if that has not been done; True if nothing is left to undo.

    Unless *only* names an activity, everything done in the token's scope is undone; thrown in an event sub-process
    also what was done in the scope around it.
    """
    if token.internal_data.get("undone"):
        return True
    owner = token
    records = _take(token.workflow, only)
    while not records and getattr(getattr(owner.workflow, "host", None), "task_spec", None) is not None:
        host = owner.workflow.host
        if not host.task_spec.event_sub:
            break
        owner = host
        records = _take(owner.workflow, only)
    if not records:
        return True
    owner.internal_data = {**owner.internal_data, "undo": {"left": records, "for": str(token.id)}}
    token._set_state(TaskState.STARTED)
    _next(owner, token)
    return False


def _take(scope: Any, only: str | None) -> list[Any]:
    """The records of a scope, which are undone once and then forgotten."""
    first = scope.task_tree
    records = first.internal_data.get("done", [])
    specs = scope.spec.task_specs
    wanted: list[Any] = []
    left: list[Any] = []
    for record in records:
        (wanted if only is None or specs[record[0]].bpmn_id == only else left).append(record)
    if wanted:
        first.internal_data = {**first.internal_data, "done": left}
    return wanted


def _next(owner: Token, thrower: Token) -> None:
    """Run what undoes the last record that is left."""
    undo = owner.internal_data["undo"]
    *left, (name, inner, data) = undo["left"]
    owner.internal_data = {**owner.internal_data, "undo": {**undo, "left": left}}
    scope = owner.workflow
    spec = scope.spec.task_specs[name]
    if spec.undone_by is not None:
        child = _child(owner, scope.spec.task_specs[spec.undone_by])
        child.data = dict(thrower.data)
        scope.top_workflow.guarded_update(child)
        return
    child = _child(owner, spec)
    child.hidden = True
    child.data = merge(data or {}, thrower.data)
    child._set_state(TaskState.STARTED)
    _reopen(child, inner)


def _child(owner: Token, spec: Any) -> Token:
    child = Token(owner.workflow, spec, owner, TaskState.FUTURE)
    child.triggered = True
    return child


def _reopen(host: Token, records: list[Any]) -> None:
    """A finished sub-process once more, not to run it but to undo what was done in it."""
    scope = host.workflow.top_workflow.create_subprocess(host, host.task_spec.spec)
    first = Token(scope, scope.spec.start, state=TaskState.FUTURE)
    scope.task_tree = first
    first.data = dict(host.data)
    first._set_state(TaskState.STARTED)
    own = scope.spec.undone_by
    if own is None:
        first.internal_data = {"undo": {"left": records, "for": str(first.id)}}
        _next(first, first)
        return
    first.internal_data = {"done": records, "undo": {"left": [], "for": str(first.id)}}
    child = _child(first, scope.spec.task_specs[own])
    child.data = dict(first.data)
    scope.top_workflow.guarded_update(child)


def undoes(token: Token) -> bool:
    """Whether it runs to undo something."""
    owner = token.parent
    return owner is not None and "undo" in owner.internal_data


def went(child: Token) -> None:
    """What undid one thing has finished: undo the next, or let the one that threw go on."""
    owner: Any = child.parent
    top = child.workflow.top_workflow
    undo = owner.internal_data["undo"]
    thrower = top.get_task_from_id(UUID(undo["for"]))
    thrower.data = merge(thrower.data, child.data)
    if undo["left"]:
        _next(owner, thrower)
        return
    owner.internal_data = {key: value for key, value in owner.internal_data.items() if key != "undo"}
    if thrower is thrower.workflow.task_tree:
        _close(thrower)
    else:
        thrower.internal_data = {**thrower.internal_data, "undone": True}
        thrower._ready()


def _close(first: Token) -> None:
    """All of a reopened sub-process is undone."""
    scope = first.workflow
    scope.last_task = first
    first._set_state(TaskState.COMPLETED)
    scope.completed = True
    scope.host.task_spec._on_subworkflow_completed(scope, scope.host)
