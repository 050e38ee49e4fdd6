"""Every branch of every workflow, driven on a server that skips time, with the real activities on a real database.

Each is one function under :func:`branch`; its history, recorded by `DAMS_RECORD=1 ./dams test
tests/temporal/test_branches.py`, is what later versions of the workflow must still replay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import time, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment

from app.clinic import appointments
from app.db.session import transaction
from app.engines import flows, runs
from tests.temporal.conftest import BODY, DAY, value
from tests.waiting import until

Handle = WorkflowHandle[Any, Any]
Branch = Callable[[WorkflowEnvironment], Awaitable[Handle]]
branches: dict[str, Branch] = {}
ASKED = {name: given for name, given in BODY.items() if name != "consult_hrs"} | {"consult_hrs": "0.50"}
VISIT = {"ticketid": "TK-1", "patientid": 1, "charge": "80.00", "discount": "5.00"}


def branch(function: Branch) -> Branch:
    branches[function.__name__.replace("_", "-")] = function
    return function


async def start(env: WorkflowEnvironment, **change: Any) -> Handle:
    return await env.client.start_workflow(
        "ReserveAppointmentWorkflow", ASKED | change, id=f"appointment-{uuid4()}", task_queue="dams_appointment_queue"
    )


async def reserve(env: WorkflowEnvironment, **change: Any) -> Handle:
    handle = await start(env, **change)
    await handle.execute_update("reserved")
    return handle


async def status(ticket: str = "TK-1") -> str | None:
    return await value("select status from appointment where ticketid = :t", t=ticket)


async def mails(like: str = "%") -> int:
    return await value("select count(*) from outbox where kind = 'mail' and key like :like", like=like)


async def ended(handle: Handle) -> Any:
    """Its result; time is skipped until there is one."""
    return await handle.result()


async def failure(handle: Handle) -> BaseException | None:
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    return caught.value.cause


@branch
async def reservation_cancelled(env: WorkflowEnvironment) -> Handle:
    handle = await reserve(env)
    await handle.signal("closing", args=["The patient asked.", 1])
    await handle.cancel()
    assert isinstance(await failure(handle), CancelledError)
    assert (await handle.query("details"))["remarks"] == "The patient asked."
    assert await status() == "cancelled"
    return handle


@branch
async def reservation_refused(env: WorkflowEnvironment) -> Handle:
    await reserve(env)
    handle = await start(env, ticketid="TK-2", patientid=2)
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update("reserved")
    for cause in (caught.value.cause, await failure(handle)):
        assert isinstance(cause, ApplicationError)
        assert cause.type == "conflict"
    assert await status("TK-2") is None
    return handle


@branch
async def reservation_moved(env: WorkflowEnvironment) -> Handle:
    handle = await reserve(env)
    there = (DAY + timedelta(days=3)).isoformat()
    moved = await handle.execute_update("reschedule", {"date_scheduled": there, "time_scheduled": "09:15"})
    assert (moved["date_scheduled"], moved["time_scheduled"]) == (there, "09:15:00")
    assert moved["reminders"][0] > (DAY + timedelta(days=1)).isoformat()
    assert (await ended(handle))["status"] == "noshow"
    assert await mails("reminder:%") == 2
    return handle


@branch
async def reservation_not_moved(env: WorkflowEnvironment) -> Handle:
    handle = await reserve(env)
    await reserve(env, ticketid="TK-2", patientid=2, time_scheduled="14:00")
    for day, at, code in (
        (DAY.isoformat(), "14:00", "conflict"),
        ("2020-01-02", "09:00", "invalid"),
        ("x", "9", "invalid"),
    ):
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await handle.execute_update("reschedule", {"date_scheduled": day, "time_scheduled": at})
        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.type == code
    assert (await handle.query("details"))["time_scheduled"] == "12:00:00"
    await handle.cancel()
    await failure(handle)
    return handle


@branch
async def reservation_kept(env: WorkflowEnvironment) -> Handle:
    handle = await reserve(env)
    await handle.signal("check_in", 1)
    await until(lambda: value("select 1 from appointment where status = 'checked-in'"))
    assert (await ended(handle))["status"] == "fulfilled"
    assert await mails("reminder:%") == 0  # who is here needs no reminding
    return handle


@branch
async def reservation_missed(env: WorkflowEnvironment) -> Handle:
    handle = await reserve(env)
    first = await ended(handle)
    assert (first["status"], first["remarks"]) == ("noshow", "Nobody was checked in.")
    assert await mails("reminder:TK-1:%") == 2
    return handle


@branch
async def reservation_absent(env: WorkflowEnvironment) -> Handle:
    handle = await reserve(env)
    await handle.signal("no_show", 1)  # too early: refused, and it goes on

    async def refused() -> bool:
        return any(
            event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED
            for event in (await handle.fetch_history()).events
        )

    await until(refused)  # or the clock of the next lines would be that of this try too
    assert await status() == "booked"
    async with transaction() as session:
        await session.execute(text("update service_clock set offset_seconds = 86400 * 75"))
    await handle.signal("no_show", 1)
    await until(lambda: value("select 1 from appointment where status = 'noshow'"))
    assert (await ended(handle))["status"] == "noshow"
    return handle


@branch
async def reservation_changed_elsewhere(env: WorkflowEnvironment) -> Handle:
    handle = await reserve(env)
    async with transaction() as session:
        await appointments.cancel(session, None, "TK-1", "cancelled at the desk")
    await handle.signal("refresh")
    assert (await ended(handle))["status"] == "cancelled"
    return handle


@branch
async def reservation_taken_away(env: WorkflowEnvironment) -> Handle:
    handle = await reserve(env)
    async with transaction() as session:
        await session.execute(text("delete from appointment"))
    await handle.signal("refresh")
    assert (await ended(handle))["status"] == "entered-in-error"
    return handle


async def subscribe(env: WorkflowEnvironment, **more: Any) -> Handle:
    given = {"email": "ana@example.org", "every_seconds": 7 * 86_400.0, "key": f"letter:{uuid4()}"} | more
    return await env.client.start_workflow(
        "SendEmailWorkflow", given, id=f"letters-{uuid4()}", task_queue="dams_appointment_queue"
    )


@branch
async def subscription_ended(env: WorkflowEnvironment) -> Handle:
    handle = await subscribe(env)
    await until(lambda: mails("letter:%:welcome:0"))
    await env.sleep(timedelta(days=7 * 3 + 1))
    await until(lambda: mails("letter:%:thanks:3"))
    assert (await handle.query("details")) == {"email": "ana@example.org", "sent": 3, "subscribed": True}
    await handle.cancel()
    assert isinstance(await failure(handle), CancelledError)
    assert await mails("letter:%") == 5
    assert await mails("letter:%:goodbye:3") == 1
    return handle


async def pay(env: WorkflowEnvironment, *, near: bool = False, **change: Any) -> Handle:
    paymentid = str(uuid4())
    given, name, memo = VISIT | {"paymentid": paymentid} | change, f"bill-{paymentid}", {"near": True} if near else None
    if near:  # as the outbox starts it: its run is there before
        async with transaction() as session:
            await runs.request(session, "temporal", "BillVisitWorkflow", {}, external_id=name)
    return await env.client.start_workflow(
        "BillVisitWorkflow", given, id=name, task_queue="dams_billing_queue", memo=memo
    )


async def book() -> None:
    async with transaction() as session:
        wanted = appointments.Wanted("TK-1", 1, "HSP-200", 2, DAY, time(12), Decimal("0.50"))
        await appointments.book(session, None, wanted)


@branch
async def bill_released(env: WorkflowEnvironment, *, near: bool = False) -> Handle:
    await book()
    handle = await pay(env, near=near)
    assert (await ended(handle))["state"] == "released"
    assert await value("select status and amount = 75 and date_released is not null from payment")
    assert await mails("payment:%:paid") == 1
    return handle


@branch
async def bill_declined(env: WorkflowEnvironment, *, near: bool = False) -> Handle:
    await book()
    handle = await pay(env, near=near, charge="60000.00")
    cause = await failure(handle)
    assert isinstance(cause, ApplicationError)
    assert cause.type == "declined"
    assert await value("select not status and amount = 0 and voided_at is not null from payment")
    return handle


@branch
async def bill_refused(env: WorkflowEnvironment, *, near: bool = False) -> Handle:
    handle = await pay(env, near=near, ticketid="NOBODY")
    cause = await failure(handle)
    assert isinstance(cause, ApplicationError)
    assert cause.type == "invalid"
    assert await value("select count(*) from payment") == 0
    return handle


@branch
async def bill_released_near(env: WorkflowEnvironment) -> Handle:
    handle = await bill_released(env, near=True)
    assert await run_of(handle) == "completed"
    return handle


@branch
async def bill_declined_near(env: WorkflowEnvironment) -> Handle:
    handle = await bill_declined(env, near=True)
    assert await run_of(handle) == "cancelled"
    return handle


@branch
async def bill_refused_near(env: WorkflowEnvironment) -> Handle:
    handle = await bill_refused(env, near=True)
    assert await run_of(handle) == "cancelled"
    return handle


async def run_flow(env: WorkflowEnvironment, given: dict[str, Any]) -> Handle:
    return await env.client.start_workflow("FlowWorkflow", given, id=f"flow-{uuid4()}", task_queue=flows.QUEUE)


@branch
async def flow_completed(env: WorkflowEnvironment) -> Handle:
    handle = await run_flow(env, flows.flow("report_login_count").given)
    found = await ended(handle)
    accounts = await value("select count(*) from login")
    assert found["message"].startswith(f"There are {accounts} users as of ")
    assert found["steps"] == ["list_all_login", "count_login", "report_count", "return_report"]
    return handle


@branch
async def flow_failed(env: WorkflowEnvironment) -> Handle:
    steps = [
        {"id": "point", "kind": "nothing"},
        {"id": "left", "kind": "nothing", "after": ["point"]},
        {"id": "right", "kind": "count", "given": {"of": "point"}, "after": ["point"]},
        {"id": "end", "kind": "nothing", "after": ["left", "right"]},
    ]
    handle = await run_flow(env, {"flow": "x", "steps": steps})
    assert "Step right: there is nothing to count" in str(await failure(handle))
    return handle


async def attend(env: WorkflowEnvironment, name: str = "", **memo: Any) -> Handle:
    """A booked appointment that a process waits for."""
    await reserve(env)
    return await env.client.start_workflow(
        "AttendVisitWorkflow",
        ASKED,
        id=name or f"attend-{uuid4()}",
        task_queue="dams_appointment_queue",
        memo={"job": True} | memo,
    )


async def attend_near(env: WorkflowEnvironment) -> Handle:
    """The same as the outbox starts it: its run is there before."""
    name = f"attend-{uuid4()}"
    async with transaction() as session:
        await runs.request(session, "temporal", "AttendVisitWorkflow", {}, external_id=name)
    return await attend(env, name, near=True)


async def run_of(handle: Handle) -> str:
    return await value("select status from engine_run where external_id = :id", id=handle.id)


@branch
async def attendance_kept(env: WorkflowEnvironment) -> Handle:
    handle = await attend(env)
    await handle.signal("check_in", 1)
    assert (await ended(handle))["status"] == "checked-in"
    assert await status() == "checked-in"
    return handle


@branch
async def attendance_missed(env: WorkflowEnvironment) -> Handle:
    handle = await attend(env)
    cause = await failure(handle)
    assert isinstance(cause, ApplicationError)
    assert cause.type == "noshow"
    return handle


@branch
async def attendance_not_wanted(env: WorkflowEnvironment) -> Handle:
    handle = await attend(env)
    await handle.query("details")
    await handle.cancel()
    assert isinstance(await failure(handle), CancelledError)
    assert await status() == "booked"  # it belongs to whoever booked it
    return handle


@branch
async def attendance_kept_near(env: WorkflowEnvironment) -> Handle:
    handle = await attend_near(env)
    await handle.signal("check_in", 1)
    assert (await ended(handle))["status"] == "checked-in"
    assert await run_of(handle) == "completed"
    return handle


@branch
async def attendance_missed_near(env: WorkflowEnvironment) -> Handle:
    handle = await attend_near(env)
    assert await failure(handle) is not None
    assert await run_of(handle) == "failed"
    return handle


@branch
async def attendance_not_wanted_near(env: WorkflowEnvironment) -> Handle:
    handle = await attend_near(env)
    await handle.query("details")
    await handle.cancel()
    assert isinstance(await failure(handle), CancelledError)
    assert await run_of(handle) == "cancelled"
    return handle
