"""All services of one state folder: started in the order of their needs, stopped in reverse.

No process outlives this one: each asks the kernel to die with its parent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from app.dev.forks import Forks
from app.dev.run import Run
from app.dev.service import Service
from app.dev.state import State


class Supervisor:
    """Keeps the services running, and the state's table of them up to date."""

    def __init__(self, services: list[Service], state: State, changed: Callable[[], None]) -> None:
        self._state, self._tell = state, changed
        self._forks = _forks(services, state)
        self.runs = {service.name: Run(service, state, self._changed, self._forks) for service in services}

    def rows(self) -> list[dict[str, Any]]:
        return [run.row() for run in self.runs.values()]

    async def run(self, until: asyncio.Event) -> None:
        """Keep everything running until *until* is set, then stop it in reverse order of needs."""
        if self._forks:
            await self._forks.begin()
        keeping = [
            asyncio.create_task(run.keep([self.runs[need] for need in run.service.needs])) for run in self.runs.values()
        ]
        try:
            await until.wait()
        finally:
            await self._stop()
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            if self._forks:
                await self._forks.ended()

    def hurry(self) -> None:
        """End everything now: whoever asks twice to stop does not want to wait."""
        for run in self.runs.values():
            run.give_up()

    async def _stop(self) -> None:
        users = [run for run in self.runs.values() if run.service.needs]
        await asyncio.gather(*(run.stop() for run in users))
        await asyncio.gather(*(run.stop() for run in self.runs.values() if run not in users))

    def _changed(self) -> None:
        self._state.write_status(self.rows())
        self._tell()


def _forks(services: list[Service], state: State) -> Forks | None:
    """What forks the services that say what they import."""
    forked = [service for service in services if service.imports]
    if not forked:
        return None
    groups = {service.command[2]: service.imports for service in forked}
    return Forks(groups, forked[0].environment, lambda: state.log("forkserver").open("ab"))
