"""What changes in a case, told to whoever looks at it.

One question a second asks the database for all cases that are looked at in this process; where nobody looks, nobody
asks. What is told is that there is something new, never what: the page asks for that, with its reader's permission.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import text

from app.db.session import reading

PAUSE = 1.0
_STATES = text("""
    select case_no, count(*) || '.' || max(id) as state from case_event where case_no = any(:cases) group by case_no
""")
"""A number alone would not do: of two transactions the one with the smaller number may be the last to commit."""


class Stopping(Exception):
    """This process ends; who looks asks another one"""


class _Looking(NamedTuple):
    known: str
    told: asyncio.Future[str]


class Watch:
    """One per event loop, since the connections that it asks with belong to that."""

    def __init__(self) -> None:
        self._looking: defaultdict[str, set[_Looking]] = defaultdict(set)
        self._asking: asyncio.Task[None] | None = None

    async def changed(self, case: str, known: str, seconds: float) -> str | None:
        """The state of *case* once it is another than *known*, or None after so many seconds.

        Raises what the database raises when it is away, and :class:`Stopping`.
        """
        looking = _Looking(known, asyncio.get_running_loop().create_future())
        self._looking[case].add(looking)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        try:
            async with asyncio.timeout(seconds):
                return await looking.told
        except TimeoutError:
            return None
        finally:
            self._looking[case].discard(looking)
            if not self._looking[case]:
                del self._looking[case]

    async def _ask(self) -> None:
        while self._looking:
            if _ending.is_set():
                self._tell_all(Stopping())
                return
            try:
                found = await states(list(self._looking))
            except Exception as error:  # noqa: BLE001 - it belongs to those who wait, and each of them tells it
                self._tell_all(error)
                return
            for case, state in found.items():
                for looking in self._looking.get(case, ()):
                    if looking.known != state and not looking.told.done():
                        looking.told.set_result(state)
            await asyncio.sleep(PAUSE)

    def _tell_all(self, error: Exception) -> None:
        for looking in [one for several in self._looking.values() for one in several]:
            if not looking.told.done():
                looking.told.set_exception(error)


async def states(cases: list[str]) -> dict[str, str]:
    """What stands for everything that was told of each case; another text once there is more."""
    async with reading() as session:
        return {row.case_no: row.state for row in await session.execute(_STATES, {"cases": cases})}


_ending = threading.Event()


def end(*_signal: object) -> None:
    """Let go of all who look, within a second: a server that stops waits for every answer to be whole."""
    _ending.set()


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, Watch] = WeakKeyDictionary()


def watch() -> Watch:
    return _watches.setdefault(asyncio.get_running_loop(), Watch())
