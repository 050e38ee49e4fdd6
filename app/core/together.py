"""Items that many tasks have at once, written together: whoever comes while a write is under way goes with the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class _OfLoop(Generic[T]):
    """What goes into the next write, and the task that writes."""

    def __init__(self) -> None:
        self.next: list[tuple[T, asyncio.Future[None]]] = []
        self.writer: asyncio.Task[None] | None = None


class Together(Generic[T]):
    """Group commit around *write*: an item alone waits for nobody, and under load one write takes all that came."""

    def __init__(self, write: Callable[[list[T]], Awaitable[None]]) -> None:
        self._write = write
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _OfLoop[T]] = WeakKeyDictionary()

    async def add(self, item: T) -> None:
        """Until *item* is written. Raises what the write raised that it was part of."""
        loop = asyncio.get_running_loop()
        own = self._loops.get(loop)
        if own is None:
            own = self._loops[loop] = _OfLoop()
        written: asyncio.Future[None] = loop.create_future()
        own.next.append((item, written))
        if own.writer is None:
            own.writer = asyncio.create_task(self._write_all(own))
        await written

    async def _write_all(self, own: _OfLoop[T]) -> None:
        try:
            while own.next:
                group, own.next = own.next, []
                await self._write_one(group)
        finally:
            own.writer = None

    async def _write_one(self, group: list[tuple[T, asyncio.Future[None]]]) -> None:
        try:
            await self._write([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 - it belongs to each who added to this group
            for _, written in group:
                if not written.done():
                    written.set_exception(error)
        else:
            for _, written in group:
                if not written.done():
                    written.set_result(None)
