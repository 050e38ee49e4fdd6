"""Steps that are one statement: the same answers and rows as in a transaction, and losers who have written nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import Conflict, Invalid
from app.db.driver import Line
from app.db.session import reading, transaction
from app.engines.spiff import instances, lookup, models, single, worklist
from app.engines.spiff.pace import KNOWN, Pace
from app.engines.spiff.records import InstanceView
from tests import drawing
from tests.engines.conftest import until, value
from tests.engines.spiff.test_instances import APPOINTMENT, complete, deploy, events, start

TIMED = drawing.definitions(
    "Timed",
    '<bpmn:startEvent id="start" />',
    drawing.user_task("first"),
    '<bpmn:intermediateCatchEvent id="pause"><bpmn:timerEventDefinition>'
    "<bpmn:timeDuration>PT1H</bpmn:timeDuration></bpmn:timerEventDefinition></bpmn:intermediateCatchEvent>",
    '<bpmn:endEvent id="end" />',
    drawing.flow("start", "first"),
    drawing.flow("first", "pause"),
    drawing.flow("pause", "end"),
)
WRITTEN = """select (select count(*) from case_event) + (select count(*) from user_task)
                    + (select count(*) + coalesce(sum(revision), 0) from instance)"""


async def known(actor: Actor, content: bytes = APPOINTMENT, process_id: str = "Visit") -> None:
    """A deployed model that this process has loaded, as every one is that was used before."""
    await deploy(actor, content)
    async with reading() as session:
        await models.find(session, process_id)


async def started(actor: Actor, process_id: str = "Visit") -> InstanceView:
    view = await single.start(actor, process_id, {})
    assert view is not None
    return view


async def waits_for_a_lock() -> bool:
    """Somebody in this database: the server is shared."""
    sql = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    return bool(await value(sql))


async def test_a_visit_is_answered_and_written_as_in_transactions(staff: Actor) -> None:
    await known(staff)
    view = await started(staff)
    for entries in ({"specialization": "ENT"}, {"patientid": "7", "note": "knee"}):
        async with reading() as session:
            assert await lookup.view(session, staff, view.id) == view
        view = await single.complete(staff, view.tasks[0].id, entries)
    async with reading() as session:
        assert await lookup.view(session, staff, view.id) == view
    assert view.status == "completed"
    other = await start(staff)
    for entries in ({"specialization": "ENT"}, {"patientid": "7", "note": "knee"}):
        other = await complete(staff, other.tasks[0].id, **entries)
    assert (other.variables, await events(other.case)) == (view.variables, await events(view.case))
    sql = """select t.element_id, t.state, t.candidates, t.assignee_id, t.priority, t.form_data, i.revision, i.waiting
             from user_task t join instance i on i.id = t.instance_id where i.id = :id order by t.id"""
    async with reading() as session:
        rows = [(await session.execute(text(sql), {"id": one.id})).all() for one in (view, other)]
    assert rows[0] == rows[1]


async def test_no_transaction_is_begun_for_it(staff: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    await known(staff)

    def refuse() -> Any:
        raise AssertionError("a transaction was begun")

    monkeypatch.setattr(single, "transaction", refuse)
    view = await started(staff)
    view = await single.complete(staff, view.tasks[0].id, {"specialization": "ENT"})
    assert [task.element_id for task in view.tasks] == ["patient"]


async def test_whoever_sees_the_task_before_another_completes_it_loses_and_writes_nothing(
    staff: Actor, doctor: Actor
) -> None:
    await known(staff)
    task = (await started(staff)).tasks[0].id
    async with transaction() as session:
        await instances.complete(session, doctor, task, {"specialization": "Cardiology"})
        late = asyncio.create_task(single.complete(staff, task, {"specialization": "ENT"}))
        await until(waits_for_a_lock)  # it has seen the task open, and waits with its one statement
    written = await value(WRITTEN)
    with pytest.raises(Conflict) as lost:
        await late
    assert lost.value.context["first_by"] == "Doctor"
    assert await value(WRITTEN) == written
    assert await value("select variables->>'specialization' from instance") == "Cardiology"


async def test_a_claim_that_comes_between_is_respected(staff: Actor, doctor: Actor) -> None:
    await known(staff)
    task = (await started(staff)).tasks[0].id
    async with transaction() as session:
        await worklist.claim(session, doctor, task)
        late = asyncio.create_task(single.complete(staff, task, {"specialization": "ENT"}))
        await until(waits_for_a_lock)
    with pytest.raises(Conflict, match="claimed by Doctor"):
        await late
    assert await value("select state from user_task") == "claimed"


async def test_of_many_at_once_one_wins(staff: Actor, doctor: Actor) -> None:
    await known(staff)
    task = (await started(staff)).tasks[0].id
    both = [single.complete(who, task, {"specialization": who.username}) for who in (staff, doctor) * 4]
    results = await asyncio.gather(*both, return_exceptions=True)
    assert [type(result).__name__ for result in results].count("InstanceView") == 1
    assert all(isinstance(result, (InstanceView, Conflict)) for result in results)
    assert await value("select count(*) from user_task") == 2


async def test_the_same_key_again_is_the_same_completion(staff: Actor) -> None:
    await known(staff)
    task = (await started(staff)).tasks[0].id
    first = await single.complete(staff, task, {"specialization": "ENT"}, key="once")
    assert await single.complete(staff, task, {"specialization": "ENT"}, key="once") == first


async def test_a_form_to_be_mended_writes_nothing(staff: Actor) -> None:
    await known(staff)
    task = (await started(staff)).tasks[0].id
    written = await value(WRITTEN)
    with pytest.raises(Invalid):
        await single.complete(staff, task, {})
    assert await value(WRITTEN) == written


async def test_a_step_that_needs_more_than_a_statement_is_taken_in_a_transaction(staff: Actor) -> None:
    await known(staff, TIMED, "Timed")
    view = await single.complete(staff, (await started(staff, "Timed")).tasks[0].id, {})
    assert [item["kind"] for item in view.waiting] == ["timer"]
    assert await value("select count(*) from timer") == 1
    assert await value("select revision from instance") == 2


async def test_what_this_process_has_not_loaded_is_left_to_a_transaction(staff: Actor) -> None:
    await known(staff)
    task = (await started(staff)).tasks[0].id
    models.forget()
    assert await single.start(staff, "Visit", {}) is None
    models.forget()
    view = await single.complete(staff, task, {"specialization": "ENT"})
    assert [one.element_id for one in view.tasks] == ["patient"]
    assert await single.start(staff, "Nothing", {}) is None


async def test_short_steps_are_run_on_the_loop_and_long_ones_in_threads() -> None:
    pace, here = Pace(), threading.get_ident()

    def long() -> int:
        began = time.thread_time()
        while time.thread_time() - began < 0.02:
            pass
        return threading.get_ident()

    ran = [await pace.run(threading.get_ident) for _ in range(KNOWN + 1)]
    assert here not in ran[:KNOWN]
    assert ran[KNOWN] == here
    assert await pace.run(long) == here  # nobody could know
    assert await pace.run(long) != here


async def test_a_step_that_fails_is_as_long_as_it_was(staff: Actor) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    pace = Pace()
    for _ in range(KNOWN + 1):
        with pytest.raises(ZeroDivisionError):
            await pace.run(broken)


async def test_a_step_finds_its_tasks_by_an_index_of_their_own(staff: Actor) -> None:
    """Planned for few open tasks it would read all of them, which a clinic at work has thousands of."""
    from app.engines.spiff.statements import SEE_FOR_TASK

    await known(staff)
    task: UUID = (await started(staff)).tasks[0].id
    async with Line() as line:
        driven = line.adapter.driver_connection
        sql = SEE_FOR_TASK.sql.replace("$1::uuid", f"'{task}'::uuid")
        await driven.execute("set enable_seqscan = off")
        plan = "\n".join(row[0] for row in await driven.fetch(f"explain {sql}"))
        await driven.execute("reset enable_seqscan")
    assert "ix_user_task_open_of_instance" in plan
    assert "ix_incident_open_of_instance" in plan
