"""Who may do a task where the model computes it: Camunda's assignee and candidates as expressions.

They are evaluated once, when the task opens, on the data it opens with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.engines.spiff.sandbox import ScriptFailed
from app.engines.spiff.tokens import Token

ASSIGNEE, USERS, GROUPS = "assignee", "users", "groups"
COMPUTED = "computedAssignment"
"""Attribute of a checked tree: the rules of a task as JSON."""
KEPT = "assigned"
MOST = 100
_LONGEST = 200


def assign(token: Token, rules: Sequence[Sequence[str]]) -> None:
    """Keep with the task whom its *rules* name, each [what, Python expression].

    Raises:
        ScriptFailed: an expression fails, or gives something else than a name or a list of names.
    """
    found: dict[str, list[str]] = {}
    for what, expression in rules:
        value = token.workflow.script_engine.evaluate_on(token.data, expression, token)
        found[what] = [*found.get(what, []), *_names(what, value)]
    if len(found.get(ASSIGNEE, [])) > 1:
        raise ScriptFailed("variable-type", "the assignee is one person, and several are named")
    token.internal_data = {**token.internal_data, KEPT: found}


def _names(what: str, value: Any) -> list[str]:
    """A name, several in one text with commas between them, or a list; None and empty text name nobody."""
    names = value if isinstance(value, list) else [value]
    if any(name is not None and not isinstance(name, str) for name in names) or len(names) > MOST:
        raise ScriptFailed("variable-type", f"the {what} must be a name or a list of names")
    parts = [part.strip() for name in names if name for part in name.split(",")]
    if any(len(part) > _LONGEST or not part.isprintable() for part in parts):
        raise ScriptFailed("variable-type", f"the {what} must be a name or a list of names")
    return [part for part in parts if part]
