"""From the text in a model to what the sandbox runs: dialects, compilation, the names a text uses.

A compiled text is plain data; running it is the sandbox's part. The dialect of a file is decided by `intake`,
translation on the XML tree is done by `checks`.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from app.engines.spiff import juel, scripts, subset
from app.engines.spiff.subset import ScriptRefused

Dialect = Literal["camunda", "python", "feel"]

MAX_SOURCE = 64 * 1024
"""Characters of one script; longer texts are programs, not process logic."""

_STORE = """\
def __store(scope, names):
    import json
    rows = []
    for name in names:
        if name in scope:
            try:
                rows.append((name, True, json.dumps(scope[name], allow_nan=False, ensure_ascii=False)))
            except Exception as error:
                rows.append((name, False, f"{error}"))
    return rows
"""
_GIVE = """\
def __give(value):
    import json
    from datetime import date, timedelta
    if isinstance(value, (date, timedelta)):
        return (True, value)
    return (False, json.dumps(value, allow_nan=False, ensure_ascii=False))
"""
_PRELUDE = re.compile(r"# inputs (\d+): ([\w, ]+)\n")
_JUEL = re.compile(r"\s*[$#]\{(.*)\}\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Compiled:
    """One script or expression, ready for `Sandbox.execute` or `Sandbox.evaluate`.

    ``reads`` are the names it may take from the instance, ``writes`` those it may set there.

    ``code`` is what the sandbox gets; its line ``offset + 1`` is line 1 of ``source`` as people see it.
    """

    kind: Literal["script", "expression"]
    source: str
    code: str
    offset: int
    reads: frozenset[str]
    writes: tuple[str, ...]
    mutates: bool


@lru_cache(maxsize=4096)
def compile_script(source: str) -> Compiled:
    """Compiles the text of a script task, or of a script before or after a task.

    Raises:
        ScriptRefused: it is no Python, or Python that a model may not use.
    """
    text = tidy(source)
    tree = _module(text)
    names = subset.inspect_script(tree, text)
    inputs, offset = _inputs(text)
    prelude = scripts.prelude(names.functions)
    writes = tuple(name for name in names.writes if name not in inputs)
    kept = sorted({*writes, *(names.reads - set(inputs) - subset.BUILTINS)}) if names.mutates else list(writes)
    code = f"{prelude}{_STORE}{text}\n__store(locals(), {kept!r})"
    lines = (prelude + _STORE).count("\n")
    return Compiled("script", text, code, lines + offset, names.reads, writes, names.mutates)


@lru_cache(maxsize=4096)
def compile_expression(source: str, dialect: Dialect = "python") -> Compiled:
    """Compiles a condition, timer, collection or other single value.

    Raises:
        ScriptRefused: the text is not of the dialect, or uses what a model may not use.
    """
    text = tidy(translate(source, dialect)).strip()
    tree = _expression(text)
    names = subset.inspect_expression(tree, text)
    prelude = scripts.prelude(names.functions)
    code = f"{prelude}{_GIVE}__value = (\n{text}\n)\n__give(__value)"
    offset = (prelude + _GIVE).count("\n") + 1
    return Compiled("expression", text, code, offset, names.reads, (), mutates=False)


def translate(source: str, dialect: Dialect) -> str:
    """The Python of a text of ``dialect``; Python stays as it is.

    Raises:
        ScriptRefused: JUEL outside the subset, text mixed with `${…}`, or FEEL, which only Zeebe runs.
    """
    if dialect == "feel":
        raise ScriptRefused("FEEL is only run by Zeebe", 1, "write the expression in Python", "expression-dialect")
    if dialect == "python" or not any(mark in source for mark in ("${", "#{")):
        return source
    found = _JUEL.fullmatch(source)
    if found is None or "${" in found[1] or "#{" in found[1]:
        raise ScriptRefused("text mixed with `${…}` is not an expression", 1,
                            "put the whole of it inside one `${…}`", "expression-dialect")  # fmt: skip
    return juel.to_python(found[1])


def tidy(source: str) -> str:
    """A script without the indentation and empty edges that its place in the XML gave it."""
    return textwrap.dedent(source.replace("\r\n", "\n").rstrip()).lstrip("\n")


def first_line(source: str) -> int:
    """How many lines `tidy` takes off the top, so that line numbers can be given in the file's terms."""
    text = textwrap.dedent(source.replace("\r\n", "\n").rstrip())
    return len(text) - len(text.lstrip("\n"))


def with_inputs(source: str, inputs: dict[str, str], outputs: tuple[str, ...] = ()) -> str:
    """A script with input parameters in front, which stay its own, and names it must set at the end.

    ``inputs`` are Python expressions by name. The first line tells `compile_script` how many lines to leave out
    of line numbers and which names not to store.
    """
    lines = [f"{name} = ({expression})" for name, expression in inputs.items()]
    head = f"# inputs {len(lines) + 1}: {', '.join(inputs)}\n" + "\n".join(lines) + "\n" if inputs else ""
    return head + tidy(source) + "".join(f"\n{name}" for name in outputs)


def _inputs(text: str) -> tuple[tuple[str, ...], int]:
    found = _PRELUDE.match(text)
    return (tuple(name.strip() for name in found[2].split(",")), int(found[1])) if found else ((), 0)


def _module(text: str) -> ast.Module:
    with _readable(text):
        tree = ast.parse(text)
        compile(tree, "<model>", "exec")  # finds `return` outside a function and its like
    return tree


def _expression(text: str) -> ast.Expression:
    with _readable(text):
        tree = ast.parse(text, mode="eval")
        compile(tree, "<model>", "eval")
    return tree


@contextmanager
def _readable(text: str) -> Generator[None]:
    if not text.strip():
        raise ScriptRefused("there is nothing to run", 1, "write it, or take the element out", "script-missing")
    if len(text) > MAX_SOURCE:
        raise ScriptRefused("the text is too long", 1, f"stay below {MAX_SOURCE} characters")
    try:
        yield
    except SyntaxError as error:
        raise ScriptRefused(f"it is not valid Python: {error.msg}", error.lineno or 1, "correct the text") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ScriptRefused("it cannot be read as Python", 1, "take out NUL characters and deep nesting") from error
