"""The shipped patient journey: one case from the booking to the release, every step that another engine does asked for
and answered. What the engines themselves do is tested with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from app.db.session import transaction
from app.engines import relay, runs
from app.engines.spiff import models
from app.engines.spiff.specs import BundleFile
from tests.days import MONDAY
from tests.engines.spiff.test_jobs import announce
from tests.test_architecture import ROOT
from tests.web.conftest import Caller, rows, value

PROCESS = "Process_JourneyDams01"
BOOKED: list[dict[str, Any]] = [
    {"specialization": "Cardiology", "docid": "HSP-200"},
    {"date_scheduled": MONDAY.isoformat(), "time_scheduled": "10:30"},
    {"patientid": 7, "ticketid": "J-1", "priority_level": 2},
]
FOUND = {"narrative": "Sore throat, no fever.", "resolution": "Rest, warm tea, three days."}
BILL = {"charge": "80.00", "discount": "5.00"}


@pytest.fixture
async def engines(database_url: str) -> None:
    """What the workers of the other engines have announced, and the process that Zeebe has."""
    await announce("doctor-stats", "staff")
    zeebe = (ROOT / "bpmn/zeebe/diagnostics.bpmn").read_bytes()
    report = await models.check([BundleFile("diagnostics.bpmn", zeebe)])
    async with transaction() as session:
        await models.deploy(session, None, report)


async def open_run() -> Any:
    found = await rows("select * from engine_run where status = 'requested'")
    assert len(found) == 1, await rows("select name, status, error, input from engine_run order by id desc limit 2")
    [run] = found
    return run


async def answered(result: Any = None, *, failing: str = "") -> tuple[str, str]:
    """The one run that is asked for ends so, and its task hears of it; the engine and what was asked for."""
    run = await open_run()
    async with transaction() as session:
        if failing:
            await runs.failed(session, run.id, failing, "it did not work")
        else:
            await runs.completed(session, run.id, result)
    for effect in await relay.claim(100):
        if effect.kind == runs.TOLD:
            await relay.deliver(effect)
    return run.engine, run.name


def booked(desk: Caller) -> Any:
    view = desk.start(PROCESS)
    for given in BOOKED:
        view = desk.complete(view["tasks"][0]["id"], **given)
    return view


async def test_a_journey_goes_over_every_engine_and_is_one_case(caller: Callable[[str], Caller], engines: None) -> None:
    desk, doctor = caller("staff"), caller("doctor")
    view = booked(desk)
    assert await value("select status from appointment where ticketid = 'J-1'") == "booked"
    assert [one["name"] for one in view["waiting"]] == ["temporal:AttendVisitWorkflow"]
    assert await answered({"status": "checked-in"}) == ("temporal", "AttendVisitWorkflow")
    view = doctor("GET", f"/instances/{view['id']}")
    view = doctor.complete(view["tasks"][0]["id"], **FOUND)
    assert await answered({"result": ["Rest"]}) == ("zeebe", "Process_Diagnostics")
    view = desk("GET", f"/instances/{view['id']}")
    desk.complete(view["tasks"][0]["id"], **BILL)
    assert (await open_run()).input["ticket"] == "J-1"
    assert await answered({"paymentid": "P-1", "state": "released"}) == ("temporal", "BillVisitWorkflow")
    assert await answered({"message": "Doctor HSP-200 has 2 patients and 1 request."}) == ("celery", "doctor-stats")
    assert await answered({}) == ("mail", "visit-over")
    view = desk("GET", f"/instances/{view['id']}")
    kept = {name: view["variables"][name] for name in ("visit_status", "analysis", "paymentid", "doctor_figures")}
    assert (view["status"], kept) == (
        "completed",
        {
            "visit_status": "checked-in",
            "analysis": ["Rest"],
            "paymentid": "P-1",
            "doctor_figures": "Doctor HSP-200 has 2 patients and 1 request.",
        },
    )
    assert await rows("select distinct case_no from engine_run") == [(view["case"],)]
    told = {row["kind"].partition(".")[0] for row in desk("GET", f"/cases/{view['case']}/timeline")}
    assert told >= {"instance", "task", "appointment", "diagnosis", "temporal", "zeebe", "celery", "mail"}


async def test_who_does_not_come_is_told_and_the_case_is_closed(caller: Callable[[str], Caller], engines: None) -> None:
    desk = caller("staff")
    view = booked(desk)
    await answered(failing="noshow")
    assert await answered({}) == ("mail", "visit-missed")
    assert desk("GET", f"/instances/{UUID(view['id'])}")["status"] == "completed"


async def test_a_payment_that_is_declined_comes_back_to_the_bill(
    caller: Callable[[str], Caller], engines: None
) -> None:
    desk, doctor = caller("staff"), caller("doctor")
    view = booked(desk)
    await answered({"status": "checked-in"})
    view = doctor("GET", f"/instances/{view['id']}")
    doctor.complete(view["tasks"][0]["id"], **FOUND)
    await answered({"result": []})
    view = desk("GET", f"/instances/{view['id']}")
    desk.complete(view["tasks"][0]["id"], **BILL)
    await answered(failing="declined")
    view = desk("GET", f"/instances/{view['id']}")
    assert [one["element_id"] for one in view["tasks"]] == ["Activity_Charge"]
