"""Forgetting what has happened: a running scope keeps its unfinished tokens and the few finished ones they ask.

Nothing below reads further back, so nothing else is kept (the trace in the database is the history):
an unfinished token reads its parent (data not yet inherited, and which flow it came by: `joins`);
the join of boundary events reads its split, which is its grandparent, and the split's children; a run of a loop or
multi-instance reads its body, which is unfinished itself.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.engines.spiff.tokens import Token

SLACK = 64
"""Finished tokens that a scope may gather before it is pruned in the middle of a call."""


def prune_instance(instance: Any) -> None:
    """Forget in every scope, and forget whole scopes whose activity is over."""
    for scope in list(instance.scopes()):
        prune(scope)
    for host_id, scope in list(instance.subprocesses.items()):
        if not scope.host.unfinished() or scope.host.id not in scope.host.workflow.tasks:
            del instance.subprocesses[host_id]


def prune(scope: Any) -> None:
    """Take the tokens nobody will read out of one scope; what hung on them hangs on the next one up that is kept."""
    kept = _needed(scope)
    tasks: dict[UUID, Token] = scope.tasks
    anchors: dict[UUID, UUID] = {}
    for token_id in kept:
        tasks[token_id]._children = []
    for token_id in kept:
        token = tasks[token_id]
        if token._parent is not None:
            token._parent = _anchor(token._parent, kept, tasks, anchors)
            tasks[token._parent]._children.append(token_id)
    scope.tasks = {token_id: tasks[token_id] for token_id in kept}
    scope.kept = len(kept)


def overgrown(scope: Any) -> bool:
    """Whether pruning now pays: its cost is shared by the steps that made the tokens."""
    return len(scope.tasks) > SLACK + 2 * scope.kept


def _needed(scope: Any) -> dict[UUID, None]:
    """Ids of the tokens to keep, parents before children, siblings in their order."""
    needed: set[UUID] = {scope.task_tree.id}
    for token in scope.frontier.values():
        needed.add(token.id)
        parent = token.parent
        if parent is None:
            continue
        needed.add(parent.id)
        for split in (parent, parent.parent):
            if split is not None and hasattr(split.task_spec, "event_type"):
                needed.add(split.id)
                needed.update(split._children)
    ordered: dict[UUID, None] = {}
    for token_id in scope.tasks:  # in the order of making, which puts parents first
        if token_id in needed:
            ordered[token_id] = None
    return ordered


def _anchor(token_id: UUID, kept: dict[UUID, None], tasks: dict[UUID, Token], anchors: dict[UUID, UUID]) -> UUID:
    passed: list[UUID] = []
    while token_id not in kept:
        known = anchors.get(token_id)
        if known is not None:
            token_id = known
            break
        passed.append(token_id)
        token_id = tasks[token_id]._parent or token_id
    anchors.update(dict.fromkeys(passed, token_id))
    return token_id
