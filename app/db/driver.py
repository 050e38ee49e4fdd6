"""The few statements that every request makes, spoken to the driver itself.

SQLAlchemy's execution of a statement costs several times what sending it costs, and so do its connections and
transactions. What is rare stays with SQLAlchemy.
"""
# The adapter begins a transaction with its first statement and offers no public way to begin one without.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Self, cast

import asyncpg
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.util import greenlet_spawn

from app.db.session import Session, engine, leave, take


class Statement:
    """SQL with `:name` parameters, each of the PostgreSQL type that *types* gives it. Made once, at import."""

    def __init__(self, sql: str, types: Mapping[str, str]) -> None:
        names: list[str] = []

        def place(match: re.Match[str]) -> str:
            name = match[1]
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}::{types[name]}"

        self.sql = re.sub(r"(?<!:):([a-z_]+)", place, sql)
        self.names = tuple(names)


class Line:
    """A connection of the pool on which each statement stands alone, committed when it is answered.

    Used by ``async with``. For work that is one statement, or reads and then one: BEGIN and COMMIT, which such work
    does not need, would cost as much as the statements.
    """

    def __init__(self) -> None:
        self._engine = engine()
        self._held: PoolProxiedConnection | None = None

    @property
    def database(self) -> str:
        """Its name."""
        return self._engine.url.database or ""

    async def __aenter__(self) -> Self:
        self._held = await take()
        return self

    async def __aexit__(self, *_: object) -> None:
        held, self._held = self._held, None
        if held is not None:
            await leave(held)

    @property
    def adapter(self) -> Any:
        """SQLAlchemy's connection; its ``driver_connection`` is asyncpg's."""
        return cast("PoolProxiedConnection", self._held).dbapi_connection

    async def invalidate(self, error: BaseException) -> None:
        """Keep the connection out of the pool."""
        if self._held is not None:
            await greenlet_spawn(self._held.invalidate, error)

    async def dispose(self) -> None:
        """Let go of all connections that wait in the pool."""
        await self._engine.dispose()


async def first(session: Session | Line, statement: Statement, given: Mapping[str, Any]) -> Any | None:
    """The first row, its columns as attributes, or None. JSON goes in as text and comes out as values.

    Raises:
        DBAPIError: as SQLAlchemy would; a connection that was lost, or left in the middle of a statement, leaves the
            pool.
    """
    if isinstance(session, Line):
        adapter = session.adapter
    else:
        adapter = cast("Any", session.sync_connection).connection.dbapi_connection
    try:
        if adapter._transaction is None and not isinstance(session, Line):
            await adapter._start_transaction()  # nothing in an AUTOCOMMIT session
        row = await adapter.driver_connection.fetchrow(statement.sql, *[given[name] for name in statement.names])
    except asyncio.CancelledError as error:
        adapter.driver_connection.terminate()  # it is still being told to stop, and would refuse the next statement
        await session.invalidate(error)
        raise
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        if adapter.driver_connection.is_closed() or isinstance(error, asyncpg.InternalClientError):
            await session.invalidate(error)
            # What ended this connection has likely ended those beside it.
            await (session.dispose() if isinstance(session, Line) else session.engine.dispose())
            raise OperationalError(None, None, error, connection_invalidated=True) from error
        kind = IntegrityError if isinstance(error, asyncpg.IntegrityConstraintViolationError) else DBAPIError
        raise kind(statement.sql, None, error) from error
    return SimpleNamespace(**row) if row is not None else None
