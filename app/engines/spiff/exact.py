"""Comparisons and sums computed exactly: amounts are decimals from the form to the decision, never binary fractions.

The sandbox knows no decimals, so an expression that reads one is computed here. What is allowed is a closed list of
operations on plain values, evaluated on the syntax tree; there is nothing in it that could call or reach anything.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from decimal import (
    Context,
    Decimal,
    DecimalException,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from functools import lru_cache
from typing import Any

from app.engines.spiff.expressions import Compiled
from app.engines.spiff.sandbox import ScriptFailed

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_EXACT = Context(prec=200, traps=[Inexact, InvalidOperation, Overflow, DivisionByZero])
_SUMS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def concerns(compiled: Compiled, data: Mapping[str, Any]) -> bool:
    """Whether an expression reads an exact amount, so that it must be computed here."""
    return any(isinstance(data.get(name), Decimal) for name in compiled.reads)


def evaluate(compiled: Compiled, data: Mapping[str, Any]) -> Any:
    """The value of an expression over *data*. A text of digits counts as its number beside a number.

    Raises:
        ScriptFailed: a name is not set, two values cannot be compared, or the expression does more than compare,
            add, subtract, multiply, and join with `and`, `or`, `not`.
    """
    try:
        with localcontext(_EXACT):
            return _Reading(compiled.source, data).value(_tree(compiled.source))
    except (TypeError, DecimalException):
        names = ", ".join(sorted(compiled.reads))
        raise ScriptFailed("script-error", f"the values of {names} cannot be computed exactly", 1) from None


@lru_cache(maxsize=1024)
def _tree(source: str) -> ast.expr:
    return ast.parse(source.strip(), mode="eval").body


class _Reading:
    """One evaluation: the text, for numbers as they were written, and the data."""

    def __init__(self, source: str, data: Mapping[str, Any]) -> None:
        self._source, self._data = source.strip(), data

    def value(self, node: ast.expr) -> Any:  # noqa: C901 - one case for each kind of node
        match node:
            case ast.Name(id=name):
                if name not in self._data:
                    raise ScriptFailed("name-not-set", f"{name} is not set", 1)
                return _plain(self._data[name])
            case ast.Constant():
                written = ast.get_source_segment(self._source, node) or ""
                return Decimal(written) if isinstance(node.value, float) else _plain(node.value)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self.value(operand)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=operand):
                number = _number(self.value(operand))
                return -number if isinstance(op, ast.USub) else number
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self.value(test) else orelse)
            case ast.BoolOp(op=op, values=values):
                found = (bool(self.value(one)) for one in values)
                return all(found) if isinstance(op, ast.And) else any(found)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _SUMS:
                return _SUMS[type(op)](_number(self.value(left)), _number(self.value(right)))
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARISONS for op in ops):
                return self._compared([left, *others], ops)
            case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.Tuple()]):
                return self.value(left) in (None, "", [], {})  # how `empty` of Camunda's expressions is translated
            case ast.Call(func=ast.Name(id="juel_equal"), args=[left, right]):
                return self._compared([left, right], [ast.Eq()])
            case ast.Call(func=ast.Name(id="juel_less"), args=[left, right]):
                nothing = self.value(left) is None or self.value(right) is None
                return not nothing and self._compared([left, right], [ast.Lt()])
            case _:
                raise ScriptFailed("script-error", "amounts are only compared, added, subtracted and multiplied", 1)

    def _compared(self, nodes: list[ast.expr], ops: list[ast.cmpop]) -> bool:
        found = [self.value(node) for node in nodes]
        for op, left, right in zip(ops, found, found[1:], strict=False):
            one, other = left, right
            if isinstance(left, Decimal) or isinstance(right, Decimal):
                one, other = _if_number(left), _if_number(right)
            if not _COMPARISONS[type(op)](one, other):
                return False
        return True


def _plain(value: Any) -> Any:
    """Numbers as decimals. A binary fraction counts as the shortest text that means it: 0.1 is a tenth."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError
    return Decimal(str(value))


def _if_number(value: Any) -> Any:
    return Decimal(value) if isinstance(value, str) and _NUMBER.fullmatch(value.strip()) else value


def _number(value: Any) -> Decimal:
    """Raises TypeError for what is no number: a text would be repeated or joined instead of computed."""
    found = _if_number(value)
    if not isinstance(found, Decimal):
        raise TypeError
    return found
