"""The subset of FEEL that cells of decision tables use, translated to Python for the sandbox; the rest is refused.

Literals, variables, paths, arithmetic, comparison, ranges, lists, `in`, `between`, `if`, `and or not`, the common
built-ins. Dates are ISO texts, as everywhere in the data here, so `date("2027-01-31")` is a text that compares as a
date does. Outside source: DMN 1.3, chapter 10.
"""

from __future__ import annotations

import ast
import keyword
import re
from datetime import date, datetime

from app.engines.spiff.subset import ScriptRefused

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<name>[^\W\d]\w*)
    |(?P<symbol>\*\*|\.\.|<=|>=|!=|[-+*/<>=()\[\],.?]))""",
    re.VERBOSE,
)
_LITERALS = {"true": "True", "false": "False", "null": "None"}
_PHRASES = ("string length", "upper case", "lower case", "starts with", "ends with", "list contains")
_CALLS: dict[str, tuple[int, str]] = {
    "date": (1, "{0}"),
    "date_and_time": (1, "{0}"),
    "not": (1, "(not {0})"),
    "string": (1, "str({0})"),
    "number": (1, "float({0})"),
    "abs": (1, "abs({0})"),
    "floor": (1, "(({0}) // 1)"),
    "ceiling": (1, "(-((-({0})) // 1))"),
    "count": (1, "len({0})"),
    "sum": (1, "sum({0})"),
    "mean": (1, "(sum({0}) / len({0}))"),
    "min": (1, "min({0})"),
    "max": (1, "max({0})"),
    "contains": (2, "({1} in {0})"),
    "string_length": (1, "len({0})"),
    "upper_case": (1, "({0}).upper()"),
    "lower_case": (1, "({0}).lower()"),
    "starts_with": (2, "({0}).startswith({1})"),
    "ends_with": (2, "({0}).endswith({1})"),
    "list_contains": (2, "({1} in {0})"),
}
_COMPARED = {"<": "feel_less({0}, {1})", ">": "feel_less({1}, {0})",
             "<=": "(feel_less({0}, {1}) or feel_equal({0}, {1}))",
             ">=": "(feel_less({1}, {0}) or feel_equal({0}, {1}))",
             "=": "feel_equal({0}, {1})", "!=": "(not feel_equal({0}, {1}))"}  # fmt: skip
_TIMES: dict[str, type[date]] = {"date": date, "date_and_time": datetime}
MAX_DEPTH = 40


def expression(text: str) -> str:
    """The Python of a FEEL expression. Raises `ScriptRefused` for what is outside the subset."""
    parser = _Parser(text)
    result = parser.expression(0)
    parser.done()
    return result


def unary_tests(text: str, value: str) -> str:
    """The Python of a cell that tests *value*, itself Python. Raises `ScriptRefused`."""
    if text.strip() in ("", "-"):
        return "True"
    parser = _Parser(text, value)
    negated = parser.at_call("not")
    result = parser.tests(0)
    if negated:
        parser.expect(")")
        result = f"(not {result})"
    parser.done()
    return result


class _Parser:
    def __init__(self, text: str, value: str = "") -> None:
        for phrase in _PHRASES:
            text = re.sub(rf"\b{phrase}\s*\(", phrase.replace(" ", "_") + "(", text)
        text = re.sub(r"\bdate and time\s*\(", "date_and_time(", text)
        self.text, self.value, self.at = text, value, 0
        self.kind, self.token = "", ""
        self.advance()

    def advance(self) -> None:
        found = _TOKEN.match(self.text, self.at)
        if found is None:
            rest = self.text[self.at :].strip()
            self.kind, self.token = ("unknown", rest[:20]) if rest else ("end", "the end")
            return
        self.at = found.end()
        self.kind, self.token = str(found.lastgroup), found[str(found.lastgroup)]

    def refusal(self, message: str = "") -> ScriptRefused:
        message = message or f"`{self.token}` is not expected here in FEEL"
        fix = "write literals, comparisons, ranges, lists, not(…), or a common function"
        return ScriptRefused(message, 1, fix, "expression-dialect")

    def accept(self, *tokens: str) -> str:
        if self.kind in ("symbol", "name") and self.token in tokens:
            taken = self.token
            self.advance()
            return taken
        return ""

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise self.refusal(f"`{token}` is missing before `{self.token}` in FEEL")

    def done(self) -> None:
        if self.kind != "end":
            raise self.refusal()

    def at_call(self, name: str) -> bool:
        """Whether the whole text is one call of that name; what stands in its brackets comes next."""
        if re.fullmatch(rf"\s*{name}\s*\(.*\)\s*", self.text, re.DOTALL):
            self.advance()
            self.expect("(")
            return True
        return False

    def tests(self, depth: int) -> str:
        parts = [self.test(depth)]
        while self.accept(","):
            parts.append(self.test(depth))
        return parts[0] if len(parts) == 1 else "(" + " or ".join(parts) + ")"

    def test(self, depth: int) -> str:
        symbol = self.accept("<=", ">=", "<", ">", "!=", "=")
        if symbol:
            return _COMPARED[symbol].format(self.value, self.total(depth))
        if interval := self.interval(self.value, depth):
            return interval
        before = self.at
        found = self.expression(depth)
        if "?" in self.text[before - 1 : self.at]:
            return found
        return f"feel_matches({self.value}, {found})"

    def interval(self, value: str, depth: int) -> str:
        """`[a..b]` and its open forms as a test of *value*; "" and nothing read if none stands here."""
        before = self.at, self.kind, self.token
        opening = self.accept("[", "(", "]")
        if opening:
            try:
                low = self.total(depth + 1)
            except ScriptRefused:
                low = ""
            if low and self.accept(".."):
                high = self.total(depth + 1)
                closing = self.accept("]", ")", "[")
                if not closing:
                    raise self.refusal()
                lower = _COMPARED[">=" if opening == "[" else ">"].format(value, low)
                upper = _COMPARED["<=" if closing == "]" else "<"].format(value, high)
                return f"({lower} and {upper})"
        self.at, self.kind, self.token = before
        return ""

    def expression(self, depth: int) -> str:
        # Failure prevented: a RecursionError from a text of ten thousand brackets.
        if depth > MAX_DEPTH:
            raise self.refusal("the expression is nested too deeply")
        if self.accept("if"):
            condition = self.expression(depth + 1)
            self.expect("then")
            yes = self.expression(depth + 1)
            self.expect("else")
            return f"({yes} if {condition} else {self.expression(depth + 1)})"
        parts = [self.conjunction(depth)]
        while self.accept("or"):
            parts.append(self.conjunction(depth))
        return parts[0] if len(parts) == 1 else "(" + " or ".join(parts) + ")"

    def conjunction(self, depth: int) -> str:
        parts = [self.comparison(depth)]
        while self.accept("and"):
            parts.append(self.comparison(depth))
        return parts[0] if len(parts) == 1 else "(" + " and ".join(parts) + ")"

    def comparison(self, depth: int) -> str:
        left = self.total(depth)
        if symbol := self.accept("<=", ">=", "<", ">", "!=", "="):
            return _COMPARED[symbol].format(left, self.total(depth))
        if self.accept("between"):
            low = self.total(depth)
            self.expect("and")
            both = _COMPARED[">="].format(left, low), _COMPARED["<="].format(left, self.total(depth))
            return f"({both[0]} and {both[1]})"
        if self.accept("in"):
            return self.interval(left, depth) or f"feel_matches({left}, {self.total(depth)})"
        return left

    def total(self, depth: int) -> str:
        left = self.product(depth)
        while symbol := self.accept("+", "-"):
            left = f"({left} {symbol} {self.product(depth)})"
        return left

    def product(self, depth: int) -> str:
        left = self.power(depth)
        while symbol := self.accept("*", "/"):
            left = f"({left} {symbol} {self.power(depth)})"
        return left

    def power(self, depth: int) -> str:
        if depth > MAX_DEPTH:
            raise self.refusal("the expression is nested too deeply")
        if self.accept("-"):
            return f"(-{self.power(depth + 1)})"
        left = self.primary(depth)
        return f"({left} ** {self.power(depth + 1)})" if self.accept("**") else left

    def primary(self, depth: int) -> str:
        kind, token = self.kind, self.token
        if self.accept("("):
            inner = self.expression(depth + 1)
            self.expect(")")
            return f"({inner})"
        if self.accept("["):
            return "[" + ", ".join(self.arguments("]", depth)) + "]"
        if self.value and self.accept("?"):
            return self.value
        if kind not in ("number", "string", "name"):
            raise self.refusal()
        self.advance()
        if kind == "number":
            return str(int(token)) if token.isdigit() else repr(float(token))
        if kind == "string":
            return repr(re.sub(r'\\(["\\])', r"\1", token[1:-1]))
        if token in _LITERALS:
            return _LITERALS[token]
        return self.call(token, depth) if self.accept("(") else self.path(token)

    def path(self, name: str) -> str:
        if keyword.iskeyword(name):
            raise self.refusal(f"`{name}` cannot be the name of a variable here")
        while self.accept("."):
            if self.kind != "name":
                raise self.refusal()
            name = f"juel_get({name}, {self.token!r})"
            self.advance()
        if self.kind == "name" and self.token not in ("and", "or", "then", "else", "in", "between"):
            raise self.refusal(f"`{self.token}` is not expected here in FEEL; names with spaces are not read")
        return name

    def call(self, name: str, depth: int) -> str:
        arguments = self.arguments(")", depth)
        if name in ("min", "max", "sum", "count") and len(arguments) > 1:
            arguments = ["[" + ", ".join(arguments) + "]"]
        known = _CALLS.get(name)
        if known is None or known[0] != len(arguments):
            raise self.refusal(f"the function {name.replace('_', ' ')} is not known here in this form")
        if name in _TIMES and _is_no_time(_TIMES[name], arguments[0]):
            raise self.refusal(f"{arguments[0]} is no {name.replace('_', ' ')}")
        return known[1].format(*arguments)

    def arguments(self, closing: str, depth: int) -> list[str]:
        found: list[str] = []
        while not self.accept(closing):
            if found:
                self.expect(",")
            found.append(self.expression(depth + 1))
        return found


def _is_no_time(kind: type[date], source: str) -> bool:
    """Whether a date is spelt out and there is none such: as a text it would compare all the same."""
    if source[:1] not in ("'", '"'):
        return False
    try:
        value = ast.literal_eval(source)
        kind.fromisoformat(value)
    except (ValueError, SyntaxError, TypeError):
        return True
    return not re.match(r"\d{4}-\d\d-\d\d", value)
