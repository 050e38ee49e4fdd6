"""A job is asked for after what the same step wrote for the clinic."""

from __future__ import annotations

from collections.abc import Callable

from tests import drawing
from tests.days import MONDAY
from tests.engines.spiff.test_jobs import asked, service
from tests.web.conftest import Caller, rows

BOOK = (
    '<bpmn:scriptTask id="book" scriptFormat="python"><bpmn:extensionElements><camunda:properties>'
    '<camunda:property name="effect" value="book_appointment" /></camunda:properties></bpmn:extensionElements>'
    "<bpmn:script>booked = True</bpmn:script></bpmn:scriptTask>"
)
GIVEN = {
    "docid": "HSP-200",
    "date_scheduled": MONDAY.isoformat(),
    "time_scheduled": "10:30",
    "patientid": 7,
    "ticketid": "J-1",
    "priority_level": 2,
}


async def test_a_job_finds_the_visit_that_the_step_before_it_has_booked(caller: Callable[[str], Caller]) -> None:
    attend = service("temporal:AttendVisitWorkflow", asked("ticketid", "${ticketid}"))
    caller("modeler").deploy(drawing.sequence("Booked", BOOK, attend))
    caller("staff").start("Booked", variables=GIVEN)
    found = await rows("select name, status, input from engine_run")
    assert [tuple(row) for row in found] == [("AttendVisitWorkflow", "requested", {"ticket": "J-1"})]
