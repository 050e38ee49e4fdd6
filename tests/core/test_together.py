"""Group commit: what several tasks have at once is written by one write."""

from __future__ import annotations

import asyncio

import pytest

from app.core.together import Together


async def test_an_item_alone_is_written_at_once() -> None:
    writes: list[list[int]] = []

    async def write(items: list[int]) -> None:
        writes.append(items)

    await Together(write).add(1)
    assert writes == [[1]]


async def test_what_comes_during_a_write_goes_with_the_next_one() -> None:
    writes: list[list[int]] = []
    open_ = asyncio.Event()

    async def write(items: list[int]) -> None:
        writes.append(items)
        await open_.wait()

    together = Together(write)
    first = asyncio.create_task(together.add(1))
    while not writes:  # noqa: ASYNC110 - the loop runs the writer meanwhile
        await asyncio.sleep(0)
    others = [asyncio.create_task(together.add(number)) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    assert not first.done()
    open_.set()
    await asyncio.gather(first, *others)
    assert writes == [[1], [2, 3, 4]]


async def test_a_write_that_fails_fails_for_those_in_it_and_for_nobody_else() -> None:
    async def write(items: list[int]) -> None:
        await asyncio.sleep(0)
        if 2 in items:
            raise ZeroDivisionError

    together = Together(write)
    first = asyncio.create_task(together.add(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ends = await asyncio.gather(together.add(2), together.add(3), return_exceptions=True)
    assert [type(end) for end in ends] == [ZeroDivisionError, ZeroDivisionError]
    await first
    await together.add(4)


async def test_a_task_that_is_called_off_takes_nothing_from_the_others() -> None:
    written: list[int] = []
    open_ = asyncio.Event()

    async def write(items: list[int]) -> None:
        await open_.wait()
        written.extend(items)

    together = Together(write)
    tasks = [asyncio.create_task(together.add(number)) for number in (1, 2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    open_.set()
    await tasks[1]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert written == [1, 2]


def test_each_loop_writes_its_own() -> None:
    written: list[int] = []

    async def write(items: list[int]) -> None:
        written.extend(items)

    together = Together(write)
    for number in (1, 2):
        asyncio.run(together.add(number))
    assert written == [1, 2]
