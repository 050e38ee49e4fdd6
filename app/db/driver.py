"""The few statements that every request makes, spoken to the driver itself inside the session's transaction.

SQLAlchemy's execution of a statement costs several times what sending it costs. What is rare stays with SQLAlchemy.
"""
# The adapter begins a transaction with its first statement and offers no public way to begin one without.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from app.db.session import Session


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


async def first(session: Session, statement: Statement, given: Mapping[str, Any]) -> Any | None:
    """The first row, its columns as attributes, or None. JSON goes in as text and comes out as values.

    Raises:
        DBAPIError: as SQLAlchemy would; a connection that was lost leaves the pool.
    """
    adapter: Any = cast("Any", session.sync_connection).connection.dbapi_connection
    try:
        if adapter._transaction is None:
            await adapter._start_transaction()  # nothing in an AUTOCOMMIT session
        row = await adapter.driver_connection.fetchrow(statement.sql, *(given[name] for name in statement.names))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        if adapter.driver_connection.is_closed() or isinstance(error, asyncpg.InternalClientError):
            await session.invalidate(error)
            await session.engine.dispose()  # what ended this connection has likely ended those beside it
            raise OperationalError(None, None, error, connection_invalidated=True) from error
        kind = IntegrityError if isinstance(error, asyncpg.IntegrityConstraintViolationError) else DBAPIError
        raise kind(statement.sql, None, error) from error
    return SimpleNamespace(**row) if row is not None else None
