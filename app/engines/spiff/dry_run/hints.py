"""What a model compares its variables with: the values that decide which way a token takes.

Scripts and conditions of a stored model are Python; what is found in them is tried first.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.engines.spiff import blueprints

MOST = 12
"""Values kept for one name, and literals kept for names that are compared with none."""
_COMPARING = {"juel_equal", "juel_less"}


@dataclass(frozen=True, slots=True)
class Hints:
    """`values` by the name that they are compared with, `texts` are all other literals, `written` the names that
    scripts set, `read` those that anything uses."""

    values: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    texts: list[str] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)


def of(spec: bytes) -> Hints:
    """The hints of a stored model and of everything that it calls."""
    found = Hints()
    for source in blueprints.sources(spec):
        try:
            tree = ast.parse(source.strip())
        except (SyntaxError, ValueError):
            continue  # a label, a documentation, a FEEL cell
        for node in ast.walk(tree):
            _look(node, found)
    return found


def _look(node: ast.AST, found: Hints) -> None:
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            found.written.add(name)
        case ast.Name(id=name):
            found.read.add(name)
        case ast.Compare(left=left, ops=ops, comparators=others):
            for operator, one, other in zip(ops, [left, *others], others, strict=False):
                _compared(found, operator, one, other)
        case ast.Call(func=ast.Name(id=called), args=[one, other]) if called in _COMPARING:
            _compared(found, ast.Eq() if called == "juel_equal" else ast.Lt(), one, other)
        case ast.Constant(value=str(text)) if text and len(text) <= 200:
            _keep(found.texts, text)
        case _:
            pass


def _compared(found: Hints, operator: ast.cmpop, one: ast.expr, other: ast.expr) -> None:
    for name, value in (*_pairs(one, other), *_pairs(other, one)):
        kept = found.values[name]
        if isinstance(operator, ast.In | ast.NotIn):
            inside = value if isinstance(value, list | tuple | set) else [[value]]
            for single in inside if isinstance(inside, list) else sorted(inside, key=repr):
                _keep(kept, single)
            continue
        _keep(kept, value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            _keep(kept, value + 1)
            _keep(kept, value - 1)


def _pairs(one: ast.expr, other: ast.expr) -> Iterator[tuple[str, Any]]:
    """A variable, also in brackets or as the argument of a conversion, beside a literal."""
    inner = one.args[0] if isinstance(one, ast.Call) and one.args else one
    if isinstance(inner, ast.Name):
        try:
            yield inner.id, ast.literal_eval(other)
        except (ValueError, SyntaxError, TypeError):
            return


def _keep(kept: list[Any], value: Any) -> None:
    if len(kept) < MOST and not any(value == one and type(value) is type(one) for one in kept):
        kept.append(value)
