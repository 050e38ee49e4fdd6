"""The matrix: which part is hurt in which way, how soon it must serve again, and which cells a seed chooses."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

QUICK = 24
"""Cells of a quick run: every kill, and others by seed."""
KILL, TERM, FREEZE, CUT = "kill", "term", "freeze", "cut"
FAULTS = {
    KILL: "kill -9 of the process and all that it forked",
    TERM: "the signal by which it is asked to end",
    FREEZE: "stopped for ten seconds, then going on",
    CUT: "ten seconds without network to it",
}
SECONDS = 10.0
"""How long a freeze and a cut last."""
DUPLICATE, REORDER, CLOCK = "duplicate", "reorder", "clock"
FULL, RESTORE, OVERLOAD, UPGRADE = "full", "restore", "overload", "upgrade"
FURTHER_FAULTS = {
    DUPLICATE: "what is said is said twice",
    REORDER: "what was said comes in another order",
    CLOCK: "its clock is an hour ahead, then ten minutes behind",
    FULL: "ten seconds without a byte left on the disk of all servers",
    RESTORE: "the database is gone, and its newest backup goes into an empty one",
    OVERLOAD: "ten seconds of four times the work",
    UPGRADE: "the schema is brought up to date, and all processes of ours begin anew one by one",
}
EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Part:
    """A process that is hurt. `limit` is in seconds on a quiet machine; `probes` are what it must do again."""

    limit: float
    probes: tuple[str, ...]


PARTS = {
    "web": Part(5, ("form",)),
    "relay": Part(5, ("timer",)),
    "celery": Part(20, ("celery",)),
    "zeebe-worker": Part(20, ("zeebe",)),
    "temporal-worker": Part(25, ("temporal",)),
    "redis": Part(10, ("celery",)),
    "postgresql": Part(10, ("form", "timer")),
    "zeebe": Part(60, ("zeebe",)),
    "temporal": Part(15, ("temporal",)),
}


WHOLE = Part(90, tuple(dict.fromkeys(probe for part in PARTS.values() for probe in part.probes)))
"""All parts together."""
SMALL = ("web", "relay", "redis", "postgresql")
"""Parts of a run without the engines."""


class NoSuchCell(ValueError):
    """There is no cell of this name"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One part hurt in one way."""

    part: str
    fault: str

    @property
    def name(self) -> str:
        return f"{self.part}:{self.fault}"

    @property
    def limit(self) -> float | None:
        """Seconds to serve again after a kill; of the other faults nobody has said."""
        return part(self.part).limit if self.fault == KILL else None


def part(name: str) -> Part:
    """A part by its name, or all of them."""
    return WHOLE if name == EVERYTHING else PARTS[name]


MATRIX = tuple(Cell(part, fault) for fault in FAULTS for part in PARTS)
FURTHER = (
    Cell("web", DUPLICATE),
    Cell("relay", DUPLICATE),
    Cell("relay", REORDER),
    Cell("celery", DUPLICATE),
    Cell("celery", REORDER),
    Cell("zeebe-worker", DUPLICATE),
    Cell("zeebe-worker", REORDER),
    Cell("temporal-worker", DUPLICATE),
    Cell("temporal-worker", REORDER),
    *(Cell(part, CLOCK) for part in ("web", "relay", "celery", "zeebe-worker", "temporal-worker", "zeebe")),
    Cell(EVERYTHING, KILL),
    Cell(EVERYTHING, FULL),
    Cell(EVERYTHING, RESTORE),
    Cell(EVERYTHING, OVERLOAD),
    Cell(EVERYTHING, UPGRADE),
)
"""Cells of a whole run beside the matrix."""
MOVES_ZEEBE = (Cell("zeebe-worker", DUPLICATE), Cell("zeebe", CLOCK))
"""Those that need a broker whose clock can be moved."""


def chosen(seed: int, number: int = QUICK) -> list[Cell]:
    """The cells of a quick run in the order of their turn: the same ones for the same seed, every kill among them."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    kills = [cell for cell in MATRIX if cell.fault == KILL]
    others = chance.sample([cell for cell in MATRIX if cell.fault != KILL], number - len(kills))
    return chance.sample(kills + others, number)


def kills(seed: int) -> list[Cell]:
    """The kills of all parts, in an order that the seed chooses."""
    return random.Random(seed).sample([cell for cell in MATRIX if cell.fault == KILL], len(PARTS))  # noqa: S311


def small() -> list[Cell]:
    """The kills of :data:`SMALL`."""
    return [cell for cell in MATRIX if cell.part in SMALL and cell.fault == KILL]


def named(names: Iterable[str]) -> list[Cell]:
    """The cells of names such as `redis:kill`; `*` stands for every part or fault of the matrix.

    Raises :class:`NoSuchCell`.
    """
    found: list[Cell] = []
    for name in names:
        part, _, fault = name.strip().partition(":")
        these = [cell for cell in MATRIX if part in ("*", cell.part) and fault in ("*", cell.fault)]
        these = these or [cell for cell in FURTHER if cell.name == name.strip()]
        if not these:
            further = ", ".join(cell.name for cell in FURTHER)
            raise NoSuchCell(f"{name!r} is no cell; parts: {', '.join(PARTS)}; faults: {', '.join(FAULTS)}; {further}")
        found += [cell for cell in these if cell not in found]
    return found
