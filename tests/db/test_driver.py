"""Statements that go to the driver itself are in the session's transaction and fail as all others do."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from app.core.settings import settings
from app.db import driver
from app.db.driver import Line, Statement
from app.db.session import engine, make_engine, reading, transaction
from app.dev.chaos import lines
from tests.waiting import until

ADD = Statement("insert into candidate_group (name) values (:name) returning id, name", {"name": "text"})
FIND = Statement("select name from candidate_group where name = :name", {"name": "text"})
TWICE = Statement("select :name || :other || :name as said", {"name": "text", "other": "text"})
JSON = Statement("select :data as data", {"data": "jsonb"})


async def found(name: str) -> bool:
    async with reading() as session:
        return await driver.first(session, FIND, {"name": name}) is not None


async def test_what_is_written_is_undone_by_a_rollback(database_url: str) -> None:
    async with transaction() as session:
        await driver.first(session, ADD, {"name": "gone"})
        await session.rollback()
    assert not await found("gone")


async def test_what_is_written_stays_when_the_block_ends(database_url: str) -> None:
    async with transaction() as session:
        row = await driver.first(session, ADD, {"name": "kept"})
        assert row is not None
        await session.execute(text("update candidate_group set name = 'kept too' where id = :id"), {"id": row.id})
    assert await found("kept too")


async def test_a_lock_taken_by_the_first_statement_is_held_until_the_end(database_url: str) -> None:
    attempt = text("select pg_try_advisory_xact_lock(7)")
    async with transaction() as holder:
        await driver.first(holder, Statement("select pg_advisory_xact_lock(7) is null as held", {}), {})
        async with transaction() as other:
            assert await other.scalar(attempt) is False
    async with transaction() as other:
        assert await other.scalar(attempt) is True


async def test_a_reading_session_begins_no_transaction(database_url: str) -> None:
    state = text("select state from pg_stat_activity where pid = :pid")
    async with reading() as session, reading() as other:
        pid = await session.scalar(text("select pg_backend_pid()"))
        await driver.first(session, FIND, {"name": "x"})
        assert await other.scalar(state, {"pid": pid}) == "idle"


async def test_a_name_used_twice_is_one_parameter_and_json_comes_out_as_values(database_url: str) -> None:
    async with reading() as session:
        said, data = (
            await driver.first(session, TWICE, {"name": "a", "other": "-"}),
            await driver.first(session, JSON, {"data": '{"a": [1]}'}),
        )
    assert said is not None
    assert data is not None
    assert (said.said, data.data) == ("a-a", {"a": [1]})


async def test_a_duplicate_is_the_integrity_error_that_callers_catch(database_url: str) -> None:
    async with transaction() as session:
        await driver.first(session, ADD, {"name": "once"})
        with pytest.raises(IntegrityError):
            async with session.begin_nested():
                await driver.first(session, ADD, {"name": "once"})
        await driver.first(session, ADD, {"name": "another"})
    assert await found("another")


async def test_a_fault_of_the_database_keeps_its_code(database_url: str) -> None:
    async with reading() as session:
        with pytest.raises(DBAPIError) as caught:
            await driver.first(session, Statement("select 1 / 0 as x", {}), {})
    assert getattr(caught.value.orig, "sqlstate", None) == "22012"


async def test_a_connection_that_was_lost_leaves_the_pool(database_url: str) -> None:
    end_all_others = text("""select pg_terminate_backend(pid) from pg_stat_activity
                             where datname = current_database() and pid <> pg_backend_pid()""")
    async with reading() as first, reading() as second:
        await driver.first(second, FIND, {"name": "x"})
        await first.execute(end_all_others)
        with pytest.raises(OperationalError):
            await driver.first(second, FIND, {"name": "x"})
    for _ in range(8):
        assert not await found("x")


async def test_on_a_line_each_statement_is_committed_at_once(database_url: str) -> None:
    async with Line() as line:
        await driver.first(line, ADD, {"name": "at once"})
        assert await found("at once")
        with pytest.raises(IntegrityError):
            await driver.first(line, ADD, {"name": "at once"})
        assert await driver.first(line, FIND, {"name": "at once"}) is not None


async def test_a_line_that_is_cut_off_in_a_statement_leaves_the_pool(database_url: str) -> None:
    sleep = Statement("select pg_sleep(600)", {})
    for _ in range(10):  # more often than there are connections
        async with Line() as line:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(driver.first(line, sleep, {}), 0.05)
    assert not await found("x")


async def test_a_session_that_is_cut_off_in_a_statement_leaves_the_pool(database_url: str) -> None:
    sleep = Statement("select pg_sleep(600)", {})
    for _ in range(10):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), transaction() as session:
                await driver.first(session, sleep, {})
    assert not await found("x")


async def test_a_spare_line_that_was_lost_is_not_given_out(database_url: str) -> None:
    async with Line() as line:
        spare = line.adapter.driver_connection
    async with reading() as session:
        await session.execute(text("select pg_terminate_backend(:pid)"), {"pid": spare.get_server_pid()})
    while not spare.is_closed():  # noqa: ASYNC110 - the driver has no event for the news of its end
        await asyncio.sleep(0.01)
    for _ in range(20):
        async with Line() as line:
            await driver.first(line, FIND, {"name": "x"})


async def test_lines_at_hand_are_a_quarter_of_the_pool_at_most(database_url: str) -> None:
    async def ask() -> None:
        async with Line() as line:
            await driver.first(line, FIND, {"name": "x"})

    await asyncio.gather(*(ask() for _ in range(30)))
    checked_out = engine().pool.checkedout()  # pyright: ignore[reportAttributeAccessIssue]
    assert 0 < checked_out <= settings().database.pool_size // 4


async def test_a_connection_that_ends_in_the_middle_of_a_statement_is_a_server_that_is_away(database_url: str) -> None:
    """Whoever waits for a server must know it by one kind of error, however it went."""
    server = make_url(database_url)
    line = lines.Line(0, server.port or 0)
    await line.open()
    made = make_engine(server.set(port=line.port).render_as_string(hide_password=False))
    try:
        async with made.connect() as session:
            asked = asyncio.create_task(session.execute(text("select pg_sleep(600)")))
            await until(_sleeping)
            line.cut(reset=True)
            with pytest.raises(OperationalError) as told:
                await asked
            assert told.value.connection_invalidated
    finally:
        await made.dispose()
        await line.close()


async def _sleeping() -> bool:
    async with reading() as session:
        found = text("""select count(*) from pg_stat_activity
                        where datname = current_database() and state = 'active' and query like 'select pg_sleep%'""")
        return bool(await session.scalar(found))
