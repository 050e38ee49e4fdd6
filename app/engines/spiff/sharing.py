"""Whose variables a token works on: all branches of a process share them, each run of a loop has them for itself.

A token carries its own copy; what was set last by any branch stands with the first token of the scope that owns the
variables, as ``latest``. The inputs of a sub-process belong to that sub-process (see `mapping`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.engines.spiff.tokens import Token
from app.engines.spiff.values import same

LATEST = "latest"


def is_run(token: Token) -> bool:
    """Whether it is one run of a loop or multi-instance activity, whose data is its own until it ends."""
    return token.triggered and "iteration" in token.internal_data


def keep(token: Token, before: Mapping[str, Any], *, always: bool) -> None:
    """What a step has set while others run beside it counts for all of them; *always* also when there are none."""
    if is_run(token):
        return
    if not always and not _has_company(token):
        first = _owner(token.workflow).task_tree
        if LATEST in first.internal_data and not _hides(token):
            first.internal_data = {key: value for key, value in first.internal_data.items() if key != LATEST}
        return
    own = _inputs(token) - {name for name, _, _ in token.task_spec.gives}
    changed = {n: v for n, v in token.data.items() if n not in own and (n not in before or not same(before[n], v))}
    scope = token.workflow
    while changed:
        here = changed if _owns(scope) else {name: changed[name] for name in _inputs(scope.host) if name in changed}
        if here:
            first = scope.task_tree
            first.internal_data = {**first.internal_data, LATEST: {**first.internal_data.get(LATEST, {}), **here}}
        if _owns(scope):
            return
        changed = {name: value for name, value in changed.items() if name not in here}
        scope = scope.host.workflow


def catch_up(token: Token) -> None:
    """Before a token runs: what others have set since it went its own way."""
    found = {} if is_run(token) else latest(token.workflow)
    if found:
        hidden = _inputs(token)
        token.data = {**token.data, **{name: value for name, value in found.items() if name not in hidden}}


def latest(scope: Any) -> dict[str, Any]:
    """What was set last, as it is seen in *scope*."""
    own: dict[str, Any] = scope.task_tree.internal_data.get(LATEST, {})
    if _owns(scope):
        return own
    hidden = _inputs(scope.host)
    around = latest(scope.host.workflow)
    return {**{name: value for name, value in around.items() if name not in hidden}, **own} if around else own


def _owns(scope: Any) -> bool:
    """A process owns its variables, and so does one run of an activity that runs several times."""
    return scope.parent_task_id is None or not scope.host.task_spec.shares_data or is_run(scope.host)


def _owner(scope: Any) -> Any:
    while not _owns(scope):
        scope = scope.host.workflow
    return scope


def _inputs(token: Token) -> set[str | None]:
    return {name for name, _, _ in token.task_spec.takes}


def _hides(token: Token) -> bool:
    """Whether what others have set is out of its sight: it will see that once its inputs are gone."""
    while not token.task_spec.takes:
        if _owns(token.workflow):
            return False
        token = token.workflow.host
    return True


def _has_company(token: Token) -> bool:
    """Whether anything else lives in the scopes around a token, up to the one that owns the variables."""
    scope: Any = token.workflow
    while len(scope.frontier) < 2:
        if _owns(scope):
            return False
        scope = scope.host.workflow
    return True
