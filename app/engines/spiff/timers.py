"""Fires due timers and goes on with unfinished instances: any number of processes may do it at once.

The row of a timer is locked with SKIP LOCKED while it is fired, so each is fired by one process, once.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core.log import log
from app.db.session import reading, transaction
from app.engines.spiff import instances

_DUE = text("""
    select instance_id, due_at from timer where due_at <= dams_now() and not (instance_id = any(:skipped))
    order by due_at, instance_id limit 1 for update skip locked
""")
_UNFINISHED = text("""
    select id from instance where unfinished and not (id = any(:skipped)) order by id limit 1 for update skip locked
""")

AWAY = ("08", "53", "57")  # connection lost, out of resources, shutting down
BUSY = ("40001", "40P01", "55P03", "57014")  # somebody else's lock: the next round tries again


async def fire_due(limit: int = 1000) -> int:
    """Fire what is due, in due order, each instance in a transaction of its own. How many steps were made."""
    fired, skipped = 0, list[UUID]()
    while fired < limit:
        found = await _fire_one(_DUE, skipped)
        if found is None:
            break
        fired += found
    return fired


async def go_on(limit: int = 1000) -> int:
    """Go on with instances that a bound of one request left unfinished. How many steps were made."""
    made, skipped = 0, list[UUID]()
    while made < limit:
        found = await _fire_one(_UNFINISHED, skipped)
        if found is None:
            break
        made += found
    return made


async def _fire_one(query: object, skipped: list[UUID]) -> int | None:
    """One step of the first instance that *query* finds: 1; 0 if somebody else has it; None if there is none."""
    instance_id: UUID | None = None
    try:
        async with transaction() as session:
            instance_id = await session.scalar(query, {"skipped": skipped})  # pyright: ignore[reportCallIssue, reportArgumentType]
            if instance_id is None:
                return None
            if not await instances.proceed(session, instance_id):
                skipped.append(instance_id)
                return 0
    except Exception as error:  # edge of the relay: one broken instance must not stop the others
        if instance_id is None or (isinstance(error, DBAPIError) and _is_away(error)):
            raise
        if isinstance(error, DBAPIError) and _state(error) in BUSY:
            skipped.append(instance_id)
            return 0
        log.error("instance cannot proceed", instance=str(instance_id), error=type(error).__name__)
        await _park(instance_id, type(error).__name__)
        skipped.append(instance_id)
        return 0
    return 1


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _is_away(error: DBAPIError) -> bool:
    """Whether the database went, and not this one instance's step."""
    return error.connection_invalidated or (_state(error)[:2] in AWAY and _state(error) not in BUSY)


async def _park(instance_id: UUID, error: str) -> None:
    """Make the failure visible and try again in five minutes."""
    async with transaction() as session:
        await session.execute(
            text("""update timer set due_at = dams_now() + interval '5 min'
                    where instance_id = :id and due_at <= dams_now()"""),
            {"id": instance_id},
        )
        await session.execute(text("update instance set unfinished = false where id = :id"), {"id": instance_id})
        await session.execute(
            text("""insert into incident (instance_id, n, element_id, code, message)
                    select :id, coalesce(max(n), 0) + 1, '', 'engine-error', :message
                    from incident where instance_id = :id
                    having count(*) filter (where code = 'engine-error' and resolved_at is null) = 0"""),
            {"id": instance_id, "message": f"The engine stopped with {error}."},
        )


async def next_due() -> float | None:
    """Seconds until the next timer, 0 when one is overdue, None without timers."""
    async with reading() as session:
        seconds = await session.scalar(text("select extract(epoch from min(due_at) - dams_now()) from timer"))
    return None if seconds is None else max(0.0, float(seconds))
