"""One event loop per process, on a thread of its own, for hosts that are synchronous.

asyncpg connections and ``grpc.aio`` channels belong to the loop that made them. A bridge that starts a loop
for each call (Flask's own) breaks every pool. Processes that own a loop already (relay, Zeebe worker,
Temporal worker) use ``uvloop.run`` and never this.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Generic, TypeVar

import uvloop

R = TypeVar("R")


class _Call(Generic[R]):
    """One coroutine on its way through the loop. `run_coroutine_threadsafe` chains two futures."""

    def __init__(self, coroutine: Coroutine[Any, Any, R]) -> None:
        self._coroutine = coroutine
        self.answer: Future[R] = Future()
        self.context: contextvars.Context | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._run())

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            result = await self._coroutine
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread, whatever it is
            self.context = contextvars.copy_context()
            self.answer.set_exception(error)
        else:
            self.context = contextvars.copy_context()
            self.answer.set_result(result)


class LoopThread:
    """A lazily started loop; a fork gets a loop of its own because the process id is checked at each use."""

    def __init__(self, name: str = "dams-loop") -> None:
        self._name = name
        self._starting = threading.Lock()
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        if self._pid != os.getpid() or self._loop is None:
            with self._starting:
                if self._pid != os.getpid() or self._loop is None:
                    self._start()
        if self._loop is None:  # pragma: no cover - _start() always sets it
            raise RuntimeError("the loop did not start")
        return self._loop

    def _start(self) -> None:
        loop = uvloop.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name=self._name, daemon=True)
        thread.start()
        self._loop, self._thread, self._pid = loop, thread, os.getpid()

    def run(self, coroutine: Coroutine[Any, Any, R], timeout: float | None = None) -> R:
        """Run *coroutine* on the loop, wait for its result and cancel it after *timeout* seconds.

        Context variables that the coroutine sets are handed back to the caller.

        Raises:
            TimeoutError: after *timeout* seconds; the coroutine has been cancelled.
            RuntimeError: when called on the loop itself, where waiting would never end.
        """
        if threading.current_thread() is self._thread and self._pid == os.getpid():
            coroutine.close()
            raise RuntimeError("LoopThread.run() was called on its own loop: await the coroutine instead")
        call = _Call(coroutine)
        loop = self.loop
        loop.call_soon_threadsafe(call.begin, loop)
        try:
            return call.answer.result(timeout)
        except FutureTimeoutError:
            loop.call_soon_threadsafe(call.cancel)
            raise
        finally:
            if call.context is not None:
                _adopt(call.context)

    def stop(self) -> None:
        """Stop the loop and its thread; the next use starts new ones."""
        if self._loop is None or self._pid != os.getpid():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join(5)
        self._loop, self._thread, self._pid = None, None, 0


def _adopt(context: contextvars.Context) -> None:
    missing = object()
    for variable, value in context.items():
        if variable.get(missing) is not value:
            variable.set(value)


loop_thread = LoopThread()
