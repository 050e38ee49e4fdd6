"""What goes wrong besides a process and a wire: things said twice or in another order, clocks that are wrong, a full
disk, everything at once, and a server that begins anew from a backup. :func:`make` is to these what `wounds.hurt` is to
a part.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import redis.asyncio

from app.dev import backups
from app.dev.chaos import models, probes, processes, wounds
from app.dev.chaos.altered import AHEAD_SECONDS, BEHIND_SECONDS
from app.dev.chaos.cells import (
    CLOCK,
    DUPLICATE,
    FULL,
    KILL,
    OVERLOAD,
    PARTS,
    REORDER,
    RESTORE,
    SECONDS,
    TERM,
    UPGRADE,
    Cell,
)
from app.dev.chaos.clients import GivenUp
from app.dev.chaos.ground import Ground
from app.dev.chaos.load import Load
from app.dev.chaos.place import USERS, kind, under
from app.dev.chaos.processes import Identity
from app.dev.service import owner_url

OURS = ("web", "relay", "celery", "beat", "zeebe-worker", "temporal-worker")
BLOCK = 1 << 20
OVERLOAD_RATE = 75.0
"""Submits a second beside the 25 of a run: four times as many as it is meant to bear."""
JUMPS, JUMP_SECONDS, TWICE_GIVEN = 5, 600.0, 20
"""How often and how far the broker's clock jumps over the time that jobs may be in hand, and how many are asked for."""
Task = bytes | str
_AGAIN = """update outbox set state = 'pending', next_at = now(), attempts = 0
            where state = 'sent' and sent_at > now() - interval '30 seconds'"""
_SHUFFLED = "update outbox set next_at = now() - random() * interval '1 hour' where state = 'pending'"


async def make(ground: Ground, cell: Cell) -> float:
    """Do it; the moment (monotonic) from which recovery counts. Raises Foreign and GivenUp."""
    await TROUBLES[cell.part, cell.fault](ground)
    return time.monotonic()


def heads(ground: Ground, kinds: Sequence[str]) -> list[list[Identity]]:
    """The processes of these kinds, each with all that it forked. Raises Foreign."""
    found: list[list[Identity]] = []
    for name, run in ground.place.supervisor.runs.items():
        if kind(name) in kinds and run.process is not None:
            head = processes.identify(run.process.pid, run.row()["born"], run.command)
            found.append(processes.family(head))
    return found


@asynccontextmanager
async def _frozen(ground: Ground, *kinds: str) -> AsyncGenerator[list[list[Identity]]]:
    families = heads(ground, kinds)
    everybody = [one for family in families for one in family]
    processes.send(signal.SIGSTOP, everybody)
    try:
        yield families
    finally:
        processes.send(signal.SIGCONT, everybody)


async def _requests_twice(ground: Ground) -> None:
    """Every request is sent twice at the same time, under one key, as a proxy that tries again does it."""
    ground.client.twice = True
    await asyncio.sleep(SECONDS)
    ground.client.twice = False


async def _effects_twice(ground: Ground) -> None:
    """All that left in the last half minute leaves again: engine starts, messages, signals, mails, Celery's tasks."""
    await ground.rows(_AGAIN)
    await ground.rows("select pg_notify('outbox', '')")


async def _effects_in_disorder(ground: Ground) -> None:
    """What came together while the relay stood still leaves in an order that chance has made."""
    async with _frozen(ground, "relay"):
        await asyncio.sleep(SECONDS)
        await ground.rows(_SHUFFLED)


async def _tasks(ground: Ground, change: Callable[[Sequence[Task]], Sequence[Task]]) -> None:
    """Let tasks come together in Celery's queue while its workers stand still, and put others in their place."""
    state = ground.place.state
    client = redis.asyncio.Redis(port=state.ports["redis"], password=state.secret("redis"))
    try:
        async with _frozen(ground, "celery"):
            await asyncio.sleep(SECONDS)
            waiting = await client.lrange("celery", 0, -1)
            if put := change(waiting):
                async with client.pipeline(transaction=True) as changes:
                    changes.delete("celery")
                    changes.rpush("celery", *put)
                    await changes.execute()
    finally:
        await client.aclose()


async def _tasks_twice(ground: Ground) -> None:
    await _tasks(ground, lambda waiting: [one for one in waiting for _ in range(2)])


async def _tasks_in_disorder(ground: Ground) -> None:
    await _tasks(ground, lambda waiting: random.sample(waiting, len(waiting)))


async def _all_killed(ground: Ground) -> None:
    """Every process and server dies at the same moment."""
    families = heads(ground, tuple(PARTS))
    processes.send(signal.SIGKILL, [one for family in families for one in family])
    await _followed(ground, families)


async def _followed(ground: Ground, families: Sequence[Sequence[Identity]]) -> None:
    """Until another process has been started in place of each. Raises :class:`GivenUp`."""
    old, until = {family[0].pid for family in families}, time.monotonic() + wounds.BACK
    runs = ground.place.supervisor.runs.values()
    while any(run.process is not None and run.process.pid in old for run in runs):
        if time.monotonic() > until:
            raise GivenUp("not every process was followed by another")
        await asyncio.sleep(0.02)


async def _disk_full(ground: Ground) -> None:
    """No server can write another byte for ten seconds. Needs a disk of its own, see `place.fresh`."""
    filler, until = ground.place.state.folder / "data" / "filler", time.monotonic() + SECONDS
    if not await asyncio.to_thread(os.path.ismount, filler.parent):
        raise GivenUp("the servers have no disk of their own that could be filled")
    try:
        while time.monotonic() < until:
            await asyncio.to_thread(_fill, filler)
            await asyncio.sleep(0.2)
    finally:
        filler.unlink(missing_ok=True)


def _fill(filler: Path) -> None:
    """Write until there is no room for a byte more."""
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    size = BLOCK
    try:
        while size:
            try:
                os.write(descriptor, bytes(size))
            except OSError:
                size //= 2
    finally:
        os.close(descriptor)


async def _restored(ground: Ground) -> None:
    """The database is lost, and its newest backup goes into an empty one; the engines have what they had."""
    place = ground.place
    users = place.lines[USERS, "web"]
    users.cut()
    async with _frozen(ground, *OURS) as families:
        file, files = place.state.folder / "backup.dams", place.state.folder / "files"
        url = owner_url(place.state)
        await asyncio.to_thread(backups.save, url, files, file)
        await ground.emptied()
        await asyncio.to_thread(shutil.rmtree, files, ignore_errors=True)
        await asyncio.to_thread(backups.restore, url, files, file)
        await _admitted(ground)
        # As after `dams restore`, they begin anew.
        processes.send(signal.SIGKILL, [one for family in families for one in family])
    await _followed(ground, families)
    users.mend()


async def _overloaded(ground: Ground) -> None:
    """Many more people come for ten seconds; what they have begun they go on with."""
    more = Load(ground.client, OVERLOAD_RATE, 0, ground.patients)
    working = asyncio.create_task(more.run())
    await asyncio.sleep(SECONDS)
    more.stop()
    await working
    if more.given_up:
        raise GivenUp(more.given_up[0])


async def _upgraded(ground: Ground) -> None:
    """As an operator does it: the schema first, then one process after the other ends as it is asked to."""
    await _admitted(ground)
    for part in OURS:
        await wounds.hurt(ground.place, Cell(part, TERM))
        await wounds.back(ground.place, part)


async def _admitted(ground: Ground) -> None:
    """Let the role that serves work with what was restored, as the job of `dams up` does it. Raises GivenUp."""
    job = ground.place.supervisor.runs["migrate"].service
    environment = os.environ | job.environment
    started = await asyncio.create_subprocess_exec(*job.command, env=environment, cwd=job.folder)
    if await started.wait():
        raise GivenUp("the restored database could not be brought up to date")


@asynccontextmanager
async def _altered(ground: Ground, part: str, circumstance: str) -> AsyncGenerator[None]:
    """The part is started anew under other circumstances, see `altered`, and afterwards as it was."""
    service = ground.place.supervisor.runs[part].service
    kept = service.command
    await _anew(ground, part, under(kept, circumstance))
    try:
        yield
    finally:
        await _anew(ground, part, kept)


async def _anew(ground: Ground, part: str, command: list[str]) -> None:
    await wounds.hurt(ground.place, Cell(part, KILL), then=command)
    await wounds.back(ground.place, part)


async def _works_so(ground: Ground, part: str, circumstances: Sequence[str]) -> None:
    """Under each of these circumstances the part does its own work, and then what else comes for ten seconds."""
    for circumstance in circumstances:
        async with _altered(ground, part, circumstance):
            await probes.seconds(ground, PARTS[part].probes, time.monotonic())
            await asyncio.sleep(SECONDS)


async def _jobs_twice(ground: Ground) -> None:
    """Zeebe hands out again what a slow worker has in hand: by the broker's clock its time for that is over.

    Raises :class:`GivenUp` where no job was handed out twice: then this was no trouble.
    """
    since = await ground.value("select clock_timestamp()")
    async with _broker_clock(ground) as move:
        async with _altered(ground, "zeebe-worker", "slow"):
            jobs = [ground.client.start(models.JOBS["zeebe"], ground.given) for _ in range(TWICE_GIVEN)]
            await asyncio.gather(*jobs)
            for _ in range(JUMPS):
                await asyncio.sleep(SECONDS / JUMPS)
                await move(JUMP_SECONDS)
        await move(JUMP_SECONDS)  # what died with the slow one would wait until the right clock has come so far
        await probes.seconds(ground, PARTS["zeebe-worker"].probes, time.monotonic())
    if not await ground.value("select count(*) from zeebe_job where attempts > 1 and started_at > $1", since):
        raise GivenUp("no job was handed out twice")


async def _broker_askew(ground: Ground) -> None:
    """The broker's own clock goes an hour ahead, then ten minutes behind, and then as it should."""
    async with _broker_clock(ground) as move:
        for seconds in (AHEAD_SECONDS, BEHIND_SECONDS - AHEAD_SECONDS):
            await move(seconds)
            await probes.seconds(ground, PARTS["zeebe"].probes, time.monotonic())
            await asyncio.sleep(SECONDS)


@asynccontextmanager
async def _broker_clock(ground: Ground) -> AsyncGenerator[Callable[[float], Awaitable[None]]]:
    """Gives what moves the clock of Zeebe's broker by seconds, see `place.CONTROLLED`; afterwards it is right again."""
    address = f"http://127.0.0.1:{ground.place.state.ports['zeebe-management']}/actuator/clock"
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:

        async def move(seconds: float) -> None:
            answer = await http.post(f"{address}/add", json={"offsetMilli": int(seconds * 1000)})
            if not answer.is_success:
                raise GivenUp(f"the broker's clock cannot be moved: {answer.status_code} {answer.text}")

        try:
            yield move
        finally:
            await http.delete(address)


TROUBLES: dict[tuple[str, str], Callable[[Ground], Awaitable[None]]] = {
    ("web", DUPLICATE): _requests_twice,
    ("relay", DUPLICATE): _effects_twice,
    ("relay", REORDER): _effects_in_disorder,
    ("celery", DUPLICATE): _tasks_twice,
    ("celery", REORDER): _tasks_in_disorder,
    ("zeebe-worker", DUPLICATE): _jobs_twice,
    ("zeebe-worker", REORDER): partial(_works_so, part="zeebe-worker", circumstances=("slow",)),
    ("temporal-worker", DUPLICATE): partial(_works_so, part="temporal-worker", circumstances=("answers-lost",)),
    ("temporal-worker", REORDER): partial(_works_so, part="temporal-worker", circumstances=("slow",)),
    ("zeebe", CLOCK): _broker_askew,
    **{
        (part, CLOCK): partial(_works_so, part=part, circumstances=("ahead", "behind"))
        for part in ("web", "relay", "celery", "zeebe-worker", "temporal-worker")
    },
    ("everything", KILL): _all_killed,
    ("everything", FULL): _disk_full,
    ("everything", RESTORE): _restored,
    ("everything", OVERLOAD): _overloaded,
    ("everything", UPGRADE): _upgraded,
}
