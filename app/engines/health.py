"""Whether each server can be reached: asked at the same time, each for a second at most, remembered for two."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from sqlalchemy import text

from app.core.errors import Unavailable
from app.core.settings import settings
from app.db.session import reading
from app.engines.zeebe import broker

LIMIT, KEPT = 1.0, 2.0
_known: tuple[float, dict[str, str]] | None = None


async def _postgresql() -> None:
    async with reading() as session:
        await session.execute(text("select 1 from service_clock"))


async def _reach(host: str | None, port: int | None) -> None:
    _reader, writer = await asyncio.open_connection(host, port)
    writer.close()


async def _redis() -> None:
    parts = urlsplit(settings().redis.url)
    await _reach(parts.hostname, parts.port or 6379)


async def _zeebe() -> None:
    if not await broker.answers():  # a gateway without a leader takes connections and nothing else
        raise Unavailable("Zeebe has no leader.", engine="zeebe")


async def _temporal() -> None:
    host, _, port = settings().temporal.address.rpartition(":")
    await _reach(host, int(port))


async def _airflow() -> None:
    parts = urlsplit(settings().airflow.url)
    await _reach(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))


PROBES: dict[str, Callable[[], Awaitable[None]]] = {
    "postgresql": _postgresql,
    "redis": _redis,
    "zeebe": _zeebe,
    "temporal": _temporal,
    "airflow": _airflow,
}
"""One for each server; an optional one is asked where it is switched on."""


async def states() -> dict[str, str]:
    """``up`` or ``down`` per server. A server that is down costs its own work, never the rest."""
    global _known
    if _known is not None and time.monotonic() - _known[0] < KEPT:
        return _known[1]
    wanted = {name: probe for name, probe in PROBES.items() if name != "airflow" or settings().airflow.url}
    answers = await asyncio.gather(*(_state(probe) for probe in wanted.values()))
    found = dict(zip(wanted, answers, strict=True))
    _known = (time.monotonic(), found)
    return found


def forget() -> None:
    """Ask anew. For a process that changes its settings, as a test run does."""
    global _known
    _known = None


async def _state(probe: Callable[[], Awaitable[None]]) -> str:
    try:
        await asyncio.wait_for(probe(), LIMIT)
    except Exception:  # noqa: BLE001 - a probe of any client may fail in any way; down is the answer
        return "down"
    return "up"
