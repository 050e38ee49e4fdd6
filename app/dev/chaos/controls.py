"""Negative controls: each guard is taken away in a run of its own, and the race that it wins must then be lost.

Where a second defence would hide that, it is away in the guarded run too (see each race), so that the guard alone
decides. A guard goes from outside where it can: by SQL in the run's own database, by CONFIG in its own Redis.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import redis.asyncio

from app.dev.chaos import ground, place
from app.dev.chaos.clients import GivenUp
from app.dev.chaos.ground import Ground
from app.dev.chaos.processes import Foreign
from app.dev.chaos.races import RACES, Race


async def _nothing(_: Ground) -> None: ...


@dataclass(frozen=True, slots=True)
class Control:
    """A guard, the race that it wins, and how it is taken away: by *remove*, or in the processes of *unguarded*."""

    race: str
    what: str
    remove: Callable[[Ground], Awaitable[None]] = _nothing
    unguarded: Mapping[str, str] = field(default_factory=dict[str, str])
    further: Mapping[str, str] = field(default_factory=dict[str, str])


async def _drop_exclusion(made: Ground) -> None:
    for name in ("ex_appointment_doctor", "ex_appointment_patient"):
        await made.rows(f"alter table appointment drop constraint {name}")


async def _drop_inbox_key(made: Ground) -> None:
    await made.rows("alter table inbox drop constraint pk_inbox")


async def _forget_queue(made: Ground) -> None:
    state = made.place.state
    client = redis.asyncio.Redis(port=state.ports["redis"], password=state.secret("redis"))
    try:
        await client.config_set("appendonly", "no")
    finally:
        await client.aclose()


CONTROLS = {
    "exclusion": Control("slot", "the exclusion constraints of appointments", _drop_exclusion),
    "revision": Control("tasks", "the check of an instance's revision", unguarded={"web": "revision"}),
    "inbox": Control("deliveries", "the key of the inbox", _drop_inbox_key),
    "aof": Control("queue", "the append-only file of Redis", _forget_queue),
    "reconnects": Control(
        "reconnects",
        "unlimited reconnects of the Zeebe worker",
        unguarded={"zeebe-worker": "reconnects"},
        # The watch over its polls would end the worker, and the supervisor start another.
        further={"DAMS_ZEEBE__STALE_SECONDS": "1000000"},
    ),
    "skip-locked": Control("relays", "SKIP LOCKED of the relay", unguarded={"relay": "skip-locked"}),
}


async def run(race: Race, control: Control | None = None) -> list[str]:
    """What goes wrong in *race*, with the guard of *control* away. Raises DidNotStart and GivenUp."""
    given = control or Control("", "")
    made = place.fresh(race.needed, dict(race.scale), given.unguarded, given.further)
    async with made as there, ground.opened(there, race.drawn) as standing:
        await given.remove(standing)
        return await race.run(standing)


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


async def judge(race: str, without: str | None = None) -> Verdict:
    """Run a race of :data:`RACES`, *without* a guard of :data:`CONTROLS` where one is named."""
    began, faults, error = time.monotonic(), list[str](), ""
    try:
        faults = await run(RACES[race], CONTROLS[without] if without else None)
    except (place.DidNotStart, GivenUp, Foreign) as failed:
        error = str(failed)
    return Verdict(race, without or "", faults, error, round(time.monotonic() - began, 1))
