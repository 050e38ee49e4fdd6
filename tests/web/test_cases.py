"""The page of a case: its processes, what other engines do for it, one timeline with a lane for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from lxml import html
from sqlalchemy import text

from app.db.session import transaction
from app.engines import runs
from tests import drawing
from tests.web.conftest import Caller, Visitor, value

TASK = (
    '<bpmn:serviceTask id="job" name="Count" camunda:type="external" camunda:topic="pipeline:doctor-stats">'
    '<bpmn:extensionElements><camunda:inputOutput><camunda:inputParameter name="docid">HSP-200'
    "</camunda:inputParameter></camunda:inputOutput></bpmn:extensionElements></bpmn:serviceTask>"
)


async def begun(caller: Callable[[str], Caller]) -> Any:
    """An instance that waits for a pipeline."""
    async with transaction() as session:
        await session.execute(
            text("""insert into pipeline (name, title, description, input_schema, roles)
                    values ('doctor-stats', 'Figures', '', '{}', '{staff}')""")
        )
    caller("modeler").deploy(drawing.sequence("Own", drawing.user_task("first"), TASK, name="Figures of a doctor"))
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
    assert {"Figures of a doctor", "doctor-stats", "DAMS", "Celery"} <= set(seen)
    assert any(one.endswith("asked for “doctor-stats”") for one in seen)
    run: UUID = await value("select id from engine_run")
    async with transaction() as session:
        await runs.failed(session, run, "broken", "no worker is left")
    seen = shown(staff.get(f"/cases/{view['case']}").text)
    assert seen[0] == f"Case {view['case']} needs attention"
    assert "doctor-statsno worker is left" in seen
    link = html.fromstring(staff.get(f"/instances/{view['id']}").text).xpath("string(//h1/a/@href)")
    assert link == f"/cases/{view['case']}"


async def test_a_case_of_somebody_else_is_not_there(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    view = await begun(caller)
    visitor("patient").get(f"/cases/{view['case']}", 404)
    visitor("staff").get("/cases/A-0", 404)
