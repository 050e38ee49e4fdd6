"""Jobs of Zeebe as the database knows them: a repeat is known, and a key that was given out anew is no repeat."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from app.db.session import transaction
from app.engines import runs
from app.engines.zeebe import jobs
from app.engines.zeebe.jobs import Given, Held

FIRST = Given(2251799813685301, "select_diagnosis", None, "P", "Select", 7, 5, 3)


@pytest.fixture
async def asked(database_url: str) -> UUID:
    return await wanted()


async def wanted() -> UUID:
    async with transaction() as session:
        run_id = await runs.request(session, "zeebe", "P", {})
    assert run_id
    return run_id


async def take(job: Given) -> Held:
    async with transaction() as session:
        return await jobs.take(session, job)


async def test_a_job_that_is_handed_out_again_is_known_with_its_result(asked: UUID) -> None:
    job = replace(FIRST, run_id=asked)
    assert (await take(job)).attempts == 1
    assert (await take(job)).attempts == 2
    async with transaction() as session:
        await jobs.done(session, job.key, {"data": 1})
    again = await take(job)
    assert (again.state, again.result, again.attempts) == ("done", {"data": 1}, 2)


async def test_an_instance_key_that_an_emptied_broker_gave_out_anew_is_another_run(asked: UUID) -> None:
    """Without it the new run could not begin, and nobody would see that the old one never ends."""
    ended, lost, again = asked, await wanted(), await wanted()
    async with transaction() as session:
        assert await jobs.begin(session, ended, 5)
        assert await runs.completed(session, ended, {})
    async with transaction() as session:
        assert await jobs.begin(session, lost, 5)
        assert not await jobs.begin(session, lost, 6)
    async with transaction() as session:
        assert await jobs.begin(session, again, 5)
    async with transaction() as session:
        found = [await runs.get(session, one) for one in (ended, lost, again)]
        assert await runs.is_stuck(session, lost)
    assert [(run.status, run.external_id) for run in found if run] == [
        ("completed", None),
        ("failed", None),
        ("running", "5"),
    ]


@pytest.mark.parametrize(
    "change", [{"type": "retrieve_analysis"}, {"instance_key": 6}, {"element_instance_key": 8}, {}]
)
async def test_a_key_that_an_emptied_broker_gave_out_anew_is_another_job(asked: UUID, change: dict[str, int]) -> None:
    async with transaction() as session:
        await jobs.take(session, replace(FIRST, run_id=asked))
        await jobs.done(session, FIRST.key, {"data": "of another patient"})
    other = await wanted()
    held = await take(replace(FIRST, run_id=other, **change))
    assert (held.state, held.result, held.attempts, held.run_id) == ("active", None, 1, other)
    assert (await take(replace(FIRST, run_id=other, **change))).attempts == 2
