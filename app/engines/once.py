"""The inbox: whoever applies an effect that may come twice asks here first, in the transaction of the effect."""

from __future__ import annotations

from sqlalchemy import text

from app.db.session import Session


async def first_time(session: Session, kind: str, key: str) -> bool:
    """Whether this effect is applied for the first time; the row that says so commits with the effect."""
    done = await session.execute(
        text("insert into inbox (kind, key) values (:kind, :key) on conflict do nothing returning key"),
        {"kind": kind, "key": key},
    )
    return done.first() is not None
