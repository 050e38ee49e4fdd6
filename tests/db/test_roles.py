"""The role that serves can work with rows and do no harm to the schema or the timeline; the owner only migrates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import make_url

from app.core.settings import Database
from app.db import migrate
from app.dev.postgres import SERVICE
from tests.conftest import cluster

HARM = (
    "update case_event set kind = 'x'",
    "delete from case_event",
    "truncate case_event",
    "update case_seal set hash = ''",
    "delete from case_seal",
    "alter table case_event disable trigger all",
    "drop trigger case_event_is_append_only on case_event",
    "alter function case_event_is_append_only() rename to mine",
    "create table mine (id int)",
    "create function mine() returns int language sql as 'select 1'",
    "create index mine on login (email)",
    "alter table login add column mine int",
    "drop table inbox",
    "truncate login cascade",
    "update alembic_version set version_num = '0000'",
    "create role mine",
    "alter role dams_service superuser",
    "set role dams",
    "create extension file_fdw",
    "copy login to program 'true'",
)


@pytest.fixture
async def serving(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


async def test_the_service_and_its_tests_work_as_the_role_that_serves(serving: asyncpg.Connection) -> None:
    assert await serving.fetchval("select current_user") == SERVICE


@pytest.mark.parametrize("harm", HARM)
async def test_the_role_that_serves_cannot(serving: asyncpg.Connection, harm: str) -> None:
    # "must be owner" and "permission denied" are one error class; a statement refused for its grammar proves nothing.
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await serving.execute(harm)


async def test_the_role_that_serves_works_with_every_table(serving: asyncpg.Connection) -> None:
    closed = await serving.fetch("""
        select relname, privilege from pg_class, unnest(array['select', 'insert', 'update', 'delete']) as privilege
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v')
          and not has_table_privilege(oid, privilege)
    """)
    allowed_to_be_closed = {(table, what) for table in ("case_event", "case_seal") for what in ("update", "delete")}
    allowed_to_be_closed |= {("alembic_version", privilege) for privilege in ("insert", "update", "delete")}
    assert {tuple(row) for row in closed} == allowed_to_be_closed
    assert not await serving.fetchval("""
        select count(*) from pg_sequences
        where not has_sequence_privilege(format('%I.%I', schemaname, sequencename), 'usage')""")


async def test_preparing_makes_the_role_that_is_missing_with_its_password(owner_url: str) -> None:
    name, password = "dams_another", 'it\'s %s "quoted" \\ here'
    serving = make_url(owner_url).set(username=name, password=password).render_as_string(hide_password=False)
    database = Database(url=serving, owner_url=owner_url)
    try:
        for _ in range(2):  # a second time changes nothing
            await asyncio.to_thread(migrate.prepare, database)
        connection = await asyncpg.connect(
            user=name,
            password=password,
            host="127.0.0.1",
            port=cluster().port,
            database=owner_url.rpartition("/")[2],
        )
        assert await connection.fetchval("select count(*) from login") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("delete from case_event")
        await connection.close()
    finally:
        owner = await asyncpg.connect(owner_url.replace("+asyncpg", ""))
        await owner.execute(f"drop owned by {name}; drop role {name}")
        await owner.close()


async def test_one_role_may_do_both_on_a_server_of_ones_own(owner_url: str) -> None:
    await asyncio.to_thread(migrate.prepare, Database(url=owner_url))
    connection = await asyncpg.connect(owner_url.replace("+asyncpg", ""))
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
        await connection.execute("delete from case_event")
    await connection.close()
