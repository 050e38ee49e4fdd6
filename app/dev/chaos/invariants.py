"""What must hold after every fault, asked of the database and held against what clients were told.

The numbers are those of the reliability goals: I1 bookings, I2 overlaps, I3 payments, I4 tasks, I5 cases, I6 outbox,
I7 timers, I8 timeline, I10 answers. (I9, patient data in engines' stores, has tests of its own.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from app.dev.chaos import models
from app.dev.chaos.clients import AGAIN
from app.dev.chaos.ledger import Told

HANG = 10.0
"""Seconds after which an answer counts as a hang; the ten seconds of a freeze or a cut are not counted."""
LATE = 5.0
OVERDUE = 60.0
SHOWN = 5

OVERLAPS = """
    select a.ticketid || ' and ' || b.ticketid from appointment a join appointment b
        on a.id < b.id and a.during && b.during and (a.docid = b.docid or a.patientid = b.patientid)
    where a.status in ('pending', 'booked', 'arrived', 'checked-in') and a.overbooked is null
      and b.status in ('pending', 'booked', 'arrived', 'checked-in') and b.overbooked is null
"""
TWICE_COMPLETED = """
    select task_id::text from case_event where kind = 'task.completed' group by task_id having count(*) > 1
"""
STUCK = """
    select i.id::text || ' of ' || m.process_id from instance i join model m on m.id = i.model_id
    where i.status = 'running'
      and not exists (select from user_task t where t.instance_id = i.id and t.state in ('ready', 'claimed'))
      and not exists (select from incident n where n.instance_id = i.id and n.resolved_at is null)
      and not exists (select from incident n join engine_run r on r.id = n.run_id
                      where r.instance_id = i.id and n.resolved_at is null)
      and not exists (select from incident n join outbox o on o.id = n.outbox_id
                      where o.case_no = i.case_no and n.resolved_at is null)
"""
UNSENT = "select kind || ' ' || key from outbox where state = 'pending'"
INCIDENTS = "select code || ': ' || message from incident where resolved_at is null"
FIRED = """
    select e.instance_id, min(e.at) as at, count(*) as times
    from case_event e, jsonb_array_elements(e.trace) t
    where t ->> 0 = $1 and t ->> 1 = 'completed' group by e.instance_id
"""
PAYMENTS = "select paymentid, status, voided_at is not null as voided from payment where paymentid like '%-%-%-%-%'"


@dataclass(slots=True)
class Seen:
    """Everything that is compared: the ledger, the payment provider's entries, and the windows of freezes and cuts."""

    told: Sequence[Told]
    charges: Sequence[Mapping[str, Any]] = ()
    windows: Sequence[tuple[float, float]] = ()
    """Moments (Unix time) from and to which a part was stopped or cut off."""
    notes: list[str] = field(default_factory=list[str])


Check = Callable[[asyncpg.Connection, Seen], Awaitable[list[str]]]


async def _texts(connection: asyncpg.Connection, sql: str) -> list[str]:
    return [str(row[0]) for row in await connection.fetch(sql)]


def _well(told: Sequence[Told], *what: str) -> list[Told]:
    return [one for one in told if one["what"] in what and 200 <= one["status"] < 300]


async def bookings(connection: asyncpg.Connection, seen: Seen) -> list[str]:
    """I1: every acknowledged booking exists."""
    asked = {one["ticket"] for one in _well(seen.told, "visit") if "due" in one}
    there = set(await _texts(connection, "select ticketid from appointment"))
    return [f"{ticket} was booked and is not there" for ticket in sorted(asked - there)]


async def overlaps(connection: asyncpg.Connection, seen: Seen) -> list[str]:  # noqa: ARG001 - one shape for all
    """I2: nobody has two appointments at one time."""
    return [f"{pair} overlap" for pair in await _texts(connection, OVERLAPS)]


async def payments(connection: asyncpg.Connection, seen: Seen) -> list[str]:
    """I3: each released payment was charged exactly once, and nothing else is charged and kept."""
    charged = Counter(one["reference"] for one in seen.charges if one["kind"] == "charge")
    refunded = {one["of"] for one in seen.charges if one["kind"] == "refund"}
    kept = {one["reference"] for one in seen.charges if one["kind"] == "charge" and one["id"] not in refunded}
    rows = await connection.fetch(PAYMENTS)
    released = {row["paymentid"] for row in rows if row["status"] and not row["voided"]}
    faults = [f"payment {one} was charged {times} times" for one, times in charged.items() if times > 1]
    faults += [f"payment {one} is released and was not charged" for one in sorted(released - kept)]
    return faults + [f"payment {one} was charged and is not released" for one in sorted(kept - released)]


async def tasks(connection: asyncpg.Connection, seen: Seen) -> list[str]:
    """I4: each task was completed at most once, and by whom it was said to be."""
    faults = [f"task {task} was completed twice" for task in await _texts(connection, TWICE_COMPLETED)]
    said: dict[str, set[str]] = {}
    for one in _well(seen.told, "complete", "visit"):
        said.setdefault(one["task"], set()).add(one["key"])
    faults += [
        f"{len(keys)} people were told that they completed {task}" for task, keys in said.items() if len(keys) > 1
    ]
    sql = "select id, completion_key from user_task where state = 'completed' and id = any($1)"
    rows = {str(row["id"]): row["completion_key"] for row in await connection.fetch(sql, [UUID(task) for task in said])}
    for task, keys in said.items():
        if task not in rows:
            faults.append(f"task {task} was acknowledged and is not completed")
        elif rows[task] not in keys:
            faults.append(f"task {task} was completed by another than was told so")
    return faults + _contradictions(seen.told)


def _contradictions(told: Sequence[Told]) -> list[str]:
    """What was asked again under one key must be answered as before."""
    answered: dict[tuple[str, str], set[bool]] = {}
    for one in told:
        if one["key"] and one["status"] not in AGAIN:
            answered.setdefault((one["key"], one["path"]), set()).add(200 <= one["status"] < 300)
    return [f"{path} was granted and refused under one key" for (_, path), kinds in answered.items() if len(kinds) > 1]


async def cases(connection: asyncpg.Connection, seen: Seen) -> list[str]:
    """I5: what was started is there once, and has ended, waits for people or shows an incident."""
    started = {one["id"] for one in _well(seen.told, "start") if "id" in one}
    sql = "select id::text from instance where id = any($1)"
    there = {row[0] for row in await connection.fetch(sql, [UUID(one) for one in started])}
    by_key: dict[str, set[str]] = {}
    for one in _well(seen.told, "start"):
        by_key.setdefault(one["key"], set()).add(one["id"])
    faults = [f"instance {one} was started and is not there" for one in sorted(started - there)]
    faults += [f"one start made {len(ids)} instances" for ids in by_key.values() if len(ids) > 1]
    seen.notes += [f"incident {line}" for line in await _texts(connection, INCIDENTS)]
    return faults + [f"instance {one} stands still without an incident" for one in await _texts(connection, STUCK)]


async def outbox(connection: asyncpg.Connection, seen: Seen) -> list[str]:  # noqa: ARG001 - one shape for all
    """I6: nothing waits to be sent."""
    return [f"{effect} is not sent" for effect in await _texts(connection, UNSENT)]


async def timers(connection: asyncpg.Connection, seen: Seen) -> list[str]:
    """I7: timers fire once and never early."""
    fired = {str(row["instance_id"]): row for row in await connection.fetch(FIRED, models.PAUSE)}
    faults = [f"the timer of {one} fired {row['times']} times" for one, row in fired.items() if row["times"] > 1]
    due = {one["id"]: datetime.fromisoformat(one["due"]) for one in _well(seen.told, "start", "visit") if "due" in one}
    for instance, moment in due.items():
        if instance not in fired:
            faults.append(f"the timer of {instance} did not fire")
        elif fired[instance]["at"] < moment:
            faults.append(f"the timer of {instance} fired {moment - fired[instance]['at']} early")
    late = [(fired[one]["at"] - moment).total_seconds() for one, moment in due.items() if one in fired]
    seen.notes += [
        f"{sum(one > LATE for one in late)} of {len(late)} timers later than {LATE:.0f} s, while parts were away"
    ]
    return faults


async def timeline(connection: asyncpg.Connection, seen: Seen) -> list[str]:
    """I8: every acknowledged action has its row; that the chain fits is asked by `verify` beside this."""
    started = {one["id"] for one in _well(seen.told, "start") if "id" in one}
    done = {one["task"] for one in _well(seen.told, "complete", "visit")}
    sql = "select {0}::text, count(*) from case_event where kind = '{1}' and {0} = any($1) group by 1"
    faults: list[str] = []
    for column, kind, ids in (("instance_id", "instance.started", started), ("task_id", "task.completed", done)):
        found = await connection.fetch(sql.format(column, kind), [UUID(one) for one in ids])
        rows = {row[0]: row[1] for row in found}
        faults += [f"{kind} of {one} has {rows.get(one, 0)} rows" for one in sorted(ids) if rows.get(one, 0) != 1]
    return faults


async def answers(connection: asyncpg.Connection, seen: Seen) -> list[str]:  # noqa: ARG001 - one shape for all
    """I10: an error of the service says by what it is found, and nobody waits longer than ten seconds."""
    faults = [
        f"{one['path']} was answered {one['status']} without a reference"
        for one in seen.told
        if one["status"] >= 500 and not one.get("reference")
    ]
    for one in seen.told:
        hurt = sum(max(0.0, min(one["at"] + one["s"], to) - max(one["at"], since)) for since, to in seen.windows)
        if one["s"] - hurt > HANG:
            faults.append(f"{one['path']} was answered {one['status']} after {one['s']:.1f} s")
    return faults


CHECKS: dict[str, Check] = {
    "I1": bookings,
    "I2": overlaps,
    "I3": payments,
    "I4": tasks,
    "I5": cases,
    "I6": outbox,
    "I7": timers,
    "I8": timeline,
    "I10": answers,
}


async def broken(database: str, seen: Seen, names: Sequence[str] = tuple(CHECKS)) -> dict[str, list[str]]:
    """What does not hold, by the number of the invariant; empty where all does."""
    connection = await asyncpg.connect(database)
    try:
        found = {name: await CHECKS[name](connection, seen) for name in names}
    finally:
        await connection.close()
    return {name: faults for name, faults in found.items() if faults}
