"""How commands show things: tables on a terminal, one line per row in a pipe, JSON for scripts, problems as a list."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
import orjson

WIDE = 400
"""The width in a pipe: a row stays one line, so that `grep` and `awk` see it whole."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print the API's answer as JSON.")


def plain(value: Any) -> str:
    """A value for people. What a terminal would act on is taken out: names come from other people."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value)
    shown = value if isinstance(value, str) else orjson.dumps(value).decode()
    return "".join(character if character.isprintable() else " " for character in shown)


def moment(text: str | None) -> str:
    """An API's time in this machine's time zone, to the second."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S") if text else ""


def as_json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def rows(headings: Sequence[str], lines: Iterable[Sequence[Any]], empty: str) -> None:
    """A table, or the sentence *empty* on standard error where there is nothing."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        shown.add_column(heading, overflow="fold")
    for line in lines:
        shown.add_row(*(Text(plain(value)) for value in line))
    if shown.row_count:
        Console(width=None if sys.stdout.isatty() else WIDE, highlight=False).print(shown)
    else:
        click.echo(empty, err=True)


def members(pairs: Iterable[tuple[str, Any]]) -> None:
    """One thing, a line for each member that has a value."""
    given = [(name, plain(value)) for name, value in pairs if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in given), default=0)
    for name, value in given:
        click.echo(f"{name:<{width}}  {value}")


def problem_lines(problems: Iterable[dict[str, Any]]) -> list[str]:
    """Findings of a check, two lines each: where and what, then the cure."""
    lines: list[str] = []
    for one in problems:
        place = f"{one['file']}:{one['line']}" if one["line"] else one["file"]
        element = f" {one['element_id']}" + (f" ({one['element_name']})" if one["element_name"] else "")
        named = element if one["element_id"] else ""
        lines.append(f"{plain(place)}: {one['severity']}:{plain(named)} {plain(one['message'])} [{one['rule']}]")
        if one["fix"]:
            lines.append(f"    cure: {plain(one['fix'])}")
    return lines


def refusal(document: dict[str, Any]) -> str:
    """A problem document (RFC 9457) as one readable list."""
    lines = [f"dams: {plain(document.get('title') or 'refused')}"]
    errors, problems = document.get("errors") or {}, document.get("problems") or []
    if not errors and document.get("detail") and document["detail"] != document.get("title"):
        lines.append(f"  {plain(document['detail'])}")
    lines += [f"  {plain(field)}: {plain(sentence)}" for field, sentence in errors.items()]
    return "\n".join([*lines, *(f"  {line}" for line in problem_lines(problems))])
