"""The one loop of a process: refuses to wait on itself, gives everything back at a time-out, survives a fork."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from app import db
from app.core.loop import LoopThread, loop_thread
from app.core.settings import settings
from app.db.session import dispose, reading
from tests.waiting import SECONDS, wait_until


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    made = LoopThread("test-loop")
    yield made
    made.stop()


async def this_thread() -> str:
    return threading.current_thread().name


def test_everything_runs_on_one_thread_of_its_own(loop: LoopThread) -> None:
    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(lambda _: loop.run(this_thread()), range(40)))
    assert names == {"test-loop"}


def test_an_error_reaches_the_caller_as_it_is(loop: LoopThread) -> None:
    async def broken() -> None:
        raise ZeroDivisionError("here")

    with pytest.raises(ZeroDivisionError, match="here"):
        loop.run(broken())


def test_it_refuses_to_wait_on_itself(loop: LoopThread) -> None:
    async def nested() -> None:
        loop.run(this_thread())

    with pytest.raises(RuntimeError, match="on its own loop"):
        loop.run(nested(), 5)


def test_a_time_out_cancels_what_was_begun(loop: LoopThread) -> None:
    cancelled = threading.Event()

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        loop.run(slow(), 0.05)
    assert cancelled.wait(SECONDS)


def test_context_variables_come_back(loop: LoopThread) -> None:
    found: contextvars.ContextVar[str] = contextvars.ContextVar("found", default="nothing")

    async def set_it() -> None:
        found.set("set on the loop")

    loop.run(set_it())
    assert found.get() == "set on the loop"


def test_a_fork_gets_a_loop_of_its_own(loop: LoopThread) -> None:
    assert loop.run(this_thread()) == "test-loop"
    parent = loop.loop
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        alone = loop.loop is not parent and loop.run(this_thread(), SECONDS) == "test-loop"
        os.write(writer, b"1" if alone else b"0")
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"1"
    assert os.waitpid(child, 0)[1] == 0
    assert loop.loop is parent


@pytest.fixture
def small_pool(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DAMS_DATABASE__POOL_SIZE", "2")
    settings.cache_clear()
    loop_thread.run(dispose())
    yield
    loop_thread.run(dispose())


async def one() -> int:
    async with reading() as session:
        return int(await session.scalar(text("select 1")) or 0)


async def in_use() -> int:
    return db.session.in_use()


@pytest.mark.usefixtures("small_pool")
def test_twenty_threads_share_two_connections() -> None:
    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(lambda _: loop_thread.run(one(), SECONDS), range(200))) == 200
    assert loop_thread.run(in_use()) == 0


@pytest.mark.usefixtures("small_pool")
def test_a_time_out_gives_the_connection_back() -> None:
    async def slow() -> None:
        async with reading() as session:
            await session.execute(text("select pg_sleep(60)"))

    for _ in range(3):  # more often than there are connections
        with pytest.raises(TimeoutError):
            loop_thread.run(slow(), 0.2)
    assert loop_thread.run(one(), SECONDS) == 1
    wait_until(lambda: loop_thread.run(in_use()) == 0)  # given back when the server has heard of the end, not at once
