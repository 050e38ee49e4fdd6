"""Open cases that do not fit are mended, or become an incident; those that fit are left alone."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from app.core.actor import Actor
from app.db.session import transaction
from app.engines import reconcile, runs
from app.engines.spiff import instances
from tests import drawing
from tests.conftest import as_owner
from tests.engines.conftest import value
from tests.engines.spiff.test_instances import complete, deploy, start
from tests.engines.spiff.test_jobs import CAUGHT, announce, asked, carry, run_of, service, shown

TIMER = (
    '<bpmn:intermediateCatchEvent id="wait"><bpmn:timerEventDefinition><bpmn:timeDuration>PT1H</bpmn:timeDuration>'
    "</bpmn:timerEventDefinition></bpmn:intermediateCatchEvent>"
)
JOB = drawing.sequence("Own", service(inner=asked("docid", "${doctor}")))


async def write(sql: str, **given: Any) -> None:
    async with transaction() as session:
        await session.execute(text(sql), given)


async def waiting(staff: Actor, model: bytes = JOB) -> Any:
    await announce("count")
    await deploy(staff, model)
    return await start(staff, "Own", variables={"doctor": "HSP-1"})


async def test_cases_that_fit_are_left_alone(staff: Actor) -> None:
    await waiting(staff)
    await deploy(staff, drawing.sequence("Form", drawing.user_task("a")))
    await deploy(staff, drawing.sequence("Timed", TIMER))
    for process in ("Form", "Timed"):
        await start(staff, process)
    before = await value("select count(*) from case_event")
    assert await reconcile.look() == 0
    assert await value("select count(*) from case_event") == before


async def test_a_job_that_nobody_was_asked_for_is_asked_for_once(staff: Actor) -> None:
    instance = await waiting(staff)
    await write("delete from engine_run")  # as after a restored backup
    assert await reconcile.look() == 1
    assert await reconcile.look() == 0
    run = await run_of(instance.id)
    assert (run.status, run.name, run.input) == ("requested", "count", {"docid": "HSP-1"})
    assert (
        await value("select count(*) from case_event where kind = 'case.mended' and case_no = :c", c=instance.case) == 1
    )


async def test_an_end_that_was_not_carried_on_is_told_again(staff: Actor) -> None:
    instance = await waiting(staff)
    async with transaction() as session:
        await runs.completed(session, (await run_of(instance.id)).id, {"patients": 2})
    assert await reconcile.look() == 0  # its word is on the way
    await write("update outbox set state = 'sent' where kind = 'bpmn-job'")  # and was lost there
    assert await reconcile.look() == 1
    after = await shown(staff, instance.id)
    assert (after.status, after.variables) == ("completed", {"doctor": "HSP-1", "patients": 2})
    assert await reconcile.look() == 0


async def test_a_failure_that_was_not_carried_on_goes_its_way(staff: Actor) -> None:
    instance = await waiting(staff, CAUGHT)
    async with transaction() as session:
        await runs.failed(session, (await run_of(instance.id)).id, "full", "no room")
    await write("update outbox set state = 'sent' where kind = 'bpmn-job'")
    assert await reconcile.look() == 0  # ops can see it
    await carry()
    assert (await shown(staff, instance.id)).status == "running"


async def test_a_timer_that_is_gone_is_set_again(staff: Actor) -> None:
    await deploy(staff, drawing.sequence("Timed", TIMER))
    await start(staff, "Timed")
    due = await value("select due_at from timer")
    await write("delete from timer")
    assert await reconcile.look() == 1
    assert await value("select due_at from timer") == due
    assert await reconcile.look() == 0


async def test_a_task_that_is_gone_is_open_again(staff: Actor) -> None:
    await deploy(staff, drawing.sequence("Form", drawing.user_task("a")))
    instance = await start(staff, "Form")
    await write("delete from user_task")
    assert await reconcile.look() == 1
    view = await shown(staff, instance.id)
    assert [task.element_id for task in view.tasks] == ["a"]
    assert (await complete(staff, view.tasks[0].id)).status == "completed"


async def test_a_case_that_has_ended_or_was_called_off_is_not_looked_at(staff: Actor) -> None:
    instance = await waiting(staff)
    async with transaction() as session:
        await instances.cancel(session, staff, instance.id, "by mistake")
    await write("delete from engine_run")
    assert await reconcile.look() == 0


@pytest.mark.parametrize("sent", [True, False])
async def test_a_run_that_zeebe_did_not_begin_is_asked_for_once_more_a_minute(staff: Actor, sent: bool) -> None:
    async with transaction() as session:
        run_id = await runs.request(session, "zeebe", "Process_X", {"variables": {}}, case="A-1")
    state = "sent" if sent else "pending"
    await write(
        """insert into outbox (id, kind, key, payload, state) values (gen_random_uuid(), 'zeebe.start',
           cast(:run as text), jsonb_build_object('run', cast(:run as text)), :state)""",
        run=str(run_id), state=state,
    )  # fmt: skip
    assert await reconcile.start_again(0.0) == int(sent)
    assert await value("select count(*) from outbox where kind = 'zeebe.start'") == 1 + int(sent)
    assert await reconcile.start_again(60.0) == 0


async def test_what_is_found_in_many_cases_is_mended_in_all(staff: Actor) -> None:
    await deploy(staff, drawing.sequence("Timed", TIMER))
    for _ in range(5):
        await start(staff, "Timed")
    await as_owner("delete from timer")
    assert await reconcile.look(limit=2) == 5
    assert await value("select count(*) from timer") == 5
