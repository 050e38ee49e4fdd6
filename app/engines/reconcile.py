"""Looks at every open case and mends what does not fit, or makes it an incident: nobody waits for what never comes.

What is asked for leaves by the outbox and what is answered comes back by it, so this finds what neither explains: an
effect that a restored database does not know, an answer that a fault of ours did not carry on. A run in an engine is
looked after by that engine's own loop (`workflows`, `dags`, the sweep of Celery).
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.clinic import audit
from app.core.log import log
from app.db.session import Session, reading, transaction
from app.engines import outbox
from app.engines.spiff import instances, jobs
from app.engines.zeebe import carrier

EVERY_SECONDS = 30.0
"""Twice a minute, so that a turn may be late and every open case still is looked at once a minute."""
STILL = "stands-still"

# An answer that is on its way, or an end that ops must look at, explains a job that nobody works on.
_ODD = text("""
    select i.id from instance i where i.status = 'running' and not i.unfinished and i.id > :after and (
        i.waiting = '[]'
            and not exists (select from user_task t where t.instance_id = i.id and t.state in ('ready', 'claimed'))
            and not exists (select from incident n where n.instance_id = i.id and n.resolved_at is null)
        or i.waiting @> '[{"kind": "timer"}]' and not exists (select from timer t where t.instance_id = i.id)
        or i.waiting @> '[{"kind": "job"}]' and
            (select count(*) from jsonb_array_elements(i.waiting) w where w ->> 'kind' = 'job') >
            (select count(*) from engine_run r where r.instance_id = i.id and (
                r.status in ('requested', 'running')
                or exists (select from incident n where n.run_id = r.id and n.resolved_at is null)
                or exists (select from outbox o where o.state = 'pending' and o.kind = 'bpmn-job'
                           and o.payload ->> 'run' = r.id::text))))
    order by i.id limit :limit
""")
_UNSTARTED = text("""
    update engine_run r set seen_at = now() where r.engine = 'zeebe' and r.status = 'requested'
    and r.external_id is null and coalesce(r.seen_at, r.requested_at) < now() - make_interval(secs => :quiet)
    and not exists (select from outbox o where o.state = 'pending' and o.kind = 'zeebe.start'
                    and o.payload ->> 'run' = r.id::text)
    and not exists (select from incident n join outbox o on o.id = n.outbox_id where n.resolved_at is null
                    and o.kind = 'zeebe.start' and o.payload ->> 'run' = r.id::text)
    returning r.id, r.case_no, extract(epoch from now())::bigint as turn
""")


async def look(limit: int = 100) -> int:
    """Look at all open cases once; how many things were mended or became an incident."""
    mended, after = 0, UUID(int=0)
    while True:
        async with reading() as session:
            found = list((await session.scalars(_ODD, {"after": after, "limit": limit})).all())
        for instance_id in found:
            mended += await _mend(instance_id)
        if len(found) < limit:
            return mended + await start_again()
        after = found[-1]


async def _mend(instance_id: UUID) -> bool:
    try:
        async with transaction() as session:
            what = await jobs.mend(session, instance_id)
            if what is None and await instances.proceed(session, instance_id):
                what = await _still(session, instance_id)
            if what is None:
                return False  # somebody has it in hand, or it has ended
            log.warning("a case was mended", instance=str(instance_id), what=what)
            case = await session.scalar(text("select case_no from instance where id = :id"), {"id": instance_id})
            await audit.record(session, "case.mended", case=case, instance_id=instance_id, data={"what": what})
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        log.error("a case could not be mended", instance=str(instance_id), error=type(error).__name__)
        return False
    return True


async def _still(session: Session, instance_id: UUID) -> str:
    """Going on was tried; a case that still waits for nothing is an incident."""
    told = await session.scalar(
        text("""insert into incident (instance_id, n, element_id, code, message)
                select i.id, (select coalesce(max(n), 0) + 1 from incident where instance_id = i.id), '', :code,
                       :message
                from instance i where i.id = :id and i.status = 'running' and i.waiting = '[]' and not i.unfinished
                and not exists (select from user_task t where t.instance_id = i.id and t.state in ('ready', 'claimed'))
                and not exists (select from incident n where n.instance_id = i.id and n.resolved_at is null)
                returning n"""),
        {"id": instance_id, "code": STILL, "message": "Nothing is open and nothing is waited for."},
    )
    return STILL if told is not None else "went on"


async def start_again(quiet: float = 60.0) -> int:
    """Ask Zeebe once more for runs that it was asked for and did not begin; a second instance calls itself off."""
    async with transaction() as session:
        rows = (await session.execute(_UNSTARTED, {"quiet": quiet})).all()
        for row in rows:
            key = f"{row.id}:again:{row.turn}"
            await outbox.enqueue(session, carrier.START, key, {"run": str(row.id)}, case=row.case_no)
    return len(rows)
