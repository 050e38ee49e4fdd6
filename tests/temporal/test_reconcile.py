"""Runs that ended behind our back become visible."""

from __future__ import annotations

import pytest

from app.db.session import transaction
from app.engines import flows, temporal, workflows
from tests.temporal.conftest import value

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("temporal")]


async def started(name: str) -> None:
    await temporal.start("FlowWorkflow", name, "nobody", flows.flow("report_login_count").given)


async def status(name: str) -> str:
    return await value("select status from engine_run where external_id like :name", name=f"{name}/%")


async def test_a_workflow_that_was_terminated_or_is_gone_is_an_incident_and_the_others_stay() -> None:
    for name in ("terminated", "open"):
        await started(name)
    await (await temporal.client()).get_workflow_handle("terminated").terminate()
    async with transaction() as session:
        lost = await workflows.ask(session, "FlowWorkflow", "nobody", {})
        waiting = await workflows.ask(session, "FlowWorkflow", "nobody", {})  # its effect is not sent yet
        await workflows.runs.began(session, lost)
    assert await workflows.reconcile() == 0  # too young to be asked about
    assert await workflows.reconcile(quiet=-1) == 2
    assert (await status("terminated"), await status("open")) == ("failed", "requested")
    assert await value("select status from engine_run where id = :id", id=lost) == "failed"
    assert await value("select status from engine_run where id = :id", id=waiting) == "requested"
    assert await value("select count(*) from incident where code in ('ended-elsewhere', 'lost')") == 2
    assert await workflows.reconcile(quiet=-1) == 0
