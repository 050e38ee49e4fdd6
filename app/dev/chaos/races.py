"""Many at once for one thing: each race says what went wrong, and nothing where the guard that it is about holds."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.parser import BytesHeaderParser
from typing import Any, TypeVar
from uuid import UUID, uuid4

import redis.asyncio

from app.dev.chaos import invariants, models, processes, wounds
from app.dev.chaos.cells import KILL, Cell
from app.dev.chaos.clients import GivenUp
from app.dev.chaos.ground import Ground
from app.dev.chaos.place import CORE

T = TypeVar("T")
AT_ONCE = 32
PATIENCE = 180.0
SENT = "select count(*) = $3 from outbox where kind = $1 and case_no = any($2) and state = 'sent'"
LAST = 20.0
"""Seconds for what the last task of an empty queue still has to do."""
ENDED = "select count(*) = $2 from instance where id = any($1) and status = 'completed'"


@dataclass(frozen=True, slots=True)
class Race:
    """*run* gives what went wrong with so many: *size*, or *few* where only the guard is tried.

    It needs these services and processes, and so many of a kind.
    """

    run: Callable[[Ground, int], Awaitable[list[str]]]
    size: int
    few: int
    needed: tuple[str, ...] = CORE
    drawn: tuple[str, ...] = ()
    scale: tuple[tuple[str, int], ...] = ()


async def _each(work: Sequence[Coroutine[Any, Any, T]], at_once: int = AT_ONCE) -> list[T]:
    """All of them, so many at a time."""
    free = asyncio.Semaphore(at_once)

    async def one(coroutine: Coroutine[Any, Any, T]) -> T:
        async with free:
            return await coroutine

    return list(await asyncio.gather(*(one(coroutine) for coroutine in work)))


async def _until(ground: Ground, sql: str, *given: Any, patience: float = PATIENCE) -> bool:
    """Ask the database until it says yes; False after *patience* seconds."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if await ground.value(sql, *given):
            return True
        await asyncio.sleep(0.2)
    return False


async def slot(ground: Ground, size: int) -> list[str]:
    """So many visits want the same time of the same doctor: one is booked."""
    views, prefix = await _each([ground.client.start(models.VISIT) for _ in range(size)]), f"R-{uuid4().hex[:8]}"
    taken = await ground.value("select count(distinct date_scheduled) from appointment where ticketid like 'R-%'")
    day = datetime.now(UTC).date() + timedelta(days=30 + 7 * taken)
    day += timedelta(days=-day.weekday())
    wanted = {"docid": "HSP-200", "date_scheduled": day.isoformat(), "time_scheduled": "10:00", "priority_level": 3}

    def entries(number: int) -> dict[str, Any]:
        return wanted | {"patientid": ground.patients[number % len(ground.patients)], "ticketid": f"{prefix}-{number}"}

    await asyncio.gather(
        *(ground.client.complete(view["tasks"][0]["id"], entries(number)) for number, view in enumerate(views))
    )
    booked = await ground.value(
        "select count(*) from appointment where ticketid like $1 and status = 'booked'", f"{prefix}-%"
    )
    overlapping = [row[0] for row in await ground.rows(invariants.OVERLAPS)]
    return ([] if booked == 1 else [f"{booked} visits have the slot"]) + [f"{pair} overlap" for pair in overlapping]


async def tasks(ground: Ground, size: int) -> list[str]:
    """So many tasks, each submitted by four people at once: one completes it, three are told that they lost."""
    views = await _each([ground.client.start(models.FORM) for _ in range(size)])
    open_tasks = [view["tasks"][0]["id"] for view in views]
    each = [ground.client.complete(task, {"entry_1": uuid4().hex}) for task in open_tasks for _ in range(4)]
    answers = Counter(answer.status for answer in await _each(each, 64))
    faults = [] if answers == {200: size, 409: 3 * size} else [f"the answers were {dict(answers)}"]
    sql = "select count(*) from case_event where kind = 'task.completed' and task_id = any($1)"
    rows = await ground.value(sql, [UUID(task) for task in open_tasks])
    return faults + ([] if rows == size else [f"{rows} completions of {size} tasks"])


async def timers(ground: Ground, size: int) -> list[str]:
    """So many timers are due at one moment, and four relays fire them: each once."""
    views = await _each([ground.client.start(models.LONG) for _ in range(size)])
    ids = [UUID(view["id"]) for view in views]
    await ground.rows("update service_clock set offset_seconds = 90000")
    faults = [] if await _until(ground, ENDED, ids, size) else ["some timers have not fired"]
    fired = [row["times"] for row in await ground.rows(invariants.FIRED, models.PAUSE)]
    if (len(fired), sum(fired)) != (size, size):
        faults.append(f"{size} timers fired {sum(fired)} times in {len(fired)} instances")
    return faults


async def starts(ground: Ground, size: int) -> list[str]:
    """So many starts of an engine at once: as many cases, each with one run that ended."""
    views = await _each([ground.client.start(models.JOBS["zeebe"], ground.given) for _ in range(size)], size)
    ids = [UUID(view["id"]) for view in views]
    faults = [] if await _until(ground, ENDED, ids, size) else ["some cases have not ended"]
    runs = await ground.rows("select count(*) from engine_run where instance_id = any($1) group by instance_id", ids)
    return faults + ([] if [row[0] for row in runs] == [1] * size else [f"{size} cases have {runs} runs"])


async def payment(ground: Ground, size: int) -> list[str]:
    """A payment is submitted so many times under one key: one charge."""
    body, key = {"ticketid": ground.ticket, "charge": "80.00"}, uuid4().hex
    asked = [ground.client.surely("bill", "POST", "/bills", body, key) for _ in range(size)]
    bills = {answer.body.get("id") for answer in await asyncio.gather(*asked)}
    sql = "select count(*) filter (where status not in ('requested', 'running')) = count(*) from engine_run"
    ended = await _until(ground, f"{sql} where engine = 'temporal' and name = 'BillVisitWorkflow'")
    charged = [one for one in await ground.charges() if one["kind"] == "charge"]
    faults = [] if ended else ["the payment has not ended"]
    return faults + ([] if len(bills) == len(charged) == 1 else [f"{len(bills)} bills and {len(charged)} charges"])


async def relays(ground: Ground, size: int) -> list[str]:
    """So many mails and several relays: each leaves once. It is lost as soon as one has arrived twice.

    Raises :class:`GivenUp` where the mails do not leave: that alone says nothing of doubles.
    """
    race = f"race:{uuid4().hex[:8]}:"
    await ground.rows(
        """insert into outbox (id, kind, key, payload)
           select gen_random_uuid(), 'mail', $2 || n, jsonb_build_object('to_address',
                  jsonb_build_array('race@clinic.example'), 'subject', $2 || n, 'text', 'x')
           from generate_series(1, $1::int) n""",
        size,
        race,
    )
    await ground.rows("select pg_notify('outbox', '')")
    sql, until = "select count(*) = $1 from outbox where key like $2 and state = 'sent'", time.monotonic() + PATIENCE
    while True:
        sent = await ground.value(sql, size, f"{race}%")  # before the look at what arrived, which then is all of it
        found = await asyncio.to_thread(_mails, ground, race)
        twice = [f"{mail} arrived {times} times" for mail, times in found.items() if times > 1]
        if sent or twice:
            return twice
        if time.monotonic() > until:
            raise GivenUp(f"of {size} mails {len(found)} have arrived")
        await asyncio.sleep(0.5)


def _mails(ground: Ground, race: str) -> Counter[str]:
    """How often each mail of the race arrived at the mail server, by its id."""
    folder = ground.place.state.folder / "mail"
    headers = (BytesHeaderParser().parsebytes(one.read_bytes()) for one in folder.glob("*.eml"))
    return Counter(str(one["Message-ID"]) for one in headers if str(one["Subject"]).startswith(race))


async def deliveries(ground: Ground, size: int) -> list[str]:
    """So many messages are delivered twice, as by a relay that died before it wrote that down: one start each."""
    counted = "select count(*) from instance i join model m on m.id = i.model_id where m.process_id = $1"
    before = await ground.value(counted, models.CATCHER)
    views = await _each([ground.client.start(models.THROWER) for _ in range(size)])
    sent = ("bpmn-message", [view["case"] for view in views], size)
    faults = [] if await _until(ground, SENT, *sent) else ["some messages were not sent"]
    again = "update outbox set state = 'pending', next_at = now() where kind = $1 and case_no = any($2)"
    await ground.rows(again, *sent[:2])
    await ground.rows("select pg_notify('outbox', '')")
    faults += [] if await _until(ground, SENT, *sent) else ["some messages were not sent again"]
    begun = await ground.value(counted, models.CATCHER) - before
    return faults + ([] if begun == size else [f"{size} messages started {begun} instances"])


async def queue(ground: Ground, size: int) -> list[str]:
    """Redis is killed while so many jobs wait in its queue for a frozen worker: each is done all the same."""
    worker = ground.place.supervisor.runs["celery"]
    if worker.process is None:
        raise GivenUp("celery has no process")
    head = processes.identify(worker.process.pid, worker.row()["born"], worker.command)
    everybody = processes.family(head)
    processes.send(signal.SIGSTOP, everybody)
    try:
        views = await _each([ground.client.start(models.JOBS["celery"], ground.given) for _ in range(size)])
        ids, cases = [UUID(view["id"]) for view in views], [view["case"] for view in views]
        await _until(ground, SENT, "celery-pipeline", cases, size)
        await asyncio.sleep(2)  # the append-only file is on the disk after a second
        await wounds.hurt(ground.place, Cell("redis", KILL))
        await wounds.back(ground.place, "redis")
    finally:
        processes.send(signal.SIGCONT, everybody)
    await _emptied(ground)
    await _until(ground, ENDED, ids, size, patience=LAST)
    lost = await ground.value("select count(*) from instance where id = any($1) and status = 'running'", ids)
    return [f"{lost} of {size} jobs are lost"] if lost else []


async def _emptied(ground: Ground) -> None:
    """Until no task waits in Redis or is in a worker's hands, or :data:`PATIENCE` is over."""
    state, until = ground.place.state, time.monotonic() + PATIENCE
    client = redis.asyncio.Redis(port=state.ports["redis"], password=state.secret("redis"))
    try:
        while time.monotonic() < until and await client.llen("celery") + await client.hlen("unacked"):  # noqa: ASYNC110 - a server
            await asyncio.sleep(0.2)
    finally:
        await client.aclose()


async def reconnects(ground: Ground, size: int) -> list[str]:
    """The broker is killed: the worker that lost it works again when it is back, without having been started again."""
    worker, began = ground.place.supervisor.runs["zeebe-worker"], time.monotonic()
    before = worker.restarts
    await wounds.hurt(ground.place, Cell("zeebe", KILL))
    away = await wounds.back(ground.place, "zeebe") - began
    views = await _each([ground.client.start(models.JOBS["zeebe"], ground.given) for _ in range(size)])
    # A busy machine is slow to bring back the broker and the worker alike.
    if await _until(ground, ENDED, [UUID(view["id"]) for view in views], size, patience=max(45, 2 * away)):
        return [] if worker.restarts == before else ["the worker worked again only because it was started again"]
    return ["the worker lives and works no more"]


ZEEBE = (*CORE, "zeebe", "zeebe-models", "zeebe-worker")
RACES = {
    "slot": Race(slot, 200, 40, drawn=(models.VISIT,), needed=(*CORE, "smtp")),
    "tasks": Race(tasks, 100, 25, drawn=(models.FORM,)),
    "timers": Race(timers, 2000, 200, drawn=(models.LONG,), scale=(("relay", 4),)),
    "starts": Race(starts, 400, 40, needed=ZEEBE, drawn=(models.JOBS["zeebe"],)),
    "payment": Race(payment, 50, 10, needed=(*CORE, "temporal", "temporal-worker", "payments", "smtp")),
    "relays": Race(relays, 400, 200, needed=(*CORE, "smtp"), scale=(("relay", 4),)),
    "deliveries": Race(deliveries, 20, 10, drawn=(models.CATCHER, models.THROWER)),
    # Without beat, whose sweep would launch again what the queue has lost.
    "queue": Race(queue, 20, 8, needed=(*CORE, "celery"), drawn=(models.JOBS["celery"],)),
    "reconnects": Race(reconnects, 1, 1, needed=ZEEBE, drawn=(models.JOBS["zeebe"],)),
}


async def run(ground: Ground, name: str, size: int | None = None) -> list[str]:
    """What goes wrong in a race, with *size* in place of its own. Raises Foreign and GivenUp."""
    return await RACES[name].run(ground, size or RACES[name].size)
