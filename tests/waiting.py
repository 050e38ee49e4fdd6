"""Waiting for a state. How long that takes tells about the machine, so a limit only ends what would never come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

SECONDS = 240.0
"""Many times what anything takes on a quiet machine; below the limit that ends a whole test."""
PAUSE = 0.05


async def until(true: Callable[[], Awaitable[Any]], seconds: float = SECONDS) -> Any:
    """Ask until it is true; what it said then."""
    found: Any = "no answer yet"
    try:
        async with asyncio.timeout(seconds) as limit:
            while not (found := await true()):  # noqa: ASYNC110 - the state is elsewhere, without an event to wait for
                await asyncio.sleep(PAUSE)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise AssertionError(_missed(true, seconds, found)) from error
    return found


def wait_until(true: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Ask until it is true; what it said then. Blocks its thread."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, _missed(true, seconds, found)
        time.sleep(PAUSE)
    return found


def _missed(true: Callable[[], Any], seconds: float, found: Any) -> str:
    where = getattr(true, "__code__", None)
    place = f" ({where.co_filename}:{where.co_firstlineno})" if where else ""
    return f"not within {seconds:.0f} s: {getattr(true, '__qualname__', true)}{place}; last it was {found!r:.2000}"
