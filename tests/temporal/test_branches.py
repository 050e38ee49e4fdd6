"""Each branch of each workflow does what it should; with DAMS_RECORD=1 its history is kept for the replay tests."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from temporalio.testing import WorkflowEnvironment

from app.db.session import reading
from tests.temporal.branches import attend_near, branches, reserve, subscribe
from tests.temporal.conftest import value
from tests.waiting import until

pytestmark = pytest.mark.engine
HISTORIES = Path(__file__).parent / "histories"


@pytest.mark.parametrize("name", sorted(branches))
async def test_a_branch_ends_as_it_should(skipping: WorkflowEnvironment, name: str) -> None:
    handle = await branches[name](skipping)
    if os.environ.get("DAMS_RECORD"):
        history = json.dumps((await handle.fetch_history()).to_json_dict(), indent=1)
        HISTORIES.mkdir(exist_ok=True)
        nobody = re.sub(r'"identity": "[^"]*"', '"identity": "worker"', history)  # which machine it was says nothing
        (HISTORIES / f"{name}.json").write_text(f"{nobody}\n")


async def test_what_a_workflow_reports_stands_in_its_run(skipping: WorkflowEnvironment) -> None:
    handle = await reserve(skipping)
    await handle.result()
    async with reading() as session:
        row = (await session.execute(text("select * from engine_run"))).one()
    assert (row.name, row.status, row.engine) == ("ReserveAppointmentWorkflow", "completed", "temporal")
    assert row.external_id == f"{handle.id}/{handle.first_execution_run_id or handle.result_run_id}"


async def test_what_the_outbox_asked_for_needs_no_queue_for_its_own_steps(
    skipping: WorkflowEnvironment,
) -> None:
    handle = await attend_near(skipping)
    await until(lambda: value("select 1 from engine_run where status = 'running' and external_id = :id", id=handle.id))
    await handle.signal("check_in", 1)
    await handle.result()
    events = (await handle.fetch_history()).events
    began = [event.activity_task_scheduled_event_attributes.activity_type.name for event in events]
    assert not any(began)
    told = await value("select array_agg(kind order by id) from case_event where data->>'name' = 'AttendVisitWorkflow'")
    assert told == ["temporal.requested", "temporal.running", "temporal.completed"]


async def test_a_long_subscription_begins_its_history_anew(skipping: WorkflowEnvironment) -> None:
    handle = await subscribe(skipping, every_seconds=12.0, turns=10)
    await skipping.sleep(timedelta(seconds=12 * 45))
    await until(lambda: value("select 1 from outbox where key like '%:thanks:41'"))
    newest = skipping.client.get_workflow_handle(handle.id)
    assert (await newest.describe()).run_id != handle.first_execution_run_id
    assert (await newest.query("details"))["sent"] >= 41
    assert await value("select count(*) = count(distinct key) and count(*) >= 42 from outbox")
    assert (await newest.describe()).history_length < 150
    assert await value("select count(*) from engine_run") == 1
