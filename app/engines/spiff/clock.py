"""The service's clock: real time plus an offset that only the demo's test clock moves."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from app.clinic import audit
from app.core.actor import Actor
from app.core.errors import Invalid
from app.db.session import reading, transaction
from app.engines.spiff import timers

FARTHEST = timedelta(days=3660)
STOPS = 1_000
"""Times at which one move of the clock stops; what is due after them comes all at once."""
PATIENCE = 250
"""How often, 20 ms apart, to ask whether another process has done what is due."""


@dataclass(frozen=True, slots=True)
class ClockState:
    now: datetime
    fired: int


async def advance(actor: Actor, by: timedelta) -> ClockState:
    """Move the clock forward and fire all that became due, in due order, before answering.

    The clock stops at each time that something is due, so what that sets up, and the next turn of a cycle, come
    as they would have by waiting. Raises :class:`Invalid`.
    """
    if not timedelta(0) <= by <= FARTHEST:
        raise Invalid({"advance": "From PT0S to ten years; the clock never goes back."})
    async with transaction() as session:
        await audit.record(session, "clock.advanced", actor_id=actor.id, data={"seconds": int(by.total_seconds())})
    fired, target = 0, await _offset() + int(by.total_seconds())
    for _ in range(STOPS):
        seconds = await timers.next_due()
        stop = None if seconds is None else await _offset() + math.ceil(seconds)
        if stop is None or stop >= target:
            break
        await _set(stop)
        made = await _fire_all()
        fired += made
        if not made:
            break
    await _set(target)
    fired += await _fire_all()
    async with reading() as session:
        now = await session.scalar(text("select dams_now()"))
    if now is None:  # pragma: no cover - the function always answers
        raise RuntimeError("dams_now() gave nothing")
    return ClockState(now, fired)


async def _offset() -> int:
    async with reading() as session:
        return int(await session.scalar(text("select offset_seconds from service_clock")) or 0)


async def _set(seconds: int) -> None:
    """Never back: two people may move the clock at once."""
    async with transaction() as session:
        await session.execute(
            text("update service_clock set offset_seconds = greatest(offset_seconds, :seconds)"), {"seconds": seconds}
        )


async def _fire_all() -> int:
    """Fire until nothing is due any more, also what a relay has in hand just now."""
    fired = 0
    for _ in range(PATIENCE):
        while made := await timers.fire_due():
            fired += made
        seconds = await timers.next_due()
        if seconds is None or seconds > 0:
            break
        await asyncio.sleep(0.02)
    return fired
