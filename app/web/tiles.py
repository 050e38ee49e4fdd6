"""The cards on top of the ops page: one function each. A new card is one function under :func:`tile`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from app.core.settings import settings
from app.engines.heartbeat import Sign
from app.engines.operations import MOST, Counts, Waiting

State = Literal["up", "partly", "down", "off"]
WORDS: dict[State, str] = {"up": "up", "partly": "partly up", "down": "down", "off": "off"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read for all cards at one moment. `servers` says "up" or "down" for each server that is configured."""

    at: datetime
    servers: dict[str, str]
    signs: list[Sign]
    counts: Counts
    waiting: list[Waiting]
    queued: int | None

    def of(self, kind: str) -> list[Sign]:
        return [sign for sign in self.signs if sign.kind == kind]


@dataclass(frozen=True, slots=True)
class Tile:
    """One engine: its state, a line or two of figures, and its processes with their last sign of life."""

    title: str
    state: State
    lines: list[str] = field(default_factory=list[str])
    workers: list[Sign] = field(default_factory=list[Sign])
    seen: datetime | None = None
    """The newest sign of life, said where the engine is not up."""

    @property
    def word(self) -> str:
        return WORDS[self.state]


Make = Callable[[Facts], Tile]
TILES: list[Make] = []


def tile(make: Make) -> Make:
    """Put a card on the page, behind those above it."""
    TILES.append(make)
    return make


def all_of(facts: Facts) -> list[Tile]:
    return [make(facts) for make in TILES]


@tile
def spiff(facts: Facts) -> Tile:
    """People's work runs in the web itself, so only the relay beside it can be missing."""
    due = f"{_count(facts.counts.timers)} timers due"
    effects = sum(one.count for one in facts.waiting)
    lines = [f"{_count(facts.counts.tasks)} open tasks, {due}", f"{_count(effects)} effects to send"]
    return _engine(facts, "SpiffWorkflow", "postgresql", ("relay",), lines)


@tile
def zeebe(facts: Facts) -> Tile:
    types = {name for sign in facts.of("zeebe-worker") if sign.alive for name in sign.data.get("types", [])}
    return _engine(
        facts, "Zeebe", "zeebe", ("zeebe-worker",), [_runs(facts, "zeebe"), f"{len(types)} job types served"]
    )


@tile
def temporal(facts: Facts) -> Tile:
    queues = {name for sign in facts.of("temporal-worker") if sign.alive for name in sign.data.get("queues", [])}
    lines = [_runs(facts, "temporal"), f"{len(queues)} task queues served"]
    return _engine(facts, "Temporal", "temporal", ("temporal-worker",), lines)


@tile
def celery(facts: Facts) -> Tile:
    length = "queue not known" if facts.queued is None else f"{facts.queued} in the queue"
    return _engine(facts, "Celery", "redis", ("celery", "beat"), [_runs(facts, "celery"), length])


@tile
def airflow(facts: Facts) -> Tile:
    if "airflow" not in facts.servers:
        return Tile("Airflow", "off", ["dams up --with airflow switches it on"])
    return _engine(facts, "Airflow", "airflow", (), [_runs(facts, "airflow")])


@tile
def mail(facts: Facts) -> Tile:
    """Mail has no worker of its own: the relay sends it."""
    unsent = [one for one in facts.waiting if one.kind == "mail"]
    late = any(one.state != "pending" for one in unsent)
    lines = [f"{_count(sum(one.count for one in unsent))} to send", f"by {settings().mail.host}"]
    return Tile("Mail", "partly" if late else "up", lines)


def _engine(facts: Facts, title: str, server: str, kinds: tuple[str, ...], lines: list[str]) -> Tile:
    """An engine is up when its server answers and each kind of its processes shows a sign of life."""
    workers = [sign for kind in kinds for sign in facts.of(kind)]
    missing = [kind for kind in kinds if not facts.of(kind)]
    state: State = "up"
    if facts.servers.get(server) != "up":
        state, lines = "down", [f"{server} does not answer", *lines]
    elif kinds and not any(sign.alive for sign in workers):
        state = "down"
    elif missing or not all(sign.alive for sign in workers):
        state = "partly"
    lines = [*(f"no {kind} process" for kind in missing), *lines]
    return Tile(title, state, lines, workers, max((sign.seen_at for sign in workers), default=None))


def _runs(facts: Facts, engine: str) -> str:
    return f"{_count(facts.counts.runs.get(engine, 0))} runs under way"


def _count(number: int) -> str:
    return f"{MOST} or more" if number >= MOST else str(number)
