"""A process of ours under other circumstances: `python -m app.dev.chaos.altered CIRCUMSTANCE MODULE …`.

As in `unguarded`, the product has no switch for any of this: it is brought about here, before the module runs.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import runpy
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from functools import partial
from types import ModuleType
from typing import Any

AHEAD_SECONDS, BEHIND_SECONDS = 3600.0, -600.0
DATES_DEADLINES = ("grpc._channel", "grpc._common", "grpc._utilities", "grpc._cython.cygrpc", "grpc.aio._utils")
SLOWEST = 2.0
"""Seconds that a piece of work waits at most where each waits for a time that chance has chosen."""


def shift(seconds: float) -> None:
    """Put this process's wall clock so far ahead: that of its Python code. What counts seconds elapsed stays as it is.

    A clock is read in C, so members of `datetime` itself are replaced: a class in its place would not be the one that
    every driver compares with. gRPC dates its deadlines in Python and holds them against the kernel's clock: it keeps
    the right one, since on a machine whose clock is wrong both would be wrong alike.
    """
    right = ModuleType("time")
    vars(right).update(vars(time))
    for name in DATES_DEADLINES:
        vars(importlib.import_module(name))["time"] = right
    real = {name: getattr(time, name) for name in ("time", "time_ns", "localtime", "gmtime", "ctime", "strftime")}

    def broken_down(name: str, at: float | None = None) -> Any:
        return real[name](time.time() if at is None else at)

    def strftime(form: str, *given: Any) -> str:
        return real["strftime"](form, *(given or (time.localtime(),)))

    changed: dict[str, Callable[..., Any]] = {
        "time": lambda: real["time"]() + seconds,
        "time_ns": lambda: real["time_ns"]() + int(seconds * 1e9),
        "strftime": strftime,
    }
    changed |= {name: partial(broken_down, name) for name in ("localtime", "gmtime", "ctime")}
    for name, read in changed.items():
        setattr(time, name, read)

    def now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
        return cls.fromtimestamp(time.time(), tz)

    def utcnow(cls: type[datetime]) -> datetime:
        return now(cls, UTC).replace(tzinfo=None)

    members = gc.get_referents(datetime.__dict__)[0]
    members |= {"now": classmethod(now), "utcnow": classmethod(utcnow)}
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))


def answers_lost() -> None:
    """The first answer of each Temporal activity never reaches the server, so that it is done a second time."""
    from temporalio import activity

    def lost(answer: Any) -> Any:
        if activity.info().attempt == 1:
            raise ConnectionResetError("the answer was lost")
        return answer

    _around_activities(after=lost)


def slow() -> None:
    """Each job of Zeebe and each activity of Temporal waits for a moment that chance has chosen, before and after."""
    import asyncio
    import random

    from workers import execution

    performed: Any = vars(execution)["_perform"]

    def pause() -> float:
        return random.uniform(0, SLOWEST)  # noqa: S311 - no secret

    async def perform(*given: Any) -> Any:
        await asyncio.sleep(pause())
        answer = await performed(*given)
        await asyncio.sleep(pause())
        return answer

    setattr(execution, "_perform", perform)  # noqa: B010 - a type checker would refuse the assignment
    _around_activities(before=pause)


def _around_activities(before: Callable[[], float] | None = None, after: Callable[[Any], Any] | None = None) -> None:
    """Outermost of all interceptors: wait for the seconds of *before*, and give *after* of the answer in its place."""
    import asyncio

    from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

    from temporal import moments

    telling: Any = moments.Telling.intercept_activity

    class Around(ActivityInboundInterceptor):
        async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
            await asyncio.sleep(before() if before else 0)
            answer = await self.next.execute_activity(input)
            return after(answer) if after else answer

    def intercept(self: Any, next_: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return Around(telling(self, next_))

    setattr(moments.Telling, "intercept_activity", intercept)  # noqa: B010 - a type checker would refuse the assignment


CIRCUMSTANCES: dict[str, Callable[[], None]] = {
    "ahead": partial(shift, AHEAD_SECONDS),
    "behind": partial(shift, BEHIND_SECONDS),
    "answers-lost": answers_lost,
    "slow": slow,
}

if __name__ == "__main__":
    CIRCUMSTANCES[sys.argv[1]]()
    module = sys.argv[2]
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
