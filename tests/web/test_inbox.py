"""The inbox: filters in the address with their counts, search, giving a task away, comments."""

from __future__ import annotations

from collections.abc import Callable

from lxml import html

from tests import drawing
from tests.web.conftest import Caller, Visitor, rows, value

URGENT = drawing.sequence(
    "Urgent",
    drawing.user_task(
        "t",
        drawing.field("patientid", "long"),
        drawing.field("note"),
        attributes='camunda:candidateGroups="staff" camunda:priority="90" camunda:dueDate="2026-01-01T00:00:00Z"',
    ),
)


def shown(person: Visitor, query: str) -> set[str]:
    page = html.fromstring(person.get(f"/home?{query}").text)
    return {str(link) for link in page.xpath("//tr[@data-row]/td[1]/a/@href")}


def test_filters_stand_in_the_address_with_their_counts(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    caller("modeler").deploy(URGENT)
    desk, person = caller("staff"), visitor("staff")
    plain = f"/tasks/{desk.start()['tasks'][0]['id']}"
    urgent = f"/tasks/{desk.start('Urgent', variables={'patientid': 1, 'note': 'TK-77'})['tasks'][0]['id']}"
    assert shown(person, "") == {plain, urgent}
    assert shown(person, "show=urgent") == shown(person, "show=late") == shown(person, "process=Urgent") == {urgent}
    desk("POST", f"{plain}/claim")
    assert shown(person, "show=mine") == {plain}
    assert shown(person, "show=groups") == {urgent}
    assert shown(person, "search=ana+cruz") == shown(person, "search=TK-77") == {urgent}
    assert shown(person, "search=nobody+at+all") == set()
    options = html.fromstring(person.get("/home").text).xpath("//select[@name='show']/option/text()")
    assert options == ["mine and my groups' (2)", "only mine (1)", "nobody's yet (1)", "late (1)", "urgent (1)"]


async def test_a_task_is_given_to_a_colleague_who_may_do_it(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    desk, person = caller("staff"), visitor("staff")
    task = desk.start()["tasks"][0]["id"]
    offered = html.fromstring(person.get(f"/tasks/{task}").text).xpath("//select[@name='assignee']/option/@value")
    assert "doctor" in offered
    assert {"patient", "staff", "modeler"}.isdisjoint(offered)
    for nobody in ("patient", "no-such-person", ""):
        person.post(f"/tasks/{task}/assign", 422, assignee=nobody)
    person.post(f"/tasks/{task}/assign", assignee="doctor")
    assert desk("GET", f"/tasks/{task}")["assignee"] == "doctor"
    person.post(f"/tasks/{task}/assign", 409, assignee="admin")
    visitor("admin").post(f"/tasks/{task}/assign", assignee="staff")
    told = await rows("select actor_id, data->>'to' as name from case_event where kind = 'task.reassigned' order by id")
    assert [row.name for row in told] == ["Dr. Mina Sato", "Rosa Alvarez"]
    assert await value("select count(*) from outbox where kind = 'mail' and key like 'task:%'") == 2


def test_a_comment_is_read_by_everybody_of_the_case(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    task = caller("staff").start()["tasks"][0]["id"]
    person = visitor("staff")
    person.post(f"/tasks/{task}/comments", comment="<b>She called</b> twice.")
    person.post(f"/tasks/{task}/comments", 422, comment="  ")
    person.post(f"/tasks/{task}/comments", 422, comment="x" * 2001)
    page = visitor("doctor").get(f"/tasks/{task}").text
    assert "&lt;b&gt;She called&lt;/b&gt; twice." in page
    visitor("patient").post(f"/tasks/{task}/comments", 404, comment="mine")
