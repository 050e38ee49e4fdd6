"""The async engine and its sessions, one engine per event loop. Only edges commit."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import PoolProxiedConnection, event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from app.core.settings import settings

Session = AsyncConnection
"""What functions take to read and write: one connection, in the transaction of the edge that opened it. No ORM."""


class _OfLoop(NamedTuple):
    engine: AsyncEngine
    autocommit: AsyncEngine
    """The same one for reads; made once, since options cost as much as a statement."""
    spare: list[PoolProxiedConnection]
    """Taken from the pool and not given back, since that costs as much again."""


_engines: WeakKeyDictionary[asyncio.AbstractEventLoop, _OfLoop] = WeakKeyDictionary()


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def make_engine(url: str | None = None) -> AsyncEngine:
    """A pooled engine with the time limits of the settings; made on first use, never at import."""
    database = settings().database
    made = create_async_engine(
        url or database.url,
        pool_size=database.pool_size,
        max_overflow=0,
        pool_timeout=database.pool_seconds,
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
    event.listen(made.sync_engine, "handle_error", _lost, retval=True)
    return made


def _lost(context: ExceptionContext) -> BaseException | None:
    """A connection that ended in the middle of a statement is told as a server that is away: callers wait for both."""
    told = context.sqlalchemy_exception
    if not context.is_disconnect or not isinstance(told, DBAPIError) or isinstance(told, OperationalError):
        return None
    if told.orig is None:
        return None
    return OperationalError(told.statement, told.params, told.orig, connection_invalidated=True)


def engine() -> AsyncEngine:
    """The engine of the running loop. asyncpg connections belong to the loop that made them."""
    return _of_loop().engine


def _of_loop() -> _OfLoop:
    loop = asyncio.get_running_loop()
    found = _engines.get(loop)
    if found is None:
        made = make_engine()
        found = _engines[loop] = _OfLoop(made, made.execution_options(isolation_level="AUTOCOMMIT"), [])
    return found


async def take() -> PoolProxiedConnection:
    """A connection of the running loop's pool, for who begins no transaction on it. Give it back with :func:`leave`."""
    of_loop = _of_loop()
    while of_loop.spare:
        held = of_loop.spare.pop()
        if not cast("Any", held.driver_connection).is_closed():
            return held
        await greenlet_spawn(held.invalidate)
    return await greenlet_spawn(of_loop.engine.sync_engine.pool.connect)


async def leave(held: PoolProxiedConnection) -> None:
    """Give a connection back. A few are kept at hand for the next who takes one, never more than a quarter."""
    spare = _of_loop().spare
    if held.is_valid and len(spare) < settings().database.pool_size // 4:
        spare.append(held)
    else:
        await greenlet_spawn(held.close)


def in_use() -> int:
    """How many connections of the running loop work for somebody."""
    of_loop = _of_loop()
    return cast("Any", of_loop.engine.pool).checkedout() - len(of_loop.spare)


async def dispose() -> None:
    """Close the running loop's connections."""
    found = _engines.pop(asyncio.get_running_loop(), None)
    if found is not None:
        for held in found.spare:
            await greenlet_spawn(held.close)
        await found.engine.dispose()


def transaction() -> AbstractAsyncContextManager[Session]:
    """A session whose work commits when the block ends and is rolled back when it raises."""
    return engine().begin()


def reading() -> AbstractAsyncContextManager[Session]:
    """A session for reads. Each statement stands alone, so no BEGIN and ROLLBACK are paid for around it."""
    return _of_loop().autocommit.connect()
