"""Alembic's environment: one advisory lock, short lock waits, the whole upgrade in one transaction."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.db import tables

LOCK = 0x44414D53


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=tables.metadata)
    with context.begin_transaction():
        # Two processes that start together must not both create the tables.
        connection.execute(text(f"select pg_advisory_xact_lock({LOCK})"))
        connection.execute(text("set local lock_timeout = '5s'"))
        connection.execute(text("set local statement_timeout = '10min'"))
        context.run_migrations()


async def _online(url: str) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_run)
        await connection.commit()
    await engine.dispose()


asyncio.run(_online(context.config.attributes["url"]))
