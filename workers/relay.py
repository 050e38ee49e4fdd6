"""The relay process: sends the outbox, fires timers, goes on with long steps, moves instances to other versions, offers
freed slots, reminds patients, and looks twice a minute whether every open case fits.

Any number may run. LISTEN wakes it at a commit; polling is the fallback. It outlives the database: while that is away,
it tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, NamedTuple, TypeVar

import asyncpg
import uvloop
from sqlalchemy.exc import SQLAlchemyError

from app.core import log as logging
from app.core.lifetime import die_with_parent_if_asked
from app.core.log import log
from app.core.settings import settings
from app.db.session import dispose
from app.engines import dags, heartbeat, migrations, offers, reconcile, relay, reminders, seals
from app.engines.spiff import timers

T = TypeVar("T")
REMIND_SECONDS = 30
KIND = "relay"
DRAIN_SECONDS = 20
PREPARE_SECONDS = 5
OFFER_SECONDS = 5
"""A slot that somebody gave back is offered to who waits within this time."""
MIGRATE_SECONDS = 1.0
"""A migration begins within this time."""
AWAY = (OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


class Places(NamedTuple):
    """How many effects may be taken: `first` of most kinds, none of those in `full`, `behind` of those that wait,
    `grouped` of those that leave together.
    """

    first: int
    full: list[str]
    behind: int
    grouped: int

    @property
    def crowded(self) -> bool:
        """Whether something due may find no place before another effect ends."""
        return bool(self.full) or not self.first or not self.behind or not self.grouped


def places(held: Mapping[str, int], batch: int) -> Places:
    """What is free of *batch* places, of which no kind holds more than a quarter: a receiver that hangs, or is slow,
    leaves the others theirs. What nothing waits for has as many beside them, and a quarter of these while others are
    under way. What leaves together has *batch* places of its own.
    """
    share, beside = max(batch // 4, 1), (*relay.BEHIND, *relay.GROUPED)
    others = {kind: number for kind, number in held.items() if kind not in beside}
    full = [kind for kind, number in others.items() if number >= share]
    most = share - max((number for kind, number in others.items() if kind not in full), default=0)
    few = max(share // 4, 1) if held.keys() - set(relay.BEHIND) else share
    waiting = sum(number for kind, number in held.items() if kind in relay.BEHIND)
    together = sum(number for kind, number in held.items() if kind in relay.GROUPED)
    first = max(min(most, batch - sum(others.values())), 0)
    return Places(first, full, max(few - waiting, 0), max(batch - together, 0))


class Relay:
    """Loops that share one wake-up and one stop."""

    def __init__(self) -> None:
        self._wake, self._stop = asyncio.Event(), asyncio.Event()
        self._crowded = False

    def stop(self) -> None:
        """Finish what is in hand and end."""
        self._stop.set()
        self._wake.set()

    async def run(self) -> None:
        """Until :meth:`stop`; then at most 20 s to finish what was begun.

        A loop that ends by itself ends the process with its error: half a relay would look alive and do nothing.
        """
        loops = [asyncio.create_task(loop) for loop in self._loops()]
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([*loops, stopped], return_when=asyncio.FIRST_COMPLETED)
        self.stop()
        await asyncio.wait(loops, timeout=DRAIN_SECONDS)
        for task in loops:
            task.cancel()
        ends = await asyncio.gather(*loops, return_exceptions=True)
        await self._surviving(heartbeat.rest(KIND))
        await dispose()
        for end in ends:
            if isinstance(end, Exception):
                raise end

    def _loops(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return (
            self._listen(),
            self._prepare(),
            self._send(),
            self._fire(),
            self._offer(),
            self._remind(),
            self._follow(),
            self._look(),
            self._migrate(),
            self._seal(),
            self._beat(),
        )

    async def _listen(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(*AWAY):
                url = settings().database.url.replace("+asyncpg", "")
                connection = await asyncpg.connect(url, timeout=5)
                try:
                    await connection.add_listener("outbox", lambda *_: self._wake.set())
                    self._wake.set()  # what was committed while nobody listened
                    while not self._stop.is_set() and not connection.is_closed():
                        await self._pause(1)
                finally:
                    with contextlib.suppress(*AWAY):
                        await connection.close(timeout=2)
            await self._pause(0.5)

    async def _prepare(self) -> None:
        stopped = asyncio.create_task(self._stop.wait())
        done = False
        while not done and not self._stop.is_set():
            trying = asyncio.create_task(relay.prepare())
            await asyncio.wait((trying, stopped), return_when=asyncio.FIRST_COMPLETED)
            done = trying.done() and trying.result()
            trying.cancel()  # a server that does not answer holds up no stop
            await self._pause(0 if done else PREPARE_SECONDS)
        await stopped

    async def _send(self) -> None:
        in_hand = dict[asyncio.Task[None], str]()

        def ended(task: asyncio.Task[None]) -> None:
            del in_hand[task]
            if self._crowded:
                self._wake.set()  # somebody may wait for this place

        while not self._stop.is_set():
            self._wake.clear()
            free = places(Counter(in_hand.values()), settings().relay.batch)
            self._crowded = free.crowded
            claimed = await self._surviving(relay.claim(free.first, free.full, free.behind, free.grouped)) or []
            for effect in claimed:
                task = asyncio.create_task(self._surviving(relay.deliver(effect)))
                in_hand[task] = effect.kind
                task.add_done_callback(ended)
            if not claimed:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), settings().relay.poll_seconds)
        if in_hand:
            await asyncio.wait(in_hand)

    async def _fire(self) -> None:
        while not self._stop.is_set():
            made = (await self._surviving(timers.fire_due()) or 0) + (await self._surviving(timers.go_on()) or 0)
            if not made:
                due = await self._surviving(timers.next_due())
                poll = settings().relay.poll_seconds
                await self._pause(poll if due is None else min(due, poll))

    async def _offer(self) -> None:
        while not self._stop.is_set():
            await self._surviving(offers.make())
            await self._pause(OFFER_SECONDS)

    async def _remind(self) -> None:
        while not self._stop.is_set():
            await self._surviving(reminders.make())
            await self._pause(REMIND_SECONDS)

    async def _follow(self) -> None:
        """Look after what other engines do not report by themselves."""
        while not self._stop.is_set():
            await self._surviving(dags.reconcile())
            await self._pause(heartbeat.EVERY_SECONDS)

    async def _look(self) -> None:
        while not self._stop.is_set():
            await self._pause(reconcile.EVERY_SECONDS)
            if not self._stop.is_set():
                await self._surviving(reconcile.look())

    async def _migrate(self) -> None:
        """Batches of a migration one after another, each of which lets the steps that waited for it go first."""
        while not self._stop.is_set():
            moved = await self._surviving(migrations.advance())
            await self._pause(0 if moved else MIGRATE_SECONDS)

    async def _seal(self) -> None:
        turn = 0
        while not self._stop.is_set():
            while await self._surviving(seals.seal()):
                pass
            if turn % 12 == 0:  # once a minute
                await self._surviving(seals.sign())
            turn += 1
            await self._pause(seals.EVERY_SECONDS)

    async def _beat(self) -> None:
        while not self._stop.is_set():
            await self._surviving(heartbeat.beat(KIND))
            await self._pause(heartbeat.EVERY_SECONDS)

    async def _surviving(self, work: Awaitable[T]) -> T | None:
        """Await *work*; when the database is away, wait a moment instead of ending."""
        try:
            return await work
        except AWAY as error:
            log.warning("the database is away", error=type(error).__name__)
            await self._pause(0.5)
            return None

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not through a stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), max(seconds, 0.01))


async def main() -> None:
    logging.configure()
    one = Relay()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, one.stop)
    await one.run()


if __name__ == "__main__":
    die_with_parent_if_asked()
    uvloop.run(main())
