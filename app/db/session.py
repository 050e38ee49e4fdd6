"""The async engine and its sessions, one engine per event loop. Only edges commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from app.core.settings import settings

_engines: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncEngine] = WeakKeyDictionary()


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def make_engine(url: str | None = None) -> AsyncEngine:
    """A pooled engine with the time limits of the settings; made on first use, never at import."""
    database = settings().database
    return create_async_engine(
        url or database.url,
        pool_size=database.pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=False,
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        connect_args={
            "timeout": 5,
            "server_settings": {
                "application_name": "dams",
                "statement_timeout": str(database.statement_timeout_ms),
                "lock_timeout": str(database.lock_timeout_ms),
                "idle_in_transaction_session_timeout": "30000",
                "jit": "off",
            },
        },
    )


def engine() -> AsyncEngine:
    """The engine of the running loop. asyncpg connections belong to the loop that made them."""
    loop = asyncio.get_running_loop()
    if loop not in _engines:
        _engines[loop] = make_engine()
    return _engines[loop]


async def dispose() -> None:
    """Close the running loop's connections."""
    found = _engines.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.dispose()


@asynccontextmanager
async def transaction() -> AsyncGenerator[AsyncSession]:
    """A session whose work commits when the block ends and is rolled back when it raises."""
    async with AsyncSession(engine(), expire_on_commit=False) as session, session.begin():
        yield session


@asynccontextmanager
async def reading() -> AsyncGenerator[AsyncSession]:
    """A session for reads. Each statement stands alone, so no BEGIN and ROLLBACK are paid for around it."""
    async with AsyncSession(
        engine().execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False
    ) as session:
        yield session
