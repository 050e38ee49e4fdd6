"""Negative controls: each guard is taken away, and the race that it wins must then be lost.

All of them stand on one service: each race is run with its guard, then without, and then the guard is put back. Where a
second defence would hide that, it is away in the guarded run too (see each race), so that the guard alone decides. A
guard goes from outside where it can: by SQL in the run's own database, by CONFIG in its own Redis.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import redis.asyncio

from app.dev.chaos import ground, place, races, wounds
from app.dev.chaos.cells import KILL, Cell
from app.dev.chaos.clients import GivenUp
from app.dev.chaos.ground import Ground
from app.dev.chaos.processes import Foreign
from app.dev.chaos.races import RACES

Away = Callable[[Ground], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Control:
    """A guard, the race that it wins, and how it is taken `away` for a while; `further` settings hold in both runs."""

    race: str
    what: str
    away: Away
    further: Mapping[str, str] = field(default_factory=dict[str, str])


@asynccontextmanager
async def _constraints(made: Ground, table: str, names: tuple[str, ...], clear: str) -> AsyncGenerator[None]:
    """Without these constraints of *table*; what came of that goes by the SQL of *clear* before they come back."""
    sql = "select conname, pg_get_constraintdef(oid) from pg_constraint where conname = any($1)"
    drawn = [(row[0], row[1]) for row in await made.rows(sql, list(names))]
    for name, _ in drawn:
        await made.rows(f"alter table {table} drop constraint {name}")
    try:
        yield
    finally:
        await made.rows(clear)
        for name, text in drawn:
            await made.rows(f"alter table {table} add constraint {name} {text}")


@asynccontextmanager
async def _aof(made: Ground) -> AsyncGenerator[None]:
    """Redis is killed in this race and comes back as its command line says: with its file."""
    state = made.place.state
    client = redis.asyncio.Redis(port=state.ports["redis"], password=state.secret("redis"))
    try:
        await client.config_set("appendonly", "no")
    finally:
        await client.aclose()
    yield


@asynccontextmanager
async def _process(made: Ground, kind: str, guard: str) -> AsyncGenerator[None]:
    """Every process of *kind* is started anew without the guard, and afterwards with it."""
    names = [name for name in made.place.supervisor.runs if place.kind(name) == kind]
    kept = {name: made.place.supervisor.runs[name].service.command for name in names}
    await _restarted(made, {name: place.without(command, guard) for name, command in kept.items()})
    try:
        yield
    finally:
        await _restarted(made, kept)


async def _restarted(made: Ground, commands: Mapping[str, list[str]]) -> None:
    """Have these processes killed and started with other commands. Raises Foreign and GivenUp."""
    for name, command in commands.items():
        await wounds.hurt(made.place, Cell(name, KILL), then=command)
    for name in commands:
        await wounds.back(made.place, name)


_TWICE_BOOKED = "delete from appointment where ticketid like 'R-%'"
_TWICE_GIVEN = "delete from inbox a using inbox b where a.ctid > b.ctid and a.kind = b.kind and a.key = b.key"
CONTROLS = {
    "exclusion": Control(
        "slot",
        "the exclusion constraints of appointments",
        partial(
            _constraints,
            table="appointment",
            names=("ex_appointment_doctor", "ex_appointment_patient"),
            clear=_TWICE_BOOKED,
        ),
    ),
    "revision": Control(
        "tasks", "the check of an instance's revision", partial(_process, kind="web", guard="revision")
    ),
    "inbox": Control(
        "deliveries",
        "the key of the inbox",
        partial(_constraints, table="inbox", names=("pk_inbox",), clear=_TWICE_GIVEN),
    ),
    "aof": Control("queue", "the append-only file of Redis", _aof),
    "reconnects": Control(
        "reconnects",
        "unlimited reconnects of the Zeebe worker",
        partial(_process, kind="zeebe-worker", guard="reconnects"),
        # The watch over its polls would end the worker, and the supervisor start another.
        further={"DAMS_ZEEBE__STALE_SECONDS": "1000000"},
    ),
    "skip-locked": Control("relays", "SKIP LOCKED of the relay", partial(_process, kind="relay", guard="skip-locked")),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a race went: with its guard, or without the one that is named. Red is one that was run and lost."""

    race: str
    without: str
    faults: list[str]
    error: str
    seconds: float

    @property
    def held(self) -> bool:
        return not self.faults and not self.error

    @property
    def is_red(self) -> bool:
        return bool(self.faults) and not self.error

    @property
    def why(self) -> str:
        more = f" and {len(self.faults) - 1} more" if len(self.faults) > 1 else ""
        return self.error or "".join(self.faults[:1]) + more

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"held": self.held}

    def line(self) -> str:
        """As it is told while the run goes on."""
        name = f"race:{self.race}" + (f" without {self.without}" if self.without else "")
        return f"{name:<36} {'held' if self.held else 'LOST'}  {self.seconds:.0f} s  {self.why}"


async def judge(standing: Ground, race: str, size: int | None = None, without: str | None = None) -> Verdict:
    """Run a race of :data:`RACES`, *without* a guard of :data:`CONTROLS` where one is named."""
    began, faults, error = time.monotonic(), list[str](), ""
    try:
        if without is None:
            faults = await races.run(standing, race, size)
        else:
            async with CONTROLS[without].away(standing):
                faults = await races.run(standing, race, size)
    except (GivenUp, Foreign) as failed:
        error = str(failed)
    return Verdict(race, without or "", faults, error, round(time.monotonic() - began, 1))


async def alone(race: str, size: int | None = None, without: str | None = None) -> Verdict:
    """The same on a service of its own with what this race needs. Raises DidNotStart and GivenUp."""
    one, further = RACES[race], CONTROLS[without].further if without else {}
    async with (
        place.fresh(one.needed, dict(one.scale), further) as there,
        ground.opened(there, one.drawn) as standing,
    ):
        return await judge(standing, race, size, without)


async def every(guards: Sequence[str], tell: Callable[[Verdict], None]) -> list[Verdict]:
    """Each race with its guard and without, one after the other on one service. Raises DidNotStart and GivenUp."""
    chosen = [(guard, CONTROLS[guard]) for guard in guards]
    needed = {name for _, control in chosen for name in RACES[control.race].needed}
    further = {name: value for _, control in chosen for name, value in control.further.items()}
    scale = {kind: 2 for _, control in chosen for kind, _ in RACES[control.race].scale}  # two show what four do
    drawn = {name for _, control in chosen for name in RACES[control.race].drawn}
    found: list[Verdict] = []
    async with place.fresh(needed, scale, further) as there, ground.opened(there, drawn) as standing:
        for guard, control in chosen:
            for without in (None, guard):
                found.append(await judge(standing, control.race, RACES[control.race].few, without))
                tell(found[-1])
    return found
