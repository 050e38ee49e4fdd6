"""Says what went wrong in a script by line and names of variables, never by their values.

What the interpreter reports may quote patient data ("invalid literal for int(): 'Ana Cruz'"), so its own words are
used only where they are words of the script's author.
"""

from __future__ import annotations

import ast
import re

from pydantic import JsonValue

from app.engines.spiff.subset import BUILTINS

_KINDS = {
    "AssertionError": "an assertion did not hold",
    "AttributeError": "a value has no such attribute or method",
    "IndexError": "a list has no such position",
    "KeyError": "a dictionary has no such key",
    "NameError": "a name is used before it is set",
    "OverflowError": "a number is too large",
    "RecursionError": "a function calls itself too often",
    "TypeError": "a value has the wrong type",
    "ValueError": "a value has the wrong form",
    "ZeroDivisionError": "division by zero",
}
_TYPE = re.compile(r"Object of type (\w+) is not JSON")
_CURES = {
    "date": "use .isoformat()",
    "datetime": "use .isoformat()",
    "timedelta": "use .total_seconds()",
    "Decimal": "use str() or float()",
    "set": "use sorted()",
    "frozenset": "use sorted()",
    "range": "use list()",
    "dict_keys": "use list()",
    "dict_values": "use list()",
    "dict_items": "use list()",
}


def explain(source: str, line: int, error: BaseException) -> str:
    """One sentence: the kind of failure, the line, the variables that line uses."""
    kind = type(error).__name__
    sentence = _own_words(source, str(error)) or _KINDS.get(kind, f"it ended with {kind}")
    if line < 1:
        return sentence
    names = sorted(_names_on(source, line))
    return f"{sentence}, line {line}" + (f" (uses {', '.join(names)})" if names else "")


def unfit(text: str) -> str:
    """Why a value cannot be stored, from the words of the sandbox's JSON writer."""
    found = _TYPE.search(text)
    if found is None:
        return "holds a number that is not finite" if "float" in text else "cannot be stored: it is not plain data"
    cure = _CURES.get(found[1], "store text, numbers, lists and dictionaries")
    return f"is or holds a {found[1]}, which cannot be stored; {cure}, or begin its name with an underscore"


def unstorable(value: JsonValue) -> str:
    """Why the database could not keep a JSON value, or nothing.

    PostgreSQL's jsonb holds no NUL character, and the saved state no whole number beyond 64 bits.
    """
    stack: list[JsonValue] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend([*item.keys(), *item.values()])
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, str):
            if "\0" in item:
                return "holds a NUL character, which cannot be stored"
        elif isinstance(item, int | float) and abs(item) >= 2**63 and item == int(item):
            return "holds a whole number beyond 64 bits, which cannot be stored"
    return ""


def _own_words(source: str, text: str) -> str:
    """The message of an exception if the script itself spells it out, else nothing."""
    if not text or len(text) > 200:
        return ""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise | ast.Assert):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and part.value == text:
                    return text
    return ""


def _names_on(source: str, line: int) -> set[str]:
    return {
        node.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Name) and node.lineno == line and isinstance(node.ctx, ast.Load)
    } - BUILTINS
