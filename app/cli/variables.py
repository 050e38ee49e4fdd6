"""Variables on the command line: `--var name=value` and `--variables JSON`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import click
import orjson

TEXTS = ("string", "enum", "date")
"""Types of form fields whose value is text as it was typed."""


def variables_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--var` and `--variables`; the command gets `pairs` and `document`."""
    pairs = click.option(
        "--var", "pairs", multiple=True, metavar="NAME=VALUE", help="One variable; the value is JSON, else text."
    )
    document = click.option(
        "--variables", "document", metavar="JSON", help="All variables as one JSON object; @FILE reads it, - is stdin."
    )
    return pairs(document(command))


def collect(pairs: tuple[str, ...], document: str | None, types: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Both kinds as one dictionary; a field's type of *types* says whether its value is text or JSON.

    Raises:
        click.UsageError: a pair without `=`, or no JSON object.
    """
    return (_object(document) if document else {}) | dict(_pair(pair, types or {}) for pair in pairs)


def _pair(pair: str, types: Mapping[str, str]) -> tuple[str, Any]:
    name, found, value = pair.partition("=")
    if not found or not name:
        raise click.UsageError(f"--var takes NAME=VALUE, not {pair!r}")
    if types.get(name) in TEXTS:
        return name, value
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


def _object(document: str) -> dict[str, Any]:
    if document == "-":
        document = sys.stdin.read()
    elif document.startswith("@"):
        try:
            document = Path(document[1:]).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"--variables: {error}") from error
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise click.UsageError(f"--variables is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise click.UsageError("--variables must be a JSON object")
    return cast("dict[str, Any]", found)
