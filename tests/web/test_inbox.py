"""The inbox: filters in the address with their counts, search, giving a task away, comments."""

from __future__ import annotations

from collections.abc import Callable

import pytest
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


def test_processes_of_one_name_are_told_apart_where_they_are_started(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    for process in ("First", "Second"):
        caller("modeler").deploy(URGENT.replace(b'id="Urgent"', f'id="{process}"'.encode()))
    page = html.fromstring(visitor("staff").get("/home").text)
    buttons = {text.strip() for text in page.xpath("//section[@aria-label='Start']//button/text()")}
    assert buttons >= {"Urgent (First)", "Urgent (Second)", "Doctor's Appointment"}
    chosen = {text.strip() for text in page.xpath("//select[@name='process']/option/text()")}
    assert chosen >= {"Urgent (First)", "Urgent (Second)", "Doctor's Appointment"}


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


def test_tasks_are_chosen_by_state_and_by_the_name_that_the_model_gives_them(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    caller("modeler").deploy(URGENT)
    desk, person = caller("staff"), visitor("staff")
    plain = desk.start()["tasks"][0]["id"]
    urgent = desk.start("Urgent", variables={"patientid": 1})["tasks"][0]["id"]
    assert shown(person, "name=specialization") == {f"/tasks/{plain}"}
    assert shown(person, "name=no-such-task") == set()
    following = desk.complete(plain, specialization="Cardiology")["tasks"][0]["id"]
    assert shown(person, "state=completed") == {f"/tasks/{plain}"}
    assert shown(person, "state=completed&name=doctors") == set()
    assert shown(person, "state=ready") == {f"/tasks/{urgent}", f"/tasks/{following}"}
    assert shown(person, "state=nonsense") == {f"/tasks/{urgent}", f"/tasks/{following}"}
    found = desk("GET", "/tasks?state=completed&name=Specialization")["items"]
    assert [(one["id"], one["state"]) for one in found] == [(plain, "completed")]
    assert desk("GET", "/tasks?name=t")["items"] != []
    desk("GET", "/tasks?state=nonsense", 422)
    assert caller("patient")("GET", "/tasks?state=completed")["items"] == []


async def test_the_api_gives_a_task_away_and_takes_comments(caller: Callable[[str], Caller]) -> None:
    desk = caller("staff")
    task = desk.start()["tasks"][0]["id"]
    assert desk("POST", f"/tasks/{task}/comments", 201, json={"comment": "She called."})["comments"][0]["by"]
    desk("POST", f"/tasks/{task}/comments", 422, json={"comment": "  "})
    desk("POST", f"/tasks/{task}/comments", 422, json={})
    refused = desk("POST", f"/tasks/{task}/assign", 422, json={"assignee": "patient"})
    assert "none of those" in refused["errors"]["assignee"]
    moved = desk("POST", f"/tasks/{task}/assign", json={"assignee": "doctor"})
    assert moved["tasks"][0]["assignee"] == "doctor"
    desk("POST", f"/tasks/{task}/assign", 409, json={"assignee": "admin"})
    said = caller("doctor")("GET", f"/tasks/{task}/comments")["comments"]
    assert [(one["comment"], one["by"], one["task"]) for one in said] == [("She called.", "Rosa Alvarez", task)]
    caller("patient")("GET", f"/tasks/{task}/comments", 404)
    caller("patient")("POST", f"/tasks/{task}/assign", 404, json={"assignee": "doctor"})


def test_who_loses_a_race_over_the_api_is_told_what_counts(caller: Callable[[str], Caller]) -> None:
    task = caller("staff").start()["tasks"][0]["id"]
    caller("doctor").complete(task, specialization="Neurology")
    lost = caller("staff").complete(task, 409, specialization="Cardiology")
    assert (lost["first_by"], lost["counts"]) == ("Dr. Mina Sato", {"specialization": "Neurology"})


def test_an_instance_shows_every_task_with_its_state_and_times(caller: Callable[[str], Caller]) -> None:
    desk = caller("staff")
    instance = desk.start()
    desk.complete(instance["tasks"][0]["id"], specialization="Cardiology")
    found = desk("GET", f"/instances/{instance['id']}/tasks")
    assert [one["state"] for one in found] == ["completed", "ready", "future", "future"]
    assert found[0]["ended_by"] == "staff"
    assert found[0]["ended_at"] >= found[0]["created_at"]
    assert found[2]["id"] is None
    desk("DELETE", f"/instances/{instance['id']}", 202, json={"reason": "not needed"})
    assert [one["state"] for one in desk("GET", f"/instances/{instance['id']}/tasks")] == ["completed", "cancelled"]
    caller("patient")("GET", f"/instances/{instance['id']}/tasks", 404)


FIRST = {
    "patient": {"/my", "/doctor/expertise"},
    "doctor": {"/schedule", "/doctor/diagnosis", "/patients", "/diagnoses"},
    "staff": {"/schedule", "/doctor/expertise", "/payments", "/patients"},
    "admin": {"/admin", "/signup", "/clinic", "/ops"},
    "modeler": {"/models"},
    "ops": {"/ops", "/schedules", "/pipelines", "/instances"},
}
"""Where each role's day begins."""


@pytest.mark.parametrize("role", FIRST)
def test_the_dashboard_of_each_role_shows_its_tasks_its_pages_and_its_visits(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor], role: str
) -> None:
    task = drawing.user_task("t", name="Mine", attributes=f'camunda:candidateGroups="{role}"')
    caller("modeler").deploy(drawing.sequence("For_the_role", task))
    waits = caller("admin").start("For_the_role")["case"]
    page = html.fromstring(visitor(role).get("/home").text)
    listed = page.xpath("//tr[@data-row]/td[@data-label='Case']/a/text()")
    assert waits in listed
    assert {str(link) for link in page.xpath("//nav//a/@href")} >= FIRST[role]
    coming = page.xpath("//section[@aria-label='Next appointments']//li//small/text()")
    assert bool(coming) == (role in ("doctor", "patient"))
