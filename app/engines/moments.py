"""What other engines do inside a run, told in the timeline of its case: jobs, steps, activities, timers, signals.

Each moment has a key and is one row however often it is told: a job that is handed out again, a step whose answer was
lost, a workflow that is replayed. A run of no case has no timeline; its own page shows its steps. Moments carry names,
numbers and codes, never a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from app.db.session import Session

_FAILURES = "(select count(*) from incident n where n.run_id = r.id)"
"""A run that ops has tried again counts its tries anew, so the tries of each attempt have keys of their own."""


def _told(source: str, name: str, key: str, condition: str) -> str:
    return f"""
    insert into case_event (kind, case_no, instance_id, task_id, data, key)
    select r.engine || '.' || :what, r.case_no, r.instance_id, r.task_id,
           jsonb_build_object('run', r.id, 'name', {name}, 'attempt', s.attempts) || :data,
           r.engine || ':' || r.id || ':' || {_FAILURES} || ':' || {key} || ':' || :what || ':' || s.attempts
    from {source} s join engine_run r on r.id = s.run_id
    where {condition} and r.case_no is not null and {name} not like 'dams.%'
    on conflict (key) where key is not null do nothing
"""  # noqa: S608 - constants of this module


_JOB = text(_told("zeebe_job", "s.type", "s.key", "s.key = :key")).bindparams(bindparam("data", type_=JSONB))
_STEP = text(_told("pipeline_step", "s.task", "s.step", "s.run_id = :run and s.step = :step")).bindparams(
    bindparam("data", type_=JSONB)
)
_OF_WORKFLOWS = text("""
    insert into case_event (kind, case_no, instance_id, task_id, data, key)
    select 'temporal.' || m.what, r.case_no, r.instance_id, r.task_id, jsonb_build_object('run', r.id) || m.data,
           'temporal:' || m.key
    from jsonb_to_recordset(:moments) as m(n int, workflow text, what text, key text, data jsonb)
         join engine_run r on r.engine = 'temporal' and r.external_id = m.workflow and r.case_no is not null
    order by m.n
    on conflict (key) where key is not null do nothing
""").bindparams(bindparam("moments", type_=JSONB))
_PUBLISHED = text("""
    insert into case_event (kind, case_no, instance_id, task_id, data, key)
    select 'celery.published', r.case_no, r.instance_id, r.task_id,
           jsonb_build_object('run', r.id, 'name', r.name), 'celery:' || r.id || ':published:' || cast(:outbox as text)
    from engine_run r where r.id = :run and r.case_no is not null
    on conflict (key) where key is not null do nothing
""")


class OfWorkflow(NamedTuple):
    """A moment of a workflow by its id. *key* is the same at each replay."""

    workflow: str
    what: str
    key: str
    data: dict[str, Any]


async def of_job(session: Session, key: int, what: str, **further: Any) -> None:
    """A job of Zeebe by its key: `what` happened at the try that is counted now."""
    await session.execute(_JOB, {"key": key, "what": f"job-{what}", "data": further})


async def of_step(session: Session, run_id: UUID, step: str, what: str, **further: Any) -> None:
    """A step of a pipeline: `what` happened at the try that is counted now."""
    await session.execute(_STEP, {"run": run_id, "step": step, "what": f"step-{what}", "data": further})


async def of_workflows(session: Session, moments: Sequence[OfWorkflow]) -> None:
    """Moments of any workflows, in their order."""
    given = [{"n": n, **moment._asdict()} for n, moment in enumerate(moments)]
    await session.execute(_OF_WORKFLOWS, {"moments": given})


async def published(session: Session, run_id: UUID, outbox_id: UUID) -> None:
    """A pipeline was put into Celery's queue, by this row of the outbox."""
    await session.execute(_PUBLISHED, {"run": run_id, "outbox": str(outbox_id)})
