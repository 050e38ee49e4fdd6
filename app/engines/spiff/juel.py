"""The subset of the Unified Expression Language that Camunda 7 models use in `${…}`, translated to Python.

Literals, variables, `a.b`, `a['b']`, comparison, arithmetic, `and or not empty ? :` with their symbols. Beans and
method calls are refused: there is nothing behind them here. Outside source: JSR 341, chapter 1.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable

from app.engines.spiff.subset import ScriptRefused

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+)
    |(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<name>[^\W\d][\w$]*)
    |(?P<symbol>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:().,\[\]]))""",
    re.VERBOSE,
)
_WORDS = {"and": "&&", "or": "||", "not": "!", "eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=",
          "div": "/", "mod": "%", "empty": "empty"}  # fmt: skip
_LITERALS = {"true": "True", "false": "False", "null": "None"}
_COMPARISONS: dict[str, str] = {
    "==": "juel_equal({0}, {1})",
    "!=": "(not juel_equal({0}, {1}))",
    "<": "juel_less({0}, {1})",
    ">": "juel_less({1}, {0})",
    "<=": "(juel_less({0}, {1}) or juel_equal({0}, {1}))",
    ">=": "(juel_less({1}, {0}) or juel_equal({0}, {1}))",
}
_ARITHMETIC: dict[str, str] = {
    # The unary plus refuses text, which JUEL would add up as numbers and Python would join.
    "+": "(+{0} + +{1})",
    "-": "({0} - {1})",
    "*": "(+{0} * +{1})",
    "/": "(+{0} / +{1})",
    "%": "(+{0} - +{1} * int({0} / {1}))",
}
_PART = re.compile(r"""[$#]\{((?:[^{}'"]|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")*)\}""")
MAX_NESTING = 40
MAX_LENGTH = 20_000


def to_python(text: str) -> str:
    """The Python expression of what stands between `${` and `}`.

    Raises:
        ScriptRefused: the text is outside the subset; the message names the place.
    """
    parser = _Parser(text)
    result = parser.ternary(0)
    if parser.kind != "end":
        raise parser.refusal()
    return result


def text_to_python(text: str) -> str:
    """The Python of a value: plain text, one `${…}`, or text with several in it, which are joined as text.

    Raises:
        ScriptRefused: an expression is outside the subset, or is not closed.
    """
    whole = _PART.fullmatch(text.strip())
    if whole is not None:
        return to_python(whole[1])
    parts: list[str] = []
    at = 0
    for found in _PART.finditer(text):
        parts += [repr(text[at : found.start()])] if found.start() > at else []
        parts.append(f"juel_text({to_python(found[1])})")
        at = found.end()
    rest = text[at:]
    if "${" in rest or "#{" in rest:
        raise ScriptRefused("a `${` is not closed", 1, "close it with `}`", "expression-dialect")
    return "(" + " + ".join([*parts, *([repr(rest)] if rest or not parts else [])]) + ")" if parts else repr(text)


class _Parser:
    """Recursive descent over the grammar, one token ahead."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.kind, self.value = "", ""
        self.advance()

    def advance(self) -> None:
        found = _TOKEN.match(self.text, self.at)
        if found is None:
            if self.text[self.at :].strip():
                self.kind, self.value = "unknown", self.text[self.at :].strip()[:20]
                return
            self.kind, self.value = "end", "the end"
            return
        self.at = found.end()
        self.kind, self.value = str(found.lastgroup), found[str(found.lastgroup)]
        if self.kind == "name" and self.value in _WORDS:
            self.kind, self.value = "symbol", _WORDS[self.value]

    def refusal(self, message: str = "", fix: str = "") -> ScriptRefused:
        message = message or f"`{self.value}` is not expected here in `${{…}}`"
        fix = fix or "write a comparison of variables and literals, or plain Python"
        return ScriptRefused(message, 1, fix, "expression-dialect")

    def accept(self, *symbols: str) -> str:
        if self.kind == "symbol" and self.value in symbols:
            taken = self.value
            self.advance()
            return taken
        return ""

    def expect(self, symbol: str) -> None:
        if not self.accept(symbol):
            raise self.refusal(f"`{symbol}` is missing before `{self.value}` in `${{…}}`")

    def ternary(self, depth: int) -> str:
        # Failure prevented: a RecursionError from a text of ten thousand parentheses.
        if depth > MAX_NESTING:
            raise self.refusal("the expression is nested too deeply", "split it over script tasks")
        condition = self.disjunction(depth)
        if not self.accept("?"):
            return condition
        yes = self.ternary(depth + 1)
        self.expect(":")
        return f"({yes} if {condition} else {self.ternary(depth + 1)})"

    def disjunction(self, depth: int) -> str:
        return self._joined(depth, self.conjunction, "||", "or")

    def conjunction(self, depth: int) -> str:
        return self._joined(depth, self.equality, "&&", "and")

    def _joined(self, depth: int, part: Callable[[int], str], symbol: str, word: str) -> str:
        parts = [part(depth)]
        while self.accept(symbol):
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else "(" + f" {word} ".join(parts) + ")"

    def equality(self, depth: int) -> str:
        return self._binary(depth, self.relation, ("==", "!="), _COMPARISONS)

    def relation(self, depth: int) -> str:
        return self._binary(depth, self.total, ("<", ">", "<=", ">="), _COMPARISONS)

    def total(self, depth: int) -> str:
        return self._binary(depth, self.product, ("+", "-"), _ARITHMETIC)

    def product(self, depth: int) -> str:
        return self._binary(depth, self.unary, ("*", "/", "%"), _ARITHMETIC)

    def _binary(self, depth: int, part: Callable[[int], str], symbols: tuple[str, ...], forms: dict[str, str]) -> str:
        left = part(depth)
        while symbol := self.accept(*symbols):
            left = forms[symbol].format(left, part(depth))
            # Failure prevented: forms that repeat an operand double the text with each further operator.
            if len(left) > MAX_LENGTH:
                raise self.refusal("the expression is too long", "split it over script tasks")
        return left

    def unary(self, depth: int) -> str:
        if depth > MAX_NESTING:
            raise self.refusal("the expression is nested too deeply", "split it over script tasks")
        if self.accept("-"):
            return f"(-{self.unary(depth + 1)})"
        if self.accept("!"):
            return f"(not {self.unary(depth + 1)})"
        if self.accept("empty"):
            return f"({self.unary(depth + 1)} in (None, '', [], {{}}))"
        return self.value_with_suffixes(depth)

    def value_with_suffixes(self, depth: int) -> str:
        value = self.primary(depth)
        while True:
            if self.accept("."):
                if self.kind != "name":
                    raise self.refusal()
                value = f"juel_get({value}, {self.value!r})"
                self.advance()
            elif self.accept("["):
                value = f"juel_get({value}, {self.ternary(depth + 1)})"
                self.expect("]")
            elif self.kind == "symbol" and self.value == "(":
                raise self.refusal("methods cannot be called in `${…}`", "compare variables, or use a script task")
            else:
                return value

    def primary(self, depth: int) -> str:
        kind, value = self.kind, self.value
        if self.accept("("):
            inner = self.ternary(depth + 1)
            self.expect(")")
            return f"({inner})"
        if kind not in ("number", "string", "name"):
            raise self.refusal()
        self.advance()
        if kind == "number":
            return repr(float(value)) if not value.isdigit() else str(int(value))
        if kind == "string":
            return repr(re.sub(r"\\(.)", r"\1", value[1:-1]))
        if value in _LITERALS:
            return _LITERALS[value]
        if keyword.iskeyword(value) or "$" in value:
            raise self.refusal(f"`{value}` cannot be the name of a variable here", "rename the variable")
        return value
