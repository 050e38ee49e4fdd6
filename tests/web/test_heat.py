"""The heat map of a version: counted, timed and failed from what really ran."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lxml import html

from app.core.root import ROOT
from app.web.views.heat import spell
from tests import drawing
from tests.web.conftest import APPOINTMENT, Caller, Visitor, rows, value

MODEL = ROOT / "bpmn/spiff/appointment.bpmn"


def table(page: str) -> dict[str, list[str]]:
    found = html.fromstring(page).xpath("//tbody/tr")
    cells = [[" ".join(cell.text_content().split()) for cell in row.xpath("td")] for row in found]
    return {first.split()[-1]: rest for first, *rest in cells}


async def test_each_element_shows_how_often_it_was_entered_completed_and_failed(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    model = drawing.sequence(
        "Hot", drawing.user_task("ask"), drawing.script("s", "x = missing"), drawing.user_task("no")
    )
    caller("modeler").deploy(model)
    admin = caller("admin")
    person = visitor("modeler")
    assert "No instance has run on this version." in person.get("/models/Hot/heat").text
    for number in range(3):
        begun = admin.start("Hot")
        if number:
            admin.complete(begun["tasks"][0]["id"])
    shown = table(person.get("/models/Hot/heat?by=failures").text)
    assert shown["ask"][:4] == ["3", "2", "–", "–"]
    assert shown["s"][:4] == ["2", "0", "2", "–"]
    assert shown["ask"][4] != "–"
    assert "no" not in shown


async def test_a_task_done_late_is_counted(caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]) -> None:
    model = drawing.sequence("Late", drawing.user_task("ask", attributes='camunda:dueDate="2020-01-01T00:00:00Z"'))
    caller("modeler").deploy(model)
    caller("admin").start("Late")
    assert table(visitor("modeler").get("/models/Late/heat?by=late").text)["ask"][-1] == "1"
    assert await value("select count(*) from user_task where due_at < now()") == 1


async def test_the_drawing_is_shaded_by_what_is_asked_for(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    caller("modeler").deploy(MODEL.read_bytes(), name=MODEL.name)
    staff = caller("staff")
    for _ in range(2):
        staff.start()
    page = visitor("modeler").get(f"/models/{APPOINTMENT}/heat").text
    hottest = html.fromstring(page).xpath("//*[contains(@class, 'd-heat-5')]")
    assert len(hottest) == 2  # the start and the first form, twice each
    assert [row.n for row in await rows("select count(*) as n from instance")] == [2]
    assert visitor("modeler").get(f"/models/{APPOINTMENT}/heat?version=9", 404)
    visitor("patient").get(f"/models/{APPOINTMENT}/heat", 403)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (0.0123, "12 ms"), (59.4, "59 s"), (200, "3 min 20 s"), (7200, "2 h"), (90061, "1 d 1 h")],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float | None, said: str) -> None:
    assert spell(seconds) == said
