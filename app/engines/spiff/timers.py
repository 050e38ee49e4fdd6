"""Fires due timers and goes on with unfinished instances: any number of processes may do it at once.

The row of a timer is locked with SKIP LOCKED while it is fired, so each is fired by one process, once.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core.log import log
from app.db.session import reading, transaction
from app.engines.spiff import instances, messages, starts

_DUE = text("""
    select instance_id, due_at from timer where due_at <= dams_now() and not (instance_id = any(:skipped))
    order by due_at, instance_id limit 1 for update skip locked
""")
_FIRST = text("""
    select (select min(due_at) from start_event where due_at <= dams_now()) as start_at,
           (select min(due_at) from timer where due_at <= dams_now()) as timer_at
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
        found = await _start_one() if await _starts_first() else await _fire_one(_DUE, skipped)
        if found is None:
            break
        fired += found
    return fired


async def _starts_first() -> bool:
    """Whether the next thing due is a process to start, and not a timer of a running instance."""
    async with reading() as session:
        row = (await session.execute(_FIRST)).one()
    return row.start_at is not None and (row.timer_at is None or row.start_at <= row.timer_at)


async def _start_one() -> int | None:
    """Start the process whose time has come: 1; None if somebody else does."""
    start_id: int | None = None
    try:
        async with transaction() as session:
            row = await starts.next_due(session)
            if row is None:
                return None
            start_id = row.id
            await starts.plan_next(session, row)
            await messages.begin(session, None, row.model_id, row.element_id, {})
    except Exception as error:  # edge of the relay: one broken model must not stop the others
        if start_id is None or (isinstance(error, DBAPIError) and _is_away(error)):
            raise
        log.error("process cannot start", start=start_id, error=type(error).__name__)
        async with transaction() as session:
            await session.execute(
                text("update start_event set due_at = dams_now() + interval '5 min' where id = :id"), {"id": start_id}
            )
    return 1


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
        seconds = await session.scalar(
            text("""select extract(epoch from least((select min(due_at) from timer),
                                                    (select min(due_at) from start_event)) - dams_now())""")
        )
    return None if seconds is None else max(0.0, float(seconds))
