"""Ops retries and cancels a run of another engine: the row, its incident, the timeline and the effect go together."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.core.actor import Actor
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.ids import uuid7
from app.db.session import Session, transaction
from app.engines import control, outbox, runs
from tests.engines.conftest import value


async def ask(session: Session, run: runs.Run, key: str) -> None:
    await outbox.enqueue(session, "probe-again", key, {"run": str(run.id)})


async def tell(session: Session, run: runs.Run, key: str) -> None:
    await outbox.enqueue(session, "probe-stop", key, {"run": str(run.id)})


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine of the test's own under a name that the table knows."""
    monkeypatch.setattr(control, "HOMES", {})
    monkeypatch.setattr(control, "_retries", {"airflow": ask})
    monkeypatch.setattr(control, "_cancels", {"airflow": tell})


async def requested(*, fails: int = 0) -> UUID:
    async with transaction() as session:
        run_id = await runs.request(session, "airflow", "report", {})
        assert run_id
        for _ in range(fails):
            await runs.failed(session, run_id, "no-worker", "nobody took it")
    return run_id


async def test_a_failed_run_is_asked_for_again_under_a_new_key_at_each_try(ops: Actor) -> None:
    run_id = await requested(fails=1)
    for _ in range(2):
        async with transaction() as session:
            await control.retry(session, ops, run_id)
        assert await value("select status from engine_run where id = :id", id=run_id) == "requested"
        assert await value("select count(*) from incident where run_id = :id and resolved_at is null", id=run_id) == 0
        async with transaction() as session:
            await runs.failed(session, run_id, "no-worker", "nobody took it")
    assert await value("select count(distinct key) from outbox where kind = 'probe-again'") == 2


async def test_a_run_that_has_not_failed_is_not_asked_for_again(ops: Actor) -> None:
    run_id = await requested()
    with pytest.raises(Conflict):
        async with transaction() as session:
            await control.retry(session, ops, run_id)
    assert await value("select count(*) from outbox") == 0


async def test_a_cancelled_run_keeps_who_and_why_and_tells_its_engine_once(ops: Actor) -> None:
    run_id = await requested(fails=1)
    async with transaction() as session:
        await control.cancel(session, ops, run_id, "asked for twice")
    with pytest.raises(Conflict):
        async with transaction() as session:
            await control.cancel(session, ops, run_id, "asked for twice")
    told = await value("select data->>'reason' from case_event where kind = 'airflow.cancelled'")
    assert told == "asked for twice"
    assert await value("select count(*) from outbox where kind = 'probe-stop'") == 1
    assert await value("select count(*) from incident where run_id = :id and resolved_at is null", id=run_id) == 0


async def test_a_cancel_needs_a_reason_and_the_role(ops: Actor, doctor: Actor) -> None:
    run_id = await requested()
    async with transaction() as session:
        with pytest.raises(Invalid):
            await control.cancel(session, ops, run_id, "  ")
        with pytest.raises(Forbidden):
            await control.cancel(session, doctor, run_id, "no")
        with pytest.raises(NotFound):
            await control.cancel(session, ops, uuid7(), "no")


async def test_an_engine_that_cannot_says_so(ops: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_retries", {})
    run_id = await requested(fails=1)
    with pytest.raises(Conflict, match="airflow"):
        async with transaction() as session:
            await control.retry(session, ops, run_id)
