"""Signs of life of worker and beat, from what they really did last; what the worker offers; and Redis's durability.

The worker pings itself through the broker: a consumer that has stopped taking messages writes no sign. Beat's sign
stands for its last tick.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis
from celery import Celery
from celery.beat import Scheduler
from celery.signals import beat_init, worker_init, worker_ready, worker_shutting_down
from redis.exceptions import RedisError
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.log import log
from app.core.settings import settings
from app.db.session import dispose, transaction
from app.engines import heartbeat
from workers import registry

WORKER, BEAT = "celery", "beat"
TICK_SECONDS = 10.0


class Durable(RuntimeError):
    """Redis would forget its queue at a restart"""


@worker_init.connect
def check_redis(**_: Any) -> None:
    """A worker refuses a Redis without append-only file: after its restart, tasks would be gone without an error."""
    if not settings().pipelines.check_aof:
        return
    client = redis.Redis.from_url(settings().celery.broker_url, socket_timeout=5)
    try:
        found = client.config_get("appendonly", "maxmemory-policy")
    except (RedisError, OSError) as error:
        log.warning("Redis does not say whether it is durable", error=type(error).__name__)
        return
    finally:
        client.close()
    if found.get("appendonly") != "yes" or found.get("maxmemory-policy") != "noeviction":
        log.error("set appendonly yes and maxmemory-policy noeviction in Redis, or pipelines.check_aof = false")
        raise SystemExit(f"{Durable.__doc__}: {found}")


@worker_ready.connect
def worker_lives(sender: Any, **_: Any) -> None:
    hostname, app = str(sender.hostname), sender.app

    async def answers() -> bool:
        return bool(await asyncio.to_thread(_ping, app, hostname))

    _Signs(
        WORKER, answers, {"pipelines": sorted(registry.pipelines), "concurrency": settings().celery.worker_concurrency}
    )


def _ping(app: Celery, hostname: str) -> list[Any]:
    try:
        return app.control.ping(destination=[hostname], timeout=5)
    except (RedisError, OSError):
        return []


class TickingScheduler(Scheduler):
    """Beat's scheduler, which remembers when it last looked. It keeps no file: all it sends is due within seconds."""

    ticked = time.monotonic()

    def tick(self, *arguments: Any, **named: Any) -> Any:
        TickingScheduler.ticked = time.monotonic()
        return super().tick(*arguments, **named)


@beat_init.connect
def beat_lives(**_: Any) -> None:
    async def ticks() -> bool:
        return time.monotonic() - TickingScheduler.ticked < TICK_SECONDS

    _Signs(BEAT, ticks, {})


class _Signs:
    """A thread with a loop of its own that writes the sign while *lives* says so."""

    current: _Signs | None = None

    def __init__(self, kind: str, lives: Callable[[], Awaitable[bool]], data: dict[str, Any]) -> None:
        self._kind, self._lives, self._data = kind, lives, data
        self.ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name=f"{kind}-signs", daemon=True)
        _Signs.current = self
        self._thread.start()

    async def _run(self) -> None:
        announced = self._kind != WORKER
        while not self.ending.is_set():
            try:
                if await self._lives():
                    await heartbeat.beat(self._kind, self._data)
                    if not announced:
                        await announce()
                        announced = True
            except Exception as error:  # noqa: BLE001 - the sign is late while PostgreSQL is away; the thread must live
                log.warning("no sign of life written", kind=self._kind, error=type(error).__name__)
            await asyncio.to_thread(self.ending.wait, heartbeat.EVERY_SECONDS)
        try:
            await heartbeat.rest(self._kind)
            await dispose()
        except Exception as error:  # noqa: BLE001 - ending without PostgreSQL is still an end
            log.warning("the sign of life stays behind", kind=self._kind, error=type(error).__name__)


@worker_shutting_down.connect
def worker_rests(**_: Any) -> None:
    if _Signs.current is not None:
        _Signs.current.ending.set()


_ANNOUNCE = text("""
    insert into pipeline (name, title, description, input_schema, roles)
    values (:name, :title, :description, :input_schema, :roles)
    on conflict (name) do update set title = excluded.title, description = excluded.description,
        input_schema = excluded.input_schema, roles = excluded.roles, announced_at = now()
""").bindparams(bindparam("input_schema", type_=JSONB))


async def announce() -> None:
    """Write what this worker offers, so that the pages can show it; what no worker knows any more goes."""
    async with transaction() as session:
        known = list(registry.pipelines.values())
        await session.execute(
            text("delete from pipeline where name <> all(:names)"), {"names": [one.name for one in known]}
        )
        for one in known:
            given = {"name": one.name, "title": one.title, "description": one.description, "roles": list(one.roles)}
            await session.execute(_ANNOUNCE, given | {"input_schema": one.input.model_json_schema()})
