"""What other engines do inside a run is told in the timeline of its case, once however often it is told."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from app.core.actor import Actor
from app.db.session import reading, transaction
from app.engines import moments, runs
from app.engines.moments import OfWorkflow
from app.engines.zeebe import jobs
from workers import steps
from workers.steps import Key

CASE = "C-000042"


async def a_run(engine: str, name: str, *, case: str | None = CASE, external_id: str | None = None) -> UUID:
    async with transaction() as session:
        made = await runs.request(session, engine, name, {}, case=case, external_id=external_id)
        assert made is not None
        await runs.began(session, made)
        return made


async def told(kind: str = "") -> list[tuple[str, Any]]:
    """Moments in their order, each with the number of its try."""
    sql = "select kind, data from case_event where key is not null and case_no = :case and kind like :kind order by id"
    async with reading() as session:
        found = await session.execute(text(sql), {"case": CASE, "kind": f"{kind}%"})
        return [(row.kind, row.data.get("attempt")) for row in found]


def a_job(run: UUID, *, type_: str = "select_diagnosis") -> jobs.Given:
    return jobs.Given(7, type_, run, "Process_Diagnostics", "Task_1", 70, 71, 2)


async def test_a_job_that_is_handed_out_again_is_told_once_for_each_try(database_url: str) -> None:
    job = a_job(await a_run("zeebe", "Process_Diagnostics"))
    async with transaction() as session:
        await jobs.take(session, job)
        assert await jobs.failed(session, job, "no", final=False) == 1
    async with transaction() as session:
        await jobs.take(session, job)
    for _ in range(3):  # the answer was lost
        async with transaction() as session:
            await jobs.done(session, job.key, {})
            await jobs.take(session, job)
    assert await told() == [
        ("zeebe.job-started", 1),
        ("zeebe.job-failed", 1),
        ("zeebe.job-started", 2),
        ("zeebe.job-completed", 2),
    ]


async def test_the_tries_of_a_job_that_ops_had_tried_again_are_told_anew(ops: Actor) -> None:
    run = await a_run("zeebe", "Process_Diagnostics")
    job = a_job(run)
    for _ in range(2):
        async with transaction() as session:
            await jobs.take(session, job)
            await jobs.failed(session, job, "no", final=True)
        async with transaction() as session:
            await jobs.unpark(session, run)
            await runs.again(session, run, ops.id)
            await runs.began(session, run)
    assert await told() == [("zeebe.job-started", 1), ("zeebe.job-failed", 1)] * 2


async def test_what_ends_a_run_is_no_job_of_its_own(database_url: str) -> None:
    async with transaction() as session:
        await jobs.take(session, a_job(await a_run("zeebe", "p"), type_="dams.run.end"))
    assert await told() == []


async def test_a_step_that_is_given_out_again_is_told_once_for_each_try(database_url: str) -> None:
    key = Key(await a_run("celery", "doctor-stats"), "1", "t-1", of_run=True)
    for _ in range(2):  # the first process died
        async with transaction() as session:
            await steps.claim(session, key, "stats.count")
    async with transaction() as session:
        await steps.retried(session, key, "unavailable")
        await steps.done(session, key, 3)
    async with transaction() as session:
        assert (await steps.claim(session, key, "stats.count")).state == "done"
    assert await told() == [
        ("celery.step-started", 1),
        ("celery.step-started", 2),
        ("celery.step-retried", 2),
        ("celery.step-completed", 2),
    ]


async def test_a_step_that_failed_is_told_with_its_code_alone(database_url: str) -> None:
    key = Key(await a_run("celery", "doctor-stats"), "1", "t-1", of_run=True)
    async with transaction() as session:
        await steps.claim(session, key, "stats.count")
        await steps.failed(session, key, {"code": "invalid", "detail": "Ann Lee has no ticket"})
        await steps.failed(session, key, {"code": "invalid", "detail": "Ann Lee has no ticket"})
    assert await told("celery.step-f") == [("celery.step-failed", 1)]
    async with reading() as session:
        data = await session.scalar(text("select data from case_event where kind = 'celery.step-failed'"))
    assert data == {"run": str(key.run), "name": "stats.count", "attempt": 1, "code": "invalid"}


async def test_a_publication_is_told_once_for_each_row_of_the_outbox(database_url: str) -> None:
    run, row = await a_run("celery", "doctor-stats"), uuid4()
    async with transaction() as session:
        for sent in (row, row, uuid4()):
            await moments.published(session, run, sent)
    assert await told() == [("celery.published", None)] * 2


async def test_moments_of_workflows_are_told_in_their_order_and_a_replay_adds_none(database_url: str) -> None:
    await a_run("temporal", "AttendVisitWorkflow", external_id="visit-1")
    heard = [
        OfWorkflow("visit-1", "activity-started", "r:1:s:1", {"name": "book", "attempt": 1}),
        OfWorkflow("visit-1", "timer-fired", "r:timer:1", {}),
        OfWorkflow("nobody", "timer-fired", "q:timer:1", {}),
    ]
    for _ in range(2):
        async with transaction() as session:
            await moments.of_workflows(session, heard)
    assert await told() == [("temporal.activity-started", 1), ("temporal.timer-fired", None)]


async def test_a_run_of_no_case_has_no_timeline(database_url: str) -> None:
    key = Key(await a_run("celery", "nightly", case=None), "1", "t-1", of_run=True)
    async with transaction() as session:
        await steps.claim(session, key, "stats.count")
        await steps.done(session, key, 3)
        await moments.published(session, key.run, uuid4())
        assert await session.scalar(text("select count(*) from case_event where key is not null")) == 0
