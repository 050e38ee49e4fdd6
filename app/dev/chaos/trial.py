"""A run: the service is worked on and hurt cell by cell; then all that was said is held against what is."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from app.db.session import make_engine
from app.dev.chaos import invariants, probes, troubles, wounds
from app.dev.chaos.cells import CUT, FREEZE, FURTHER, OVERLOAD, SECONDS, Cell, part
from app.dev.chaos.clients import GivenUp
from app.dev.chaos.crowd import Crowd
from app.dev.chaos.ground import Ground
from app.dev.chaos.invariants import Seen
from app.dev.chaos.load import VISITORS, Load
from app.dev.chaos.place import Place
from app.dev.chaos.processes import Foreign
from app.dev.chaos.reckoning import Reckoning, reckon
from app.engines import seals

Report = Callable[[str], None]
QUIET = 2.0
"""Seconds between two cells."""
SETTLE = 120.0
"""Seconds within which all that was begun ends or shows an incident when nothing is hurt any more."""


@dataclass(slots=True)
class Result:
    """What became of a cell. `recovery` is in seconds until the part did its own work again, `steady` until all did.

    `took` says of what these were made: of each probe, and of the supervisor's word that the part is up. `met` is how
    many journeys were under way, where there were any.
    """

    cell: str
    held: bool
    recovery: float | None
    limit: float | None
    steady: float | None
    took: dict[str, float] = field(default_factory=dict[str, float])
    why: str = ""
    met: int | None = None

    @property
    def is_late(self) -> bool:
        return self.limit is not None and self.recovery is not None and self.recovery > self.limit


@dataclass(slots=True)
class Outcome:
    """A whole run. `load` is the machine's, over five minutes; with journeys `submits_per_s` are those per second."""

    seed: int
    results: list[Result] = field(default_factory=list[Result])
    broken: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    notes: list[str] = field(default_factory=list[str])
    answers: int = 0
    submits_per_s: float = 0.0
    seconds: float = 0.0
    load: float = 0.0
    journeys: Reckoning | None = None

    @property
    def held(self) -> bool:
        reckoned = self.journeys is None or self.journeys.holds
        return reckoned and not self.broken and all(result.held for result in self.results)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"held": self.held}


async def play(ground: Ground, cells: Sequence[Cell], *, seed: int, rate: float, report: Report) -> Outcome:
    """Hurt the service cell by cell under load and check everything at the end."""
    began, outcome = time.monotonic(), Outcome(seed)
    whole = len(probes.possible(ground)) == len(probes.PROBES)
    load = Load(ground.client, rate, seed, ground.patients, visitors=VISITORS if whole else 0)
    working = asyncio.create_task(load.run())
    windows: list[tuple[float, float]] = []
    chance = random.Random(seed)  # noqa: S311 - no secret
    try:
        await probes.seconds(ground, probes.possible(ground), began)
        report(f"everything serves; {len(cells)} cells")
        for cell in cells:
            outcome.results.append(await one(ground, cell, windows, reset=chance.random() < 0.5))
            report(line(outcome.results[-1]))
            await asyncio.sleep(QUIET)
    finally:
        load.stop()
        worked = time.monotonic() - began
        await asyncio.gather(working, return_exceptions=True)
    outcome.submits_per_s = load.submits / worked
    outcome.notes = [f"a client gave up: {why}" for why in load.given_up]
    await _compare(ground, outcome, windows, report)
    outcome.seconds = time.monotonic() - began
    return outcome


async def travel(ground: Ground, cells: Sequence[Cell], number: int, *, at_once: int, report: Report) -> Outcome:
    """Kill the parts of *cells* while *number* patients go their ways, and say what became of each of them."""
    began, outcome = time.monotonic(), Outcome(0)
    crowd = Crowd(ground.client, await ground.clinic(), number, len(cells), at_once)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crowd.run())
        for turn, cell in enumerate(cells):
            await crowd.meets(turn)
            met, striking = crowd.under_way, tasks.create_task(one(ground, cell, [], reset=False))
            await crowd.strikes()
            outcome.results.append(await striking)
            outcome.results[-1].met = met
            report(f"{line(outcome.results[-1])}; {met} journeys under way")
    outcome.submits_per_s = number / (time.monotonic() - began)
    await _compare(ground, outcome, [], report)
    outcome.journeys = await reckon(ground.place.database, crowd.patients, await ground.charges())
    outcome.seconds = time.monotonic() - began
    return outcome


async def _compare(ground: Ground, outcome: Outcome, windows: Sequence[tuple[float, float]], report: Report) -> None:
    """Let everything come to rest, then hold the database against what clients were told."""
    await settled(ground, report)
    told = await ground.ledger.close()
    seen = Seen(told, await ground.charges(), windows)
    outcome.broken = await invariants.broken(ground.place.database, seen) | await chain(ground.place)
    outcome.notes += seen.notes
    outcome.answers, outcome.load = len(told), os.getloadavg()[1]


async def one(ground: Ground, cell: Cell, windows: list[tuple[float, float]], *, reset: bool) -> Result:
    """One cell, from the fault to the steady state."""
    result, at = Result(cell.name, held=False, recovery=None, limit=cell.limit, steady=None), time.time()
    try:
        further = cell in FURTHER
        since = await (troubles.make(ground, cell) if further else wounds.hurt(ground.place, cell, reset=reset))
        if cell.fault != OVERLOAD and (further or cell.fault in (FREEZE, CUT)):
            windows.append((at, max(time.time(), at + SECONDS)))
        took, up = await asyncio.gather(
            probes.seconds(ground, probes.possible(ground), since), wounds.back(ground.place, cell.part)
        )
        took["up"] = up - since
        result.took = {name: round(seconds, 1) for name, seconds in took.items()}
        result.recovery = max(result.took[name] for name in (*part(cell.part).probes, "up") if name in result.took)
        result.steady = max(result.took.values())
        result.held = True
    except (GivenUp, Foreign) as error:
        result.why = str(error)
    return result


def line(result: Result) -> str:
    """A result as it is told while the run goes on."""
    if not result.held:
        return f"{result.cell:<24} FELL  {result.why}"
    limit = "" if result.limit is None else f" of {result.limit:.0f}"
    took = ", ".join(f"{name} {seconds:.1f}" for name, seconds in sorted(result.took.items()))
    return f"{result.cell:<24} held  {result.recovery:.1f}{limit} s ({took})"


async def settled(ground: Ground, report: Report) -> None:
    """Wait until nothing is on its way any more; what still is then breaks I5 or I6."""
    until, left = time.monotonic() + SETTLE, (0, 0)
    while time.monotonic() < until:
        left = (len(await ground.rows(invariants.UNSENT)), len(await ground.rows(invariants.STUCK)))
        if left == (0, 0):
            report("everything has ended, waits for people or shows an incident")
            return
        await asyncio.sleep(0.5)
    report(f"{left[0]} effects and {left[1]} instances are still on their way after {SETTLE:.0f} s")


async def chain(place: Place) -> dict[str, list[str]]:
    """I8 again: whether the timeline's hash chains fit."""
    engine = make_engine(place.database.replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.connect() as session:
            verdict = await seals.verify(session)
    finally:
        await engine.dispose()
    return {} if verdict.intact else {"I8 chain": [f"event {number}: {why}" for number, why in verdict.faults]}
