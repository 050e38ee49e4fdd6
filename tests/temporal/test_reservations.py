"""Appointments by the specification's calls: reserved once, seen, moved, cancelled; refused with a reason."""

from __future__ import annotations

import asyncio
from datetime import time, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from app.db.session import reading
from app.engines import reservations
from tests.temporal.conftest import BODY, DAY, Caller, caller, value
from tests.waiting import until

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("workers")]


async def status(ticket: str = "TK-1") -> str | None:
    return await value("select status from appointment where ticketid = :t", t=ticket)


async def test_an_appointment_is_reserved_under_its_ticket_with_every_field(staff_calls: Caller) -> None:
    answer = await staff_calls("POST", "/appointment/doctor", BODY)
    assert answer.status_code == 201
    assert answer.json["ticketid"] == "TK-1"
    assert answer.json["status"] == "booked"
    async with reading() as session:
        row = (await session.execute(text("select * from appointment"))).one()
    assert (row.ticketid, row.patientid, row.docid, row.priority_level) == ("TK-1", 1, "HSP-200", 2)
    assert (row.date_scheduled, row.time_scheduled, row.consult_hrs) == (DAY, time(12), Decimal("0.50"))
    run = "select count(*) from engine_run where engine = 'temporal' and status = 'running' and external_id like :id"
    name = f"{reservations.workflow_id('TK-1')}/%"
    await until(lambda: value(run, id=name))
    assert await value('select started_by is not null and input = \'{"ticket": "TK-1"}\' from engine_run')


async def test_the_same_ticket_is_refused_also_when_both_come_at_once(staff_calls: Caller) -> None:
    later = BODY | {"time_scheduled": "15:00"}
    answers = await asyncio.gather(*(staff_calls("POST", "/appointment/doctor", later) for _ in range(5)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201, 409, 409, 409, 409], [answer.json for answer in answers]
    assert (await staff_calls("POST", "/appointment/doctor", BODY)).status_code == 409
    assert await value("select count(*) from appointment") == 1


async def test_a_taken_slot_is_refused_and_the_ticket_can_be_used_for_another(staff_calls: Caller) -> None:
    await staff_calls("POST", "/appointment/doctor", BODY)
    again = BODY | {"ticketid": "TK-2", "patientid": 2}
    refused = await staff_calls("POST", "/appointment/doctor", again)
    assert refused.status_code == 409
    assert "HSP-200 is not free" in refused.json["detail"]
    taken = await staff_calls("POST", "/appointment/doctor", again | {"time_scheduled": "14:00"})
    assert taken.status_code == 201
    assert await value("select count(*) from appointment") == 2
    called_off = "select count(*) from engine_run where status = 'cancelled'"
    await until(lambda: value(called_off))
    assert await value("select count(*) from incident") == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"patientid": "one"}, "patientid"),
        ({"patientid": 999}, "patientid"),
        ({"docid": "HSP-999"}, "docid"),
        ({"priority_level": 9}, "priority_level"),
        ({"date_scheduled": "2020-01-02"}, "date_scheduled"),
        ({"date_scheduled": "soon"}, "date_scheduled"),
        ({"time_scheduled": "25:00"}, "time_scheduled"),
        ({"time_scheduled": "10:00+02:00"}, "time_scheduled"),
        ({"consult_hrs": 99}, "consult_hrs"),
        ({"ticketid": "x" * 21}, "ticketid"),
        ({"ticketid": None}, "ticketid"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_started(
    staff_calls: Caller, change: dict[str, object], field: str
) -> None:
    answer = await staff_calls("POST", "/appointment/doctor", BODY | change)
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == [field]
    assert await value("select count(*) from engine_run") == 0


async def test_a_body_that_is_no_json_is_a_bad_request(staff_calls: Caller) -> None:
    assert (await staff_calls("POST", "/appointment/doctor", b"{not json")).status_code == 400
    assert (await staff_calls("POST", "/appointment/doctor", b"[1]")).status_code == 400


async def test_details_answer_while_it_runs_and_after_it_was_closed(staff_calls: Caller) -> None:
    await staff_calls("POST", "/appointment/doctor", BODY)
    running = await staff_calls("GET", "/appointment/details?ticketid=TK-1")
    assert running.status_code == 200
    assert running.json == {
        "ticketid": "TK-1",
        "patientid": 1,
        "docid": "HSP-200",
        "date_scheduled": DAY.isoformat(),
        "time_scheduled": "12:00:00",
        "priority_level": 2,
        "consult_hrs": "0.50",
        "status": "booked",
        "remarks": "",
    }
    closed = await staff_calls("DELETE", "/appointment/close?ticketid=TK-1&reason=The+doctor+is+ill.")
    assert (closed.status_code, closed.json["message"]) == (202, "Requesting cancellation")
    await until(lambda: value("select 1 from appointment where status = 'cancelled'"))
    await until(lambda: value("select 1 from engine_run where status = 'cancelled'"))
    after = await staff_calls("GET", "/appointment/details?ticketid=TK-1")
    assert (after.status_code, after.json["status"], after.json["remarks"]) == (200, "cancelled", "The doctor is ill.")
    assert await value("select remarks from appointment") == "The doctor is ill."
    assert (await staff_calls("DELETE", "/appointment/close?ticketid=TK-1")).status_code == 202
    again = BODY | {"ticketid": "TK-2"}
    assert (await staff_calls("POST", "/appointment/doctor", again)).status_code == 201


async def test_an_unknown_ticket_is_not_found(staff_calls: Caller) -> None:
    assert (await staff_calls("GET", "/appointment/details?ticketid=NO")).status_code == 404
    assert (await staff_calls("DELETE", "/appointment/close?ticketid=NO")).status_code == 404
    assert (await staff_calls("POST", "/appointment/arrival", {"ticketid": "NO"})).status_code == 404
    assert (await staff_calls("GET", "/appointment/details")).status_code == 422


async def test_a_patient_reserves_sees_and_closes_only_what_is_theirs(staff_calls: Caller) -> None:
    patient = await caller("patient")
    await staff_calls("POST", "/appointment/doctor", BODY | {"patientid": 2})
    other = BODY | {"ticketid": "TK-2", "patientid": 2, "time_scheduled": "14:00"}
    assert (await patient("POST", "/appointment/doctor", other)).status_code == 403
    assert (await patient("GET", "/appointment/details?ticketid=TK-1")).status_code == 404
    assert (await patient("DELETE", "/appointment/close?ticketid=TK-1")).status_code == 404
    assert (await patient("POST", "/appointment/absence", {"ticketid": "TK-1"})).status_code == 403
    own = other | {"patientid": 1}
    assert (await patient("POST", "/appointment/doctor", own)).status_code == 201
    assert (await patient("GET", "/appointment/details?ticketid=TK-2")).status_code == 200
    assert await status() == "booked"


async def test_moving_is_answered_at_once_and_a_taken_time_is_refused(staff_calls: Caller) -> None:
    await staff_calls("POST", "/appointment/doctor", BODY)
    await staff_calls(
        "POST", "/appointment/doctor", BODY | {"ticketid": "TK-2", "patientid": 2, "time_scheduled": "14:00"}
    )
    there = {"ticketid": "TK-1", "date_scheduled": DAY.isoformat(), "time_scheduled": "15:00"}
    moved = await staff_calls("PUT", "/appointment/schedule", there)
    assert (moved.status_code, moved.json["time_scheduled"]) == (200, "15:00:00")
    taken = await staff_calls("PUT", "/appointment/schedule", there | {"time_scheduled": "14:00"})
    assert taken.status_code == 409
    past = await staff_calls("PUT", "/appointment/schedule", there | {"date_scheduled": "2020-01-02"})
    assert (past.status_code, list(past.json["errors"])) == (422, ["date_scheduled"])
    assert str(await value("select time_scheduled from appointment where ticketid = 'TK-1'")) == "15:00:00"
    seen = await staff_calls("GET", "/appointment/details?ticketid=TK-1")
    assert seen.json["time_scheduled"] == "15:00:00"


async def test_who_has_arrived_is_checked_in_and_cannot_be_moved(staff_calls: Caller) -> None:
    await staff_calls("POST", "/appointment/doctor", BODY)
    assert (await staff_calls("POST", "/appointment/arrival", {"ticketid": "TK-1"})).status_code == 202
    await until(lambda: value("select 1 from appointment where status = 'checked-in'"))
    there = {"ticketid": "TK-1", "date_scheduled": DAY.isoformat(), "time_scheduled": "15:00"}
    assert (await staff_calls("PUT", "/appointment/schedule", there)).status_code == 409


async def test_nobody_is_missed_before_the_time_and_the_workflow_goes_on(staff_calls: Caller) -> None:
    await staff_calls("POST", "/appointment/doctor", BODY)
    assert (await staff_calls("POST", "/appointment/absence", {"ticketid": "TK-1"})).status_code == 202
    there = {"ticketid": "TK-1", "date_scheduled": (DAY + timedelta(days=1)).isoformat(), "time_scheduled": "15:00"}
    assert (await staff_calls("PUT", "/appointment/schedule", there)).status_code == 200
    assert await status() == "booked"


async def test_who_did_not_come_is_missed_and_the_workflow_ends(staff_calls: Caller) -> None:
    await staff_calls("POST", "/appointment/doctor", BODY)
    async with reading() as session:
        await session.execute(text("update service_clock set offset_seconds = 86400 * 75"))
    await staff_calls("POST", "/appointment/absence", {"ticketid": "TK-1"})
    await until(lambda: value("select 1 from engine_run where status = 'completed'"))
    assert await status() == "noshow"
    assert (await staff_calls("DELETE", "/appointment/close?ticketid=TK-1")).status_code == 409
