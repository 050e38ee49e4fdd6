"""Conditions of a coded process: SpiffWorkflow's operators over attributes, as text that `exact` computes."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from app.engines.spiff import library

COMPARISONS = {"Equal": "==", "NotEqual": "!=", "LessThan": "<", "GreaterThan": ">"}
SUM = "Sum"


class Sum(library.Operator):
    """The sum of attributes and numbers, as a term of a comparison. SpiffWorkflow itself has no arithmetic."""


class OperatorRefused(Exception):
    """A condition that cannot be run as it is meant."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message, self.fix = message, fix


def expression(condition: Any) -> str:
    """The text of a condition as SpiffWorkflow writes it in JSON: ``[class, [terms]]``.

    `Equal` and `NotEqual` take two or more terms, as there; `NotEqual` means that not all are the same.

    Raises:
        OperatorRefused: another operator, or terms it does not take.
    """
    name, terms = _pair(condition)
    name = name.rpartition(".")[2]
    if name not in COMPARISONS or not isinstance(terms, list):
        known = ", ".join(COMPARISONS)
        raise OperatorRefused(f"the operator {name} is not run here", f"use {known} over attributes and values")
    given = [_term(term) for term in cast("list[Any]", terms)]
    if len(given) < 2 or (name in ("LessThan", "GreaterThan") and len(given) != 2):
        raise OperatorRefused(f"{name} takes two terms and has {len(given)}", "give it two")
    if name == "NotEqual" and len(given) > 2:
        return f"not ({' == '.join(given)})"
    return f" {COMPARISONS[name]} ".join(given)


def _term(term: Any) -> str:
    kind, inner = _pair(term)
    if kind == "Attrib":
        if not isinstance(inner, str) or not inner.isidentifier() or keyword.iskeyword(inner):
            raise OperatorRefused("an attribute has no usable name", "use letters, digits and underscores")
        return inner
    if kind == "value":
        if inner is None or isinstance(inner, bool | str | int | Decimal):
            return str(inner) if isinstance(inner, Decimal) else repr(inner)
        raise OperatorRefused("a value is neither text, number, true, false nor null", "compare with a plain value")
    if kind.rpartition(".")[2] == SUM and isinstance(inner, list) and inner:
        return f"({' + '.join(_term(one) for one in cast('list[Any]', inner))})"
    raise OperatorRefused(f"{kind} is not a term that is run here", "use Attrib, value or Sum")


def _pair(given: Any) -> tuple[str, Any]:
    if isinstance(given, list) and len(cast("list[Any]", given)) == 2 and isinstance(given[0], str):
        return given[0], given[1]
    raise OperatorRefused("a condition is not written as [class, terms]", "write it as SpiffWorkflow's serializer does")


def written(term: Any) -> Sequence[Any]:
    """A condition or term of a specification in Python, as `expression` reads it."""
    if isinstance(term, library.Attrib):
        return ["Attrib", term.name]
    if isinstance(term, library.Operator):
        return [f"{type(term).__module__}.{type(term).__name__}", [written(one) for one in term.args]]
    return ["value", term]
