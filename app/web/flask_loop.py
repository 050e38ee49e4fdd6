"""Flask whose `async def` views all run on the process's one event loop, each admitted there before it runs."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from flask import Flask
from sqlalchemy.util import await_
from sqlalchemy.util.concurrency import in_greenlet

from app.core.errors import NoAnswer
from app.core.loop import loop_thread
from app.core.settings import settings

P = ParamSpec("P")
R = TypeVar("R")


def wait(coroutine: Coroutine[Any, Any, R]) -> R:
    """The coroutine's result, run on the process's loop: the server's, where a request is a greenlet on it.

    Raises:
        TimeoutError: after the seconds that a view may take; the coroutine has been cancelled.
    """
    seconds = settings().web.view_timeout_seconds
    if in_greenlet():
        return await_(_limited(coroutine, seconds))
    return loop_thread.run(coroutine, seconds)


async def _limited(coroutine: Coroutine[Any, Any, R], seconds: float) -> R:
    async with asyncio.timeout(seconds):
        return await coroutine


class LoopFlask(Flask):
    """Flask's own bridge makes a loop for each call, on which no pooled connection can be used a second time.

    ``admit`` runs on the loop just before a view; what it answers takes the view's place. One change to the loop for
    both: each change of threads costs a tenth of a millisecond and a turn of the interpreter's lock.
    """

    admit: Callable[[], Awaitable[Any]]

    @functools.cached_property
    def _ensured(self) -> dict[Callable[..., Any], Callable[..., Any]]:
        return {}

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """As Flask's, which looks into each function anew at each request."""
        found = self._ensured.get(func)
        if found is None:
            found = self._ensured[func] = super().ensure_sync(func)
        return found

    def async_to_sync(self, func: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
        @functools.wraps(func)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            async def admitted() -> R:
                instead = await self.admit()
                return instead if instead is not None else await func(*args, **kwargs)

            try:
                return wait(admitted())
            except TimeoutError as error:
                raise NoAnswer("The answer took too long; what was begun has been undone.") from error

        return wrapper
