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

from app.dev.chaos import invariants, models, processes, wounds
from app.dev.chaos.cells import KILL, Cell
from app.dev.chaos.clients import GivenUp
from app.dev.chaos.ground import Ground
from app.dev.chaos.place import CORE

T = TypeVar("T")
AT_ONCE = 32
PATIENCE = 180.0


@dataclass(frozen=True, slots=True)
class Race:
    """*run* gives what went wrong. It needs these services and processes, and so many of a kind."""

    run: Callable[[Ground], Awaitable[list[str]]]
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


async def _until(ground: Ground, sql: str, *given: Any) -> bool:
    """Ask the database until it says yes; False after :data:`PATIENCE`."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if await ground.value(sql, *given):
            return True
        await asyncio.sleep(0.2)
    return False


async def slot(ground: Ground) -> list[str]:
    """200 visits want the same time of the same doctor: one is booked."""
    views = await _each([ground.client.start(models.VISIT) for _ in range(200)])
    day = datetime.now(UTC).date() + timedelta(days=30)
    day += timedelta(days=-day.weekday())
    wanted = {"docid": "HSP-200", "date_scheduled": day.isoformat(), "time_scheduled": "10:00", "priority_level": 3}

    def entries(number: int) -> dict[str, Any]:
        return wanted | {"patientid": ground.patients[number % len(ground.patients)], "ticketid": f"R-{number}"}

    await asyncio.gather(
        *(ground.client.complete(view["tasks"][0]["id"], entries(number)) for number, view in enumerate(views))
    )
    sql = "select count(*) from appointment where docid = 'HSP-200' and ticketid like 'R-%' and status = 'booked'"
    booked = await ground.value(sql)
    overlapping = [row[0] for row in await ground.rows(invariants.OVERLAPS)]
    return ([] if booked == 1 else [f"{booked} visits have the slot"]) + [f"{pair} overlap" for pair in overlapping]


async def tasks(ground: Ground) -> list[str]:
    """100 tasks, each submitted by four people at once: 100 completions, 300 are told that they lost."""
    views = await _each([ground.client.start(models.FORM) for _ in range(100)])
    open_tasks = [view["tasks"][0]["id"] for view in views]
    each = [ground.client.complete(task, {"entry_1": uuid4().hex}) for task in open_tasks for _ in range(4)]
    answers = Counter(answer.status for answer in await _each(each, 64))
    faults = [] if answers == {200: 100, 409: 300} else [f"the answers were {dict(answers)}"]
    sql = "select count(*) from case_event where kind = 'task.completed' and task_id = any($1)"
    rows = await ground.value(sql, [UUID(task) for task in open_tasks])
    return faults + ([] if rows == 100 else [f"{rows} completions of 100 tasks"])


async def timers(ground: Ground) -> list[str]:
    """2,000 timers are due at one moment, and four relays fire them: each once."""
    number = 2000
    views = await _each([ground.client.start(models.LONG) for _ in range(number)])
    ids = [UUID(view["id"]) for view in views]
    await ground.rows("update service_clock set offset_seconds = 90000")
    ended = "select count(*) = $2 from instance where id = any($1) and status = 'completed'"
    faults = [] if await _until(ground, ended, ids, number) else ["some timers have not fired"]
    fired = [row["times"] for row in await ground.rows(invariants.FIRED, models.PAUSE)]
    if (len(fired), sum(fired)) != (number, number):
        faults.append(f"{number} timers fired {sum(fired)} times in {len(fired)} instances")
    return faults


async def starts(ground: Ground) -> list[str]:
    """400 starts of an engine at once: 400 cases, each with one run that ended."""
    views = await _each([ground.client.start(models.JOBS["zeebe"], ground.given) for _ in range(400)], 400)
    ids = [UUID(view["id"]) for view in views]
    ended = "select count(*) = 400 from instance where id = any($1) and status = 'completed'"
    faults = [] if await _until(ground, ended, ids) else ["some cases have not ended"]
    runs = await ground.rows("select count(*) from engine_run where instance_id = any($1) group by instance_id", ids)
    return faults + ([] if [row[0] for row in runs] == [1] * 400 else [f"400 cases have {runs} runs"])


async def payment(ground: Ground) -> list[str]:
    """A payment is submitted 50 times: one charge."""
    body, key = {"ticketid": ground.ticket, "charge": "80.00"}, uuid4().hex
    asked = [ground.client.surely("bill", "POST", "/bills", body, key) for _ in range(50)]
    bills = {answer.body.get("id") for answer in await asyncio.gather(*asked)}
    sql = "select count(*) filter (where status not in ('requested', 'running')) = count(*) from engine_run"
    ended = await _until(ground, f"{sql} where engine = 'temporal' and name = 'BillVisitWorkflow'")
    charged = [one for one in await ground.charges() if one["kind"] == "charge"]
    faults = [] if ended else ["the payment has not ended"]
    return faults + ([] if len(bills) == len(charged) == 1 else [f"{len(bills)} bills and {len(charged)} charges"])


async def relays(ground: Ground) -> list[str]:
    """400 mails and four relays: each leaves once."""
    number = 400
    await ground.rows(
        """insert into outbox (id, kind, key, payload)
           select gen_random_uuid(), 'mail', 'race:' || n, jsonb_build_object('to_address',
                  jsonb_build_array('race@clinic.example'), 'subject', 'Race ' || n, 'text', 'x')
           from generate_series(1, $1::int) n""",
        number,
    )
    await ground.rows("select pg_notify('outbox', '')")
    sent = await _until(ground, "select count(*) = $1 from outbox where key like 'race:%' and state = 'sent'", number)
    found = await asyncio.to_thread(_mails, ground)
    faults = [] if sent else ["some mails were not sent"]
    return faults + [f"{mail} arrived {times} times" for mail, times in found.items() if times > 1]


def _mails(ground: Ground) -> Counter[str]:
    """How often each mail of the race arrived at the mail server, by its id."""
    folder = ground.place.state.folder / "mail"
    headers = (BytesHeaderParser().parsebytes(one.read_bytes()) for one in folder.glob("*.eml"))
    return Counter(str(one["Message-ID"]) for one in headers if str(one["Subject"]).startswith("Race"))


async def deliveries(ground: Ground) -> list[str]:
    """20 messages are delivered twice, as by a relay that died before it wrote that down: one start each."""
    await _each([ground.client.start(models.THROWER) for _ in range(20)])
    sent = "select count(*) = 20 from outbox where kind = 'bpmn-message' and state = 'sent'"
    faults = [] if await _until(ground, sent) else ["some messages were not sent"]
    await ground.rows("update outbox set state = 'pending', next_at = now() where kind = 'bpmn-message'")
    await ground.rows("select pg_notify('outbox', '')")
    faults += [] if await _until(ground, sent) else ["some messages were not sent again"]
    sql = "select count(*) from instance i join model m on m.id = i.model_id where m.process_id = $1"
    begun = await ground.value(sql, models.CATCHER)
    return faults + ([] if begun == 20 else [f"20 messages started {begun} instances"])


async def queue(ground: Ground) -> list[str]:
    """Redis is killed while 20 jobs wait in its queue for a frozen worker: each is done all the same."""
    worker = ground.place.supervisor.runs["celery"]
    if worker.process is None:
        raise GivenUp("celery has no process")
    head = processes.identify(worker.process.pid, worker.row()["born"], worker.service.command)
    everybody = processes.family(head)
    processes.send(signal.SIGSTOP, everybody)
    try:
        views = await _each([ground.client.start(models.JOBS["celery"], ground.given) for _ in range(20)])
        ids = [UUID(view["id"]) for view in views]
        await _until(ground, "select count(*) = 20 from outbox where kind = 'celery-pipeline' and state = 'sent'")
        await asyncio.sleep(2)  # the append-only file is on the disk after a second
        await wounds.hurt(ground.place, Cell("redis", KILL))
        await wounds.back(ground.place, "redis")
    finally:
        processes.send(signal.SIGCONT, everybody)
    ended = "select count(*) = 20 from instance where id = any($1) and status = 'completed'"
    if await _until(ground, ended, ids):
        return []
    lost = await ground.value("select count(*) from instance where id = any($1) and status = 'running'", ids)
    return [f"{lost} of 20 jobs are lost"]


async def reconnects(ground: Ground) -> list[str]:
    """The broker is killed: the worker that lost it works again when it is back, without having been started again."""
    worker = ground.place.supervisor.runs["zeebe-worker"]
    before = worker.restarts
    await wounds.hurt(ground.place, Cell("zeebe", KILL))
    await wounds.back(ground.place, "zeebe")
    view = await ground.client.start(models.JOBS["zeebe"], ground.given)
    ended = "select status = 'completed' from instance where id = $1"
    if await _until(ground, ended, UUID(view["id"])):
        return [] if worker.restarts == before else ["the worker worked again only because it was started again"]
    return ["the worker lives and works no more"]


ZEEBE = (*CORE, "zeebe", "zeebe-models", "zeebe-worker")
RACES = {
    "slot": Race(slot, drawn=(models.VISIT,), needed=(*CORE, "smtp")),
    "tasks": Race(tasks, drawn=(models.FORM,)),
    "timers": Race(timers, drawn=(models.LONG,), scale=(("relay", 4),)),
    "starts": Race(starts, needed=ZEEBE, drawn=(models.JOBS["zeebe"],)),
    "payment": Race(payment, needed=(*CORE, "temporal", "temporal-worker", "payments", "smtp")),
    "relays": Race(relays, needed=(*CORE, "smtp"), scale=(("relay", 4),)),
    "deliveries": Race(deliveries, drawn=(models.CATCHER, models.THROWER)),
    # Without beat, whose sweep would launch again what the queue has lost.
    "queue": Race(queue, needed=(*CORE, "celery"), drawn=(models.JOBS["celery"],)),
    "reconnects": Race(reconnects, needed=ZEEBE, drawn=(models.JOBS["zeebe"],)),
}
