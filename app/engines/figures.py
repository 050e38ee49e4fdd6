"""How much waits, for Prometheus and for whoever is on call: counted in PostgreSQL, so every process tells the same."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import text

from app.db.session import reading

KEPT = 2.0
_known: tuple[float, Figures] | None = None

_WAITING = text("""
    select (select count(*) from outbox where state = 'pending') as outbox,
           (select coalesce(extract(epoch from now() - min(next_at)), 0) from outbox
            where state = 'pending' and next_at <= now()) as overdue,
           (select count(*) from timer where due_at <= dams_now()) as timers
""")
_INCIDENTS = text("select code, count(*) as open from incident where resolved_at is null group by code")
_SIGNS = text("""
    select kind, extract(epoch from now() - max(seen_at)) as age,
           count(*) filter (where seen_at > now() - interval '8 s') as alive
    from worker_heartbeat group by kind
""")


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts, and ages in seconds.

    `overdue` is how long the oldest effect waits past its time; `signs` is kind → (age of the newest sign, alive).
    """

    outbox: int
    overdue: float
    timers: int
    incidents: dict[str, int]
    signs: dict[str, tuple[float, int]]


async def counted() -> Figures:
    """The figures, at most two seconds old: anybody may ask, and asking often must not cost."""
    global _known
    if _known is not None and time.monotonic() - _known[0] < KEPT:
        return _known[1]
    async with reading() as session:
        waiting = (await session.execute(_WAITING)).one()
        incidents = {row.code: row.open for row in await session.execute(_INCIDENTS)}
        signs = {row.kind: (float(row.age), row.alive) for row in await session.execute(_SIGNS)}
    found = Figures(waiting.outbox, float(waiting.overdue), waiting.timers, incidents, signs)
    _known = (time.monotonic(), found)
    return found


def forget() -> None:
    """Count anew. For a process that changes its database, as a test run does."""
    global _known
    _known = None
