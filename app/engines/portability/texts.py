"""Expressions of one engine in the words of the other, where both mean the same; None where they do not.

Both are read into Python by the readers that run them, and written down from there.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any

from app.engines.spiff import feel
from app.engines.spiff.expressions import Dialect, translate
from app.engines.spiff.subset import ScriptRefused

_ORDER: dict[type[Any], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_SUMS: dict[type[Any], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


class _Untold(Exception):
    """The other engine has no exact words for it"""


def to_feel(source: str, dialect: Dialect) -> str | None:
    """A condition or value of a Spiff-side model as FEEL, without the leading ``=``."""
    return _written(lambda: translate(source, dialect), _Feel())


def to_juel(source: str) -> str | None:
    """A FEEL expression, with or without its ``=``, as ``${…}``."""
    said = _written(lambda: feel.expression(source.strip().removeprefix("=")), _Juel())
    return None if said is None else f"${{{said}}}"


def to_python(source: str) -> str | None:
    """A FEEL expression, with or without its ``=``, as the right side of an assignment in a script."""
    return _written(lambda: feel.expression(source.strip().removeprefix("=")), _Python())


def _written(python: Callable[[], str], writer: _Writer) -> str | None:
    try:
        return writer.say(ast.parse(python().strip(), mode="eval").body)
    except (_Untold, ScriptRefused, SyntaxError, ValueError):
        return None


class _Writer:
    """Writes what both languages have: names, members, values, sums, comparisons, and, or, not, a choice of two."""

    equal, null, true, false = "=", "null", "true", "false"

    def text(self, value: str) -> str:
        raise NotImplementedError

    def negated(self, inner: str) -> str:
        raise NotImplementedError

    def chosen(self, test: str, then: str, other: str) -> str:
        raise NotImplementedError

    def say(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value):
                return self._value(value)
            case ast.Name(name):
                return name
            case ast.Attribute(inside, name) | ast.Subscript(inside, ast.Constant(str() as name)):
                return self.member(self.say(inside), name)
            case ast.BoolOp(op, values):
                return self._joined("and" if isinstance(op, ast.And) else "or", values)
            case ast.Compare(left, [op], [right]):
                return self._compared(left, op, right)
            case ast.Call(ast.Name(name), arguments, []):
                return self._called(name, arguments)
            case _:
                return self._computed(node)

    def _computed(self, node: ast.expr) -> str:
        match node:
            case ast.UnaryOp(ast.Not(), inner):
                return self._not(inner)
            case ast.UnaryOp(ast.USub(), inner):
                return f"-{self._part(inner)}"
            case ast.UnaryOp(ast.UAdd(), inner):  # JUEL reads a text as a number in a sum; what is one is the same
                return self.say(inner)
            case ast.BinOp(left, op, right) if type(op) in _SUMS:
                return f"{self._part(left)} {_SUMS[type(op)]} {self._part(right)}"
            case ast.IfExp(test, then, other):
                return self.chosen(self._part(test), self._part(then), self._part(other))
            case _:
                raise _Untold

    def member(self, inside: str, name: str) -> str:
        if not name.isidentifier():
            raise _Untold
        return f"{inside}.{name}"

    def _value(self, value: object) -> str:
        if value is None:
            return self.null
        if isinstance(value, bool):
            return self.true if value else self.false
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int | float):
            return repr(value)
        raise _Untold

    def _joined(self, word: str, values: list[ast.expr]) -> str:
        if word == "or" and len(values) == 2 and (at_most := self._at_most(*values)) is not None:
            return at_most
        return f" {word} ".join(self._part(value) for value in values)

    def _at_most(self, one: ast.expr, other: ast.expr) -> str | None:
        """``less(a, b) or equal(a, b)``, in either order of the equality, is one comparison."""
        match one, other:
            case ast.Call(ast.Name(less), [a, b], []), ast.Call(ast.Name(same), [c, d], []):
                sides = {ast.dump(a), ast.dump(b)} == {ast.dump(c), ast.dump(d)}
                if less.endswith("_less") and same.endswith("_equal") and sides:
                    return f"{self._part(a)} <= {self._part(b)}"
            case _:
                pass
        return None

    def _not(self, inner: ast.expr) -> str:
        match inner:
            case ast.Call(ast.Name(name), [left, right], []) if name.endswith("_equal"):
                return f"{self._part(left)} != {self._part(right)}"
            case _:
                pass
        return self.negated(self.say(inner))

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> str:
        if isinstance(op, ast.Eq | ast.Is):
            return f"{self._part(left)} {self.equal} {self._part(right)}"
        if isinstance(op, ast.NotEq | ast.IsNot):
            return f"{self._part(left)} != {self._part(right)}"
        if type(op) not in _ORDER:
            raise _Untold
        return f"{self._part(left)} {_ORDER[type(op)]} {self._part(right)}"

    def _called(self, name: str, arguments: list[ast.expr]) -> str:
        match name.partition("_")[2], arguments:
            case "equal", [left, right]:
                return f"{self._part(left)} {self.equal} {self._part(right)}"
            case "less", [left, right]:
                return f"{self._part(left)} < {self._part(right)}"
            case "get", [inside, ast.Constant(str() as member)]:
                return self.member(self.say(inside), member)
            case _:
                raise _Untold

    def _part(self, node: ast.expr) -> str:
        """In brackets where it is more than one word."""
        said = self.say(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
            return self._part(node.operand)
        simple = isinstance(node, ast.Constant | ast.Name | ast.Attribute | ast.Subscript)
        member = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("_get")
        return said if simple or member else f"({said})"


class _Feel(_Writer):
    def text(self, value: str) -> str:
        return json.dumps(value, ensure_ascii=False)

    def negated(self, inner: str) -> str:
        return f"not({inner})"

    def chosen(self, test: str, then: str, other: str) -> str:
        return f"if {test} then {then} else {other}"


class _Juel(_Writer):
    equal = "=="

    def text(self, value: str) -> str:
        if "\\" in value or "'" in value:
            raise _Untold
        return f"'{value}'"

    def negated(self, inner: str) -> str:
        return f"!({inner})"

    def chosen(self, test: str, then: str, other: str) -> str:
        return f"{test} ? {then} : {other}"


class _Python(_Writer):
    equal, null, true, false = "==", "None", "True", "False"

    def text(self, value: str) -> str:
        return repr(value)

    def negated(self, inner: str) -> str:
        return f"not ({inner})"

    def chosen(self, test: str, then: str, other: str) -> str:
        return f"{then} if {test} else {other}"

    def member(self, inside: str, name: str) -> str:
        return f"{inside}[{name!r}]"
