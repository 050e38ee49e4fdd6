"""How a part is hurt, and when it counts as being back."""

from __future__ import annotations

import asyncio
import signal
import time

from app.dev.chaos import lines, processes
from app.dev.chaos.cells import CUT, EVERYTHING, FREEZE, KILL, SECONDS, TERM, Cell
from app.dev.chaos.clients import GivenUp
from app.dev.chaos.place import Place
from app.dev.up import GOOD

BACK = 600.0
"""Seconds after which a part counts as lost: a busy machine takes many times what a quiet one does."""


async def hurt(place: Place, cell: Cell, *, reset: bool = False, then: list[str] | None = None) -> float:
    """Hurt the cell's part; the moment (monotonic) from which its recovery counts. *reset* is of a cut: see `lines`.

    What is started in place of a killed process runs the command *then* where one is given.

    Raises:
        Foreign: the process is not the one that the supervisor started; nothing is sent to it.
    """
    if cell.fault == CUT:
        return await _cut(place, cell.part, reset=reset)
    run = place.supervisor.runs[cell.part]
    if run.process is None:
        raise processes.Foreign(f"{cell.part} has no process")
    head = processes.identify(run.process.pid, run.row()["born"], run.command)
    if cell.fault == FREEZE:
        everybody = processes.family(head)
        processes.send(signal.SIGSTOP, everybody)
        await asyncio.sleep(SECONDS)
        processes.send(signal.SIGCONT, everybody)
        return time.monotonic()
    since = time.monotonic()
    run.service.command = then or run.service.command
    if cell.fault == KILL:
        processes.send(signal.SIGKILL, processes.family(head))
    elif cell.fault == TERM:
        processes.send(run.service.stop, [head])
    await _followed(place, cell.part, head.pid)
    return since


async def _cut(place: Place, part: str, *, reset: bool) -> float:
    cut = lines.reaching(place.lines, part)
    for line in cut:
        line.cut(reset=reset)
    await asyncio.sleep(SECONDS)
    for line in cut:
        line.mend()
    return time.monotonic()


async def _followed(place: Place, part: str, pid: int) -> None:
    """Until another process has been started in place of *pid*. Raises :class:`GivenUp`."""
    run, until = place.supervisor.runs[part], time.monotonic() + BACK
    while run.process is None or run.process.pid == pid:
        if time.monotonic() > until:
            raise GivenUp(f"no process followed that of {part}")
        await asyncio.sleep(0.02)


async def back(place: Place, part: str) -> float:
    """The moment (monotonic) at which the supervisor says of a part, or of everything, that it does its work.

    Raises :class:`GivenUp`.
    """
    until = time.monotonic() + BACK
    meant = place.supervisor.runs.values() if part == EVERYTHING else [place.supervisor.runs[part]]
    while away := [run for run in meant if run.state not in GOOD]:
        if time.monotonic() > until:
            raise GivenUp(f"{away[0].service.name} is {away[0].state}")
        await asyncio.sleep(0.02)
    return time.monotonic()
