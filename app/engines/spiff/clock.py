"""The service's clock: real time plus an offset that only the demo's test clock moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from app.clinic import audit
from app.core.actor import Actor
from app.core.errors import Invalid
from app.db.session import reading, transaction
from app.engines.spiff import timers

FARTHEST = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class ClockState:
    now: datetime
    fired: int


async def advance(actor: Actor, by: timedelta) -> ClockState:
    """Move the clock forward and fire all that became due, in due order, before answering.

    It commits between timers, so a long jump fires a cycle as often as waiting would have. Raises :class:`Invalid`.
    """
    if not timedelta(0) <= by <= FARTHEST:
        raise Invalid({"advance": "From PT0S to ten years; the clock never goes back."})
    async with transaction() as session:
        await session.execute(
            text("update service_clock set offset_seconds = offset_seconds + :seconds"),
            {"seconds": int(by.total_seconds())},
        )
        await audit.record(session, "clock.advanced", actor_id=actor.id, data={"seconds": int(by.total_seconds())})
    fired = 0
    while made := await timers.fire_due():
        fired += made
    async with reading() as session:
        now = await session.scalar(text("select dams_now()"))
    if now is None:  # pragma: no cover - the function always answers
        raise RuntimeError("dams_now() gave nothing")
    return ClockState(now, fired)
