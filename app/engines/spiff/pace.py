"""Where the steps of an element are run: SpiffWorkflow's steps are CPU work.

On the loop a long step holds up every other request of the process; in a thread a short one costs two changes of
threads, and holds the others up as long, since the interpreter changes threads no sooner than its switch interval.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")
KNOWN = 5
"""So many short steps in a row make the next one a short one, as far as one can know."""


class Pace:
    """How long the last steps of one element took, in processor seconds."""

    __slots__ = ("_short",)

    def __init__(self) -> None:
        self._short = 0

    async def run(self, step: Callable[[], R]) -> R:
        """The result of *step*, run on the loop if its like has been short, else in a thread."""
        if self._short < KNOWN:
            return await asyncio.to_thread(self._timed, step)
        return self._timed(step)

    def _timed(self, step: Callable[[], R]) -> R:
        began = time.thread_time()
        try:
            return step()
        finally:
            self._short = self._short + 1 if time.thread_time() - began < sys.getswitchinterval() else 0
