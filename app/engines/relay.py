"""Carries the outbox to its receivers: claim, send, mark; back off; park what cannot be sent as an incident.

A row is claimed by moving its next try into the future, so no transaction is open while a server is spoken to.
A relay that dies between sending and marking leaves the row to be sent again with the same id: at least once.
What several sends have done meanwhile is marked by one statement with one commit.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.errors import Unavailable
from app.core.log import log
from app.core.settings import settings
from app.core.together import Together
from app.db.session import reading, transaction
from app.engines import broker, calls, dags, letters, mail, pipelines, reservations, temporal, workflows
from app.engines.senders import Effect, Undeliverable, senders
from app.engines.spiff import jobs, thrown
from app.engines.zeebe import carrier

SENDING = (calls, dags, jobs, letters, mail, pipelines, reservations, thrown, workflows, carrier)
"""The modules that send; importing them registers their senders. A new effect is one module and its name here."""
PREPARING = (broker.prepare, carrier.prepare, temporal.prepare)
LONGEST_BACK_OFF = 600.0
LONGEST_WAIT = 5.0

BEHIND = ("mail",)
"""Kinds that nothing waits for: while others are under way, only a few of them are."""
GROUPED = ("celery-pipeline",)
"""Kinds that leave in one message however many they are: the more of them at once, the less each of them costs."""

_CLAIM = text("""
    with first as (
        select id from outbox where state = 'pending' and next_at <= now() and kind <> all(cast(:others as text[]))
        order by next_at limit :limit for update skip locked),
    behind as (
        select id from outbox where state = 'pending' and next_at <= now() and kind = any(cast(:behind as text[]))
        order by next_at limit :few for update skip locked),
    grouped as (
        select id from outbox where state = 'pending' and next_at <= now() and kind = any(cast(:grouped as text[]))
        order by next_at limit :many for update skip locked)
    update outbox o set next_at = now() + make_interval(secs => :lease), attempts = attempts + 1
    from (select id from first union all select id from behind union all select id from grouped) due
    where o.id = due.id returning o.id, o.kind, o.key, o.payload, o.attempts
""").columns(payload=JSONB)
_SENT = text("""
    update outbox set state = 'sent', sent_at = clock_timestamp(), last_error = null
    where id = any(cast(:ids as uuid[]))
""")


async def prepare() -> bool:
    """Connect to the engines, so that the first effects after a start need not wait for it; False while one is away."""
    ends = await asyncio.gather(*(one() for one in PREPARING), return_exceptions=True)
    return not any(isinstance(end, BaseException) for end in ends)


async def claim(
    limit: int, full: Collection[str] = (), behind: int | None = None, grouped: int | None = None
) -> list[Effect]:
    """Take due effects for this process: up to *limit*, none of the kinds in *full*, and up to *behind* and *grouped*
    (by default *limit* too) of those that nothing waits for and of those that leave together. Each must go through
    :func:`deliver` at once.
    """
    given = {
        "limit": limit,
        "few": limit if behind is None else behind,
        "many": limit if grouped is None else grouped,
        "others": [*full, *BEHIND, *GROUPED],
        "behind": list(BEHIND),
        "grouped": list(GROUPED),
        "lease": settings().relay.lease_seconds,
    }
    async with reading() as session:  # one statement, which commits by itself
        rows = await session.execute(_CLAIM, given)
        return [Effect(row.id, row.kind, row.key, row.payload, row.attempts) for row in rows]


async def _mark(ids: list[UUID]) -> None:
    async with reading() as session:
        await session.execute(_SENT, {"ids": ids})


_sent = Together(_mark)


async def deliver(effect: Effect) -> None:
    """Send a claimed effect and mark it: sent, to be tried again, or parked."""
    send = senders.get(effect.kind)
    if send is None:
        await _park(effect, f"nothing sends {effect.kind!r}")
        return
    try:
        # Half the lease: while it is being sent nobody else may think that this process has died.
        await asyncio.wait_for(send(effect), settings().relay.lease_seconds / 2)
    except Undeliverable as error:
        await _park(effect, error.detail)
    except Unavailable as error:
        await _wait(effect, error.detail)
    except Exception as error:  # noqa: BLE001 - whatever a receiver's client raises, the row must be tried again
        await _back_off(effect, f"{type(error).__name__}: {error}"[:500])
    else:
        await _sent.add(effect.id)


def delay(attempts: int) -> float:
    """Seconds before the next try: doubling from half a second, at most ten minutes, spread by a third."""
    return min(0.5 * 2 ** (attempts - 1), LONGEST_BACK_OFF) * random.uniform(0.67, 1.33)  # noqa: S311 - no secret


async def _wait(effect: Effect, error: str) -> None:
    """A server that is away is waited for, however long, and its tries are not counted: what was accepted is done."""
    async with transaction() as session:
        await session.execute(
            text("""update outbox set next_at = now() + make_interval(secs => :delay), attempts = attempts - 1,
                    last_error = :error where id = :id"""),
            {"id": effect.id, "delay": LONGEST_WAIT * random.uniform(0.2, 1), "error": error},  # noqa: S311 - no secret
        )


async def _back_off(effect: Effect, error: str) -> None:
    if effect.attempts >= settings().relay.max_attempts:
        await _park(effect, error)
        return
    log.warning("effect will be tried again", outbox=str(effect.id), kind=effect.kind, attempts=effect.attempts)
    async with transaction() as session:
        await session.execute(
            text("""update outbox set next_at = now() + make_interval(secs => :delay), last_error = :error
                    where id = :id"""),
            {"id": effect.id, "delay": delay(effect.attempts), "error": error},
        )


async def _park(effect: Effect, error: str) -> None:
    """A dead letter is an incident that ops can see and retry."""
    log.error("effect is parked", outbox=str(effect.id), kind=effect.kind)
    async with transaction() as session:
        await session.execute(
            text("update outbox set state = 'dead', last_error = :error where id = :id"),
            {"id": effect.id, "error": error},
        )
        await session.execute(
            text("""insert into incident (outbox_id, n, element_id, code, message)
                    values (:id, 1, '', 'dead-letter', :message)"""),
            {"id": effect.id, "message": f"{effect.kind} could not be sent: {error}"},
        )
