"""Flask whose `async def` views all run on the process's one event loop, each admitted there before it runs."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from flask import Flask

from app.core.errors import NoAnswer
from app.core.loop import loop_thread
from app.core.settings import settings

P = ParamSpec("P")
R = TypeVar("R")


class LoopFlask(Flask):
    """Flask's own bridge makes a loop for each call, on which no pooled connection can be used a second time.

    ``admit`` runs on the loop just before a view; what it answers takes the view's place. One change to the loop for
    both: each change of threads costs a tenth of a millisecond and a turn of the interpreter's lock.
    """

    admit: Callable[[], Awaitable[Any]]

    def async_to_sync(self, func: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
        @functools.wraps(func)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            async def admitted() -> R:
                instead = await self.admit()
                return instead if instead is not None else await func(*args, **kwargs)

            try:
                return loop_thread.run(admitted(), settings().web.view_timeout_seconds)
            except TimeoutError as error:
                raise NoAnswer("The answer took too long; what was begun has been undone.") from error

        return wrapper
