"""Flask whose `async def` views and hooks all run on the process's one event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from flask import Flask

from app.core.errors import NoAnswer
from app.core.loop import loop_thread
from app.core.settings import settings

P = ParamSpec("P")
R = TypeVar("R")


class LoopFlask(Flask):
    """Flask's own bridge makes a loop for each call, on which no pooled connection can be used a second time."""

    def async_to_sync(self, func: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
        @functools.wraps(func)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return loop_thread.run(func(*args, **kwargs), settings().web.view_timeout_seconds)
            except TimeoutError as error:
                raise NoAnswer("The answer took too long; what was begun has been undone.") from error

        return wrapper
