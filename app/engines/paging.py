"""Lists that are read page by page: newest first by an id that sorts by time, the cursor being the last one shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from app.core.errors import BadRequest
from app.engines.spiff.records import Page

MAX_PAGE = 200
T = TypeVar("T")


def shown(limit: int) -> int:
    """How many rows a page may show."""
    return min(max(limit, 1), MAX_PAGE)


def after(cursor: str) -> UUID:
    """The id behind which the page begins.

    Raises:
        BadRequest: no list gave out such a cursor.
    """
    try:
        return UUID(cursor)
    except ValueError as error:
        raise BadRequest("cursor is not one that this list gave out") from error


def page(rows: Sequence[Any], limit: int, item: Callable[[Any], T]) -> Page[T]:
    """The page of *rows*, which were asked for with one more than :func:`shown` and have an `id`."""
    kept = rows[: shown(limit)]
    return Page([item(row) for row in kept], str(kept[-1]["id"]) if len(rows) > len(kept) else None)
