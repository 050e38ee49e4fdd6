"""The async engine and its sessions, one engine per event loop. Only edges commit."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.core.settings import settings

Session = AsyncConnection
"""What functions take to read and write: one connection, in the transaction of the edge that opened it. No ORM."""

_engines: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[AsyncEngine, AsyncEngine]] = WeakKeyDictionary()


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def make_engine(url: str | None = None) -> AsyncEngine:
    """A pooled engine with the time limits of the settings; made on first use, never at import."""
    database = settings().database
    return create_async_engine(
        url or database.url,
        pool_size=database.pool_size,
        max_overflow=0,
        pool_timeout=database.connect_seconds,
        pool_pre_ping=False,
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        connect_args={
            "timeout": database.connect_seconds,
            "server_settings": {
                "application_name": "dams",
                "statement_timeout": str(database.statement_timeout_ms),
                "lock_timeout": str(database.lock_timeout_ms),
                "idle_in_transaction_session_timeout": str(database.idle_in_transaction_timeout_ms),
                "jit": "off",
            },
        },
    )


def engine() -> AsyncEngine:
    """The engine of the running loop. asyncpg connections belong to the loop that made them."""
    return _of_loop()[0]


def _of_loop() -> tuple[AsyncEngine, AsyncEngine]:
    """The loop's engine, and the same one for reads; made once, since options cost as much as a statement."""
    loop = asyncio.get_running_loop()
    found = _engines.get(loop)
    if found is None:
        made = make_engine()
        found = _engines[loop] = (made, made.execution_options(isolation_level="AUTOCOMMIT"))
    return found


async def dispose() -> None:
    """Close the running loop's connections."""
    found = _engines.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found[0].dispose()


def transaction() -> AbstractAsyncContextManager[Session]:
    """A session whose work commits when the block ends and is rolled back when it raises."""
    return engine().begin()


def reading() -> AbstractAsyncContextManager[Session]:
    """A session for reads. Each statement stands alone, so no BEGIN and ROLLBACK are paid for around it."""
    return _of_loop()[1].connect()
