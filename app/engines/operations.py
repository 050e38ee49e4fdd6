"""What ops needs to see over all engines: what is stuck, what waits to be sent, who works; and the ways to mend it.

Every query is bounded, so the page costs the same on a bad day. Nothing here shows a variable or a patient.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import Row, text

from app.core.actor import Actor
from app.core.errors import Conflict, NotFound
from app.core.settings import settings
from app.db.runs import ENGINES
from app.db.session import Session
from app.engines import control, outbox
from app.engines.spiff import instances

MOST = 1000
"""Where counting stops: more than that is shown as "1000 or more"."""
LISTED = 50
CELERY_QUEUE = "celery"
ANSWER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that stopped and needs a person. ``engine`` is "outbox" for an effect that could not be sent."""

    id: int
    engine: str
    what: str
    message: str
    code: str
    case: str | None
    since: datetime
    instance_id: UUID | None
    subject: UUID
    """The instance, run or effect itself."""
    can_retry: bool
    can_cancel: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """Effects of one kind in one state: how many, and since when the oldest."""

    kind: str
    state: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """Bounded counts; a run is asked for or under way."""

    tasks: int
    timers: int
    incidents: int
    runs: dict[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that an id names."""

    kind: str
    id: str
    name: str
    status: str
    case: str | None
    at: datetime
    instance_id: UUID | None = None
    run_id: UUID | None = None


_INCIDENTS = """
    select n.id, n.code, n.message, n.created_at, n.instance_id, n.outbox_id, n.run_id, n.element_id,
           r.engine, r.name as run_name, r.status as run_status, o.kind as outbox_kind, m.name as model_name,
           coalesce(i.case_no, o.case_no, r.case_no) as case_no,
           coalesce(o.instance_id, r.instance_id, n.instance_id) as about
    from incident n left join instance i on i.id = n.instance_id left join model m on m.id = i.model_id
         left join outbox o on o.id = n.outbox_id left join engine_run r on r.id = n.run_id
"""


async def incidents(session: Session, limit: int = LISTED) -> list[Incident]:
    """What needs attention, oldest first: who waits longest is looked at first."""
    sql = f"{_INCIDENTS} where n.resolved_at is null order by n.id limit :limit"
    return [_incident(row) for row in await session.execute(text(sql), {"limit": limit})]


def _incident(row: Row[Any]) -> Incident:
    retry, cancel = control.can(row.engine) if row.run_id else (True, True)
    return Incident(
        id=row.id,
        engine=row.engine or ("outbox" if row.outbox_id else "spiff"),
        what=row.run_name or row.outbox_kind or f"{row.model_name}: {row.element_id}",
        message=row.message,
        code=row.code,
        case=row.case_no,
        since=row.created_at,
        instance_id=row.about,
        subject=row.run_id or row.outbox_id or row.instance_id,
        can_retry=retry and row.run_status in (None, "failed"),
        can_cancel=cancel,
    )


async def retry(session: Session, actor: Actor, incident_id: int) -> None:
    """Try again what an incident stopped.

    Raises:
        NotFound: no open incident of this number.
        Conflict: its engine cannot.
    """
    actor.require("ops", "admin")
    row = await _open(session, incident_id)
    if row.run_id:
        await control.retry(session, actor, row.run_id)
    elif row.outbox_id:
        await outbox.retry_dead(session, actor, row.outbox_id)
    else:
        await instances.retry(session, actor, row.instance_id, row.n)


async def cancel(session: Session, actor: Actor, incident_id: int, reason: str) -> None:
    """End what an incident stopped, with the reason in the timeline.

    Raises:
        NotFound: no open incident of this number.
        Invalid: no reason was given.
        Conflict: it has ended already, or its engine cannot be told.
    """
    actor.require("ops", "admin")
    row = await _open(session, incident_id)
    if row.run_id:
        await control.cancel(session, actor, row.run_id, reason)
    elif row.outbox_id:
        await outbox.give_up(session, actor, row.outbox_id, reason)
    else:
        await instances.cancel(session, actor, row.instance_id, reason)


async def _open(session: Session, incident_id: int) -> Row[Any]:
    row = (
        await session.execute(
            text("""select n, instance_id, outbox_id, run_id from incident
                    where id = :id and resolved_at is null for update"""),
            {"id": incident_id},
        )
    ).first()
    if row is None:
        raise NotFound("This incident is not open any more.")
    if not (row.instance_id or row.outbox_id or row.run_id):
        raise Conflict("Nothing can be done about this incident from here.")
    return row


async def waiting(session: Session) -> list[Waiting]:
    """Effects that are not sent yet: pending, tried again after a failure, or parked."""
    rows = await session.execute(
        text("""select kind, state, count(*) as number, min(created_at) as oldest from (
                  (select kind, case when attempts > 1 then 'tried again' else 'pending' end as state, created_at
                   from outbox where state = 'pending' limit :most)
                  union all
                  (select o.kind, 'parked', o.created_at from incident n join outbox o on o.id = n.outbox_id
                   where n.resolved_at is null limit :most)) open
                group by kind, state order by kind, state"""),
        {"most": MOST},
    )
    return [Waiting(row.kind, row.state, row.number, row.oldest) for row in rows]


async def counts(session: Session) -> Counts:
    """Open tasks, timers that are due, open incidents, open runs by engine: each counted up to :data:`MOST`."""
    row = (
        await session.execute(
            text("""select
                (select count(*) from (select from user_task where state in ('ready', 'claimed') limit :most) t)
                  as tasks,
                (select count(*) from (select from timer where due_at <= dams_now() limit :most) t) as timers,
                (select count(*) from (select from incident where resolved_at is null limit :most) t) as incidents"""),
            {"most": MOST},
        )
    ).one()
    runs = await session.execute(
        text("""select engine, count(*) as number from (
                  select engine from engine_run where status in ('requested', 'running') limit :most) open
                group by engine"""),
        {"most": MOST},
    )
    return Counts(row.tasks, row.timers, row.incidents, {run.engine: run.number for run in runs})


async def queued() -> int | None:
    """Length of Celery's queue at its broker, or None where that does not answer within :data:`ANSWER_SECONDS`."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            async with Redis.from_url(settings().celery.broker_url) as redis:
                return await redis.llen(CELERY_QUEUE)
    except (RedisError, OSError, TimeoutError):
        return None


_BY_UUID = """
    select 'instance' as kind, i.id::text as id, m.name, i.status, i.case_no, i.started_at as at,
           i.id as instance_id, null::uuid as run_id
    from instance i join model m on m.id = i.model_id where i.id = :id
    union all select 'task', t.id::text, t.element_id, t.state, i.case_no, t.created_at, i.id, null
    from user_task t join instance i on i.id = t.instance_id where t.id = :id
    union all select r.engine || ' run', r.id::text, r.name, r.status, r.case_no, r.requested_at, r.instance_id, r.id
    from engine_run r where r.id = :id
    union all select 'effect', o.id::text, o.kind, o.state, o.case_no, o.created_at, o.instance_id, null
    from outbox o where o.id = :id
"""
_BY_TEXT = """
    (select 'instance' as kind, i.id::text as id, m.name, i.status, i.case_no, i.started_at as at,
            i.id as instance_id, null::uuid as run_id
     from instance i join model m on m.id = i.model_id where i.case_no = :word order by i.id desc limit :limit)
    union all (select r.engine || ' run', coalesce(r.external_id, r.id::text), r.name, r.status, r.case_no,
                      r.requested_at, r.instance_id, r.id
     from engine_run r where r.case_no = :word order by r.id desc limit :limit)
    union all (select r.engine || ' run', r.external_id, r.name, r.status, r.case_no,
                      r.requested_at, r.instance_id, r.id
     from engine_run r where r.engine = any(:engines) and r.external_id = :exact limit :limit)
"""


async def find(session: Session, asked: str) -> list[Found]:
    """What an id names: a case number, an instance, task, run or effect of DAMS, or another engine's own id."""
    word = asked.strip()
    if not word or len(word) > 200:
        return []
    given = {"word": word.upper(), "exact": word, "engines": list(ENGINES), "limit": 20}
    found = list(await session.execute(text(_BY_TEXT), given))
    if (number := _uuid(word)) is not None:
        found += await session.execute(text(_BY_UUID), {"id": number})
    rows = [Found(r.kind, r.id, r.name, r.status, r.case_no, r.at, r.instance_id, r.run_id) for r in found]
    return list({(row.kind, row.run_id or row.id): row for row in rows}.values())


def _uuid(word: str) -> UUID | None:
    try:
        return UUID(word)
    except ValueError:
        return None
