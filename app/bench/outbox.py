"""The outbox under load: rows of a real kind through the relay to the broker of the pipelines, which keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import asyncpg
from redis.asyncio import Redis

from app.bench import usage
from app.bench.flow import machine
from app.bench.place import Place

KIND = "celery-pipeline"
PER_COMMIT = 20
"""Rows of one transaction in the burst."""
PACE = 50
"""Rows a second, each with a commit of its own, while the way of a single one is measured."""
LIMIT = 300.0

_ASK = f"""insert into outbox (id, kind, key, payload)
           select id, '{KIND}', 'bench:' || id, jsonb_build_object('run', id)
           from (select gen_random_uuid() as id from generate_series(1, $1)) given"""  # noqa: S608 - a constant
_LEFT = f"select count(*) from outbox where kind = '{KIND}' and state <> 'sent'"  # noqa: S608
_WAYS = """select percentile_cont(array[0.5, 0.95]) within group (
               order by extract(epoch from sent_at - created_at) * 1000)
           from outbox where kind = $1 and created_at between $2 and $3"""
_BURST = """select count(*) / greatest(extract(epoch from max(sent_at) - min(created_at)), 0.001)
            from outbox where kind = $1 and created_at >= $2"""


async def measure(
    place: Place, broker: str, rows: int, seconds: float, report: Callable[[str], None]
) -> dict[str, Any]:
    """Rows one by one for *seconds*, then *rows* as fast as they can be written; what the relay made of both."""
    connection = await asyncpg.connect((place.database or "").replace("+asyncpg", ""))
    figures = machine()
    try:
        await _write(connection, 50, 50)
        await _all_sent(connection)  # the first ones pay for connections
        began = await connection.fetchval("select clock_timestamp()")
        report(f"{PACE} rows a second for {seconds:.0f} s")
        for _ in range(int(seconds * PACE)):
            await asyncio.gather(connection.execute(_ASK, 1), asyncio.sleep(1 / PACE))
        burst = await connection.fetchval("select clock_timestamp()")
        await _all_sent(connection)
        ways = await connection.fetchval(_WAYS, KIND, began, burst)
        burst = await connection.fetchval("select clock_timestamp()")
        report(f"{rows} rows at once")
        before = usage.trees(place.processes)["relay"][0]
        await _write(connection, rows, PER_COMMIT)
        await _all_sent(connection)
        spent = usage.trees(place.processes)["relay"][0] - before
        return figures | {
            "rows": rows,
            "sent_p50_ms": float(ways[0]),
            "sent_p95_ms": float(ways[1]),
            "rows_per_s": float(await connection.fetchval(_BURST, KIND, burst)),
            "relay_cpu_ms": spent * 1000 / rows,
            "errors": await connection.fetchval("select count(*) from outbox where state = 'dead'"),
            **await _kept(connection, broker),
        }
    finally:
        await connection.close()


async def _write(connection: asyncpg.Connection, rows: int, at_once: int) -> None:
    for first in range(0, rows, at_once):
        await connection.execute(_ASK, min(at_once, rows - first))


async def _all_sent(connection: asyncpg.Connection) -> None:
    """Raises TimeoutError where the relay does not come to an end."""
    async with asyncio.timeout(LIMIT):
        while await connection.fetchval(_LEFT):  # noqa: ASYNC110 - the database has no event
            await asyncio.sleep(0.05)


async def _kept(connection: asyncpg.Connection, broker: str) -> dict[str, Any]:
    """How many rows the broker did not get, and how many twice: no worker takes any of them."""
    async with Redis.from_url(broker) as redis:
        waiting = int(await cast("Any", redis.llen("celery")))
    asked = int(await connection.fetchval("select count(*) from outbox where kind = $1", KIND) or 0)
    return {"lost": max(asked - waiting, 0), "doubled": max(waiting - asked, 0)}
