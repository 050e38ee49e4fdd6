"""The page of a case: its processes, what other engines do for it, one timeline with a lane for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from lxml import html
from sqlalchemy import text

from app.core.ids import uuid7
from app.db.session import transaction
from app.engines import moments, runs
from tests import drawing
from tests.engines.spiff.test_jobs import carry
from tests.web.conftest import Caller, Visitor, value
from workers import steps
from workers.steps import Key

TASK = (
    '<bpmn:serviceTask id="job" name="Count" camunda:type="external" camunda:topic="pipeline:doctor-stats">'
    '<bpmn:extensionElements><camunda:inputOutput><camunda:inputParameter name="docid">HSP-200'
    "</camunda:inputParameter></camunda:inputOutput></bpmn:extensionElements></bpmn:serviceTask>"
)


async def begun(caller: Callable[[str], Caller], further: str = "") -> Any:
    """An instance that waits for a pipeline."""
    async with transaction() as session:
        await session.execute(
            text("""insert into pipeline (name, title, description, input_schema, roles)
                    values ('doctor-stats', 'Figures', '', '{}', '{staff}')""")
        )
    first = '<bpmn:userTask id="first" name="First" />'
    model = drawing.sequence("Own", first, TASK, name="Figures of a doctor")
    caller("modeler").deploy(model.replace(b"</bpmn:process>", f"{further}</bpmn:process>".encode()))
    staff = caller("staff")
    view = staff.start("Own")
    return staff.complete(view["tasks"][0]["id"])


def shown(page: str) -> list[str]:
    return [" ".join(one.text_content().split()) for one in html.fromstring(page).xpath("//h1|//thead//th|//tbody//td")]


async def test_a_case_is_one_thing_whatever_engine_does_its_steps(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    view = await begun(caller)
    staff = visitor("staff")
    seen = shown(staff.get(f"/cases/{view['case']}").text)
    assert seen[0] == f"Case {view['case']} running"
    assert {"Figures of a doctor", "Countdoctor-stats", "DAMS", "Celery"} <= set(seen)
    assert any(one.endswith("asked for “Count”") for one in seen)  # the element's name, and not what it is in Celery
    run: UUID = await value("select id from engine_run")
    async with transaction() as session:
        await runs.failed(session, run, "broken", "no worker is left")
    seen = shown(staff.get(f"/cases/{view['case']}").text)
    assert seen[0] == f"Case {view['case']} needs attention"
    assert "Countdoctor-statsno worker is left" in seen
    link = html.fromstring(staff.get(f"/instances/{view['id']}").text).xpath("string(//h1/a/@href)")
    assert link == f"/cases/{view['case']}"


async def test_a_case_says_where_it_stands_and_what_stopped(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    view = await begun(caller)
    page = html.fromstring(visitor("staff").get(f"/cases/{view['case']}").text)
    [waits] = page.xpath("//section[@aria-label='Open now']//li")
    assert waits.text_content() == "Countwaits for job “pipeline:doctor-stats”"
    assert page.xpath("//section[@aria-label='Where this is']//*[contains(@class, 'outline')]/li")
    run: UUID = await value("select id from engine_run")
    async with transaction() as session:
        await runs.failed(session, run, "broken", "no worker is left")
    for person, cure in (("staff", "Ops was told"), ("ops", "Operations")):
        [notice] = html.fromstring(visitor(person).get(f"/cases/{view['case']}").text).xpath("//*[@class='notice bad']")
        assert "“Count” stopped" in notice.text_content()
        assert "no worker is left" in notice.text_content()
        assert cure in notice.text_content()


async def test_a_finished_case_tells_its_steps_by_name_and_a_failure_that_was_caught_is_no_alarm(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    catch = (
        '<bpmn:boundaryEvent id="caught" attachedToRef="job"><bpmn:errorEventDefinition /></bpmn:boundaryEvent>'
        '<bpmn:endEvent id="else" />' + drawing.flow("caught", "else")
    )
    view = await begun(caller, catch)
    run: UUID = await value("select id from engine_run")
    async with transaction() as session:
        await runs.failed(session, run, "broken", "no worker is left")
    await carry()
    seen = shown(visitor("staff").get(f"/cases/{view['case']}").text)
    assert seen[0] == f"Case {view['case']} completed"
    assert any(one.endswith("took the failure of “Count”") for one in seen)
    assert "“first”" not in " ".join(seen)
    assert any(one.endswith("completed “First”") for one in seen)


async def test_a_case_of_somebody_else_is_not_there(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    view = await begun(caller)
    visitor("patient").get(f"/cases/{view['case']}", 404)
    visitor("staff").get("/cases/A-0", 404)


async def test_what_an_engine_does_inside_a_run_stands_in_its_lane_in_words(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    view = await begun(caller)
    key = Key(await value("select id from engine_run"), "1", "t-1", of_run=True)
    async with transaction() as session:
        await runs.began(session, key.run)
        await moments.published(session, key.run, uuid7())
        for _ in range(2):
            await steps.claim(session, key, "count_patients_doctor")
        await steps.failed(session, key, {"code": "no-answer", "detail": "it took longer than its time limit"})
    staff = visitor("staff")
    page = html.fromstring(staff.get(f"/cases/{view['case']}").text)
    told = [" ".join(one.text_content().split()) for one in page.xpath("//td[@data-label='Celery']")]
    assert told[-4:] == [
        "Celery put into its queue “doctor-stats”",
        "Celery began the step “count_patients_doctor”",
        "Celery began the step “count_patients_doctor”, try 2",
        "Celery failed at the step “count_patients_doctor”, try 2: no-answer",
    ]
    staff.post("/language", language="es")
    assert "empezó el paso “count_patients_doctor”, intento 2" in " ".join(
        html.fromstring(staff.get(f"/cases/{view['case']}").text).text_content().split()
    )
