"""Work of a command that has started a service of its own: whatever ends it, the service and its folder go."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

R = TypeVar("R")
ENDED = 128 + signal.SIGTERM
"""The exit code that shells give to a process which SIGTERM has ended."""


def run(work: Coroutine[Any, Any, R]) -> R:
    """`asyncio.run`, for which SIGTERM is what Ctrl-C is: the work is cancelled, and leaves nothing behind.

    Python itself would end at once, and folders in `/tmp` would be left. Exits with 143 then.
    """
    ended = False

    async def cancellable() -> R:
        task = asyncio.current_task()

        def end() -> None:
            nonlocal ended
            ended = True
            if task is not None:
                task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
        return await work

    try:
        return asyncio.run(cancellable())
    except asyncio.CancelledError:
        if not ended:
            raise
        sys.exit(ENDED)
