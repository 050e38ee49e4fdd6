"""The appointment through the API as a program walks it: token, deploy, start, four completions, the trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.core.root import ROOT
from tests.conftest import PASSWORD_OF_ALL
from tests.drawing import field, script, sequence, user_task
from tests.web.conftest import API, APPOINTMENT, ENTRIES, Caller, Visitor, some_id, value

MODEL = Path(__file__).resolve().parents[2] / "bpmn/spiff/appointment.bpmn"
ORDER = [
    ("StartEvent_1", "startEvent"),
    ("Activity_SpecialDoc", "userTask"),
    ("Activity_SelectDoc", "userTask"),
    ("Activity_SchedForm", "userTask"),
    ("Activity_PatientDet", "userTask"),
    ("Activity_EvalApptData", "scriptTask"),
    ("Gateway_0ht2f5w", "exclusiveGateway"),
    ("Activity_SaveSched", "scriptTask"),
    ("Event_1ya9gw6", "endEvent"),
]


def walk(person: Caller, instance: Any) -> Any:
    """Complete the four forms one after another; the instance after the last."""
    for element, entries in ENTRIES.items():
        (task,) = instance["tasks"]
        assert task["element_id"] == element
        instance = person.complete(task["id"], **entries)
    return instance


def test_an_appointment_is_made_by_four_completions(caller: Callable[[str], Caller]) -> None:
    staff = caller("staff")
    deployed = caller("modeler").deploy(MODEL.read_bytes(), name=MODEL.name)
    assert deployed["models"][0]["process_id"] == APPOINTMENT
    began = staff.start(business_key="visit-7")
    assert (began["status"], began["business_key"], began["variables"]) == ("running", "visit-7", {})
    ended = walk(staff, began)
    assert (ended["status"], ended["tasks"], ended["waiting"], ended["incidents"]) == ("completed", [], [], [])
    assert ended["ended_at"]
    assert ended["variables"]["patientid"] == 7
    assert ended["variables"]["finalize_sched"] is True
    assert ended == staff("GET", f"/instances/{ended['id']}")


def test_the_trace_says_what_ran_in_order(caller: Callable[[str], Caller]) -> None:
    staff = caller("staff")
    ended = walk(staff, staff.start())
    trace = staff("GET", f"/instances/{ended['id']}/trace")
    assert [row["seq"] for row in trace] == list(range(1, len(trace) + 1))
    done = [(row["element_id"], row["element_type"]) for row in trace if row["event"] == "completed"]
    assert done == ORDER
    assert [row["at"] for row in trace] == sorted(row["at"] for row in trace)
    assert set(trace[0]) == {"seq", "element_id", "element_type", "name", "event", "at"}


def test_incomplete_data_goes_back_to_the_first_form(caller: Callable[[str], Caller]) -> None:
    staff = caller("staff")
    again = walk(staff, staff.start(variables={"slot_lost": True}))
    assert again["status"] == "running"
    assert [task["element_id"] for task in again["tasks"]] == ["Activity_SpecialDoc"]
    assert again["variables"]["finalize_sched"] is False
    assert walk(staff, again)["variables"]["finalize_sched"] is True


def test_a_token_names_the_roles_and_how_long_it_lives(caller: Callable[[str], Caller]) -> None:
    given = {"username": "staff", "password": PASSWORD_OF_ALL}
    token = caller("staff").client.post(f"{API}/token", json=given).get_json()
    assert (token["token_type"], token["roles"], token["expires_in"]) == ("bearer", ["staff"], 480 * 60)


def test_a_task_shows_its_form_as_the_model_has_it(caller: Callable[[str], Caller]) -> None:
    staff = caller("staff")
    instance = staff.start()
    for element in list(ENTRIES)[:3]:
        instance = staff.complete(instance["tasks"][0]["id"], **ENTRIES[element])
    task = staff("GET", f"/tasks/{instance['tasks'][0]['id']}")
    assert (task["instance"], task["element_id"], task["state"]) == (instance["id"], "Activity_PatientDet", "ready")
    assert task["candidate_roles"] == ["staff", "doctor"]
    fields = {field["id"]: field for field in task["form"]["fields"]}
    assert list(fields) == ["patientid", "ticketid", "priority_level"]
    assert fields["priority_level"] == {
        "id": "priority_level",
        "label": "Priority level",
        "type": "long",
        "required": True,
        "readonly": False,
        "default": 3,
        "options": [],
        "min": 1,
        "max": 5,
        "minlength": None,
        "maxlength": None,
        "pattern": None,
        "lookup": None,
    }
    assert fields["patientid"]["lookup"] == {"name": "patients", "more": False, "depends_on": [], "missing": []}
    assert len(fields["patientid"]["options"]) == 48


def test_checks_report_and_store_nothing(caller: Callable[[str], Caller]) -> None:
    from tests.web.conftest import upload

    modeler = caller("modeler")
    before = modeler("GET", "/models")
    report = modeler("POST", "/checks", data={"file": upload(MODEL.read_bytes(), MODEL.name)})
    assert (report["ok"], report["problems"]) == (True, [])
    assert report["models"] == [
        {"process_id": APPOINTMENT, "name": "Doctor's Appointment", "engine": "spiff"},
    ]
    broken = modeler("POST", "/checks", data={"file": upload(b"<not-bpmn/>")})
    assert broken["ok"] is False
    assert set(broken["problems"][0]) == {
        "file", "line", "element_type", "element_id", "element_name", "rule", "severity", "message", "fix"
    }  # fmt: skip
    assert modeler("GET", "/models") == before


def test_a_dry_run_says_what_was_reached_and_what_fails_and_stores_nothing(caller: Callable[[str], Caller]) -> None:
    from tests.web.conftest import upload

    modeler = caller("modeler")
    before = modeler("GET", "/models")
    answer = modeler("POST", "/dry-runs", data={"file": upload(MODEL.read_bytes(), MODEL.name)})
    (walked,) = answer["models"]
    assert (answer["ok"], walked["process_id"], walked["coverage"]) == (True, APPOINTMENT, 100.0)
    halves = sequence("Halves", user_task("Ask", field("amount", "long")), script("Halve", "half = amount / 2"))
    failing = modeler("POST", "/dry-runs", data={"file": upload(halves)})
    assert failing["ok"] is False
    (failure,) = failing["models"][0]["failures"]
    assert (failure["element_id"], failure["moves"][1]["given"]) == ("Halve", {"amount": None})
    cases = upload((ROOT / "bpmn/tests/appointment.test.json").read_bytes(), "appointment.test.json")
    played = modeler("POST", "/dry-runs", data={"file": [upload(MODEL.read_bytes(), MODEL.name), cases]})
    assert played["ok"]
    assert [one["holds"] for one in played["cases"]] == [True, True]
    refused = modeler("POST", "/dry-runs", data={"file": upload(b"<not-bpmn/>")})
    assert (refused["ok"], refused["models"]) == (False, [])
    assert refused["problems"]
    assert modeler("GET", "/models") == before


def test_a_changed_file_is_a_new_version_and_the_same_file_is_not(caller: Callable[[str], Caller]) -> None:
    modeler, content = caller("modeler"), MODEL.read_bytes()
    again = modeler.deploy(content, name=MODEL.name)["models"][0]
    assert (again["version"], again["changed"]) == (1, False)
    changed = modeler.deploy(content.replace(b"Which kind of doctor", b"What kind of doctor"))["models"][0]
    assert (changed["version"], changed["changed"]) == (2, True)
    shown = modeler("GET", f"/models/{APPOINTMENT}")
    assert (shown["version"], shown["active"]) == (2, True)
    assert [row["version"] for row in shown["versions"]] == [2, 1]
    first = modeler("GET", f"/models/{APPOINTMENT}?version=1")
    assert (first["version"], first["active"]) == (1, False)
    assert caller("staff").start(version=1)["version"] == 1


def test_an_inactive_deployment_waits_to_be_chosen(caller: Callable[[str], Caller]) -> None:
    changed = MODEL.read_bytes().replace(b"Which kind", b"What kind")
    caller("modeler").deploy(changed, activate="false")
    staff = caller("staff")
    assert staff.start()["version"] == 1
    assert staff.start(version=2)["version"] == 2


def test_the_file_comes_back_byte_for_byte(caller: Callable[[str], Caller]) -> None:
    answer = caller("staff").ask("GET", f"/models/{APPOINTMENT}/xml")
    assert (answer.status_code, answer.content_type) == (200, "application/xml")
    assert answer.data == MODEL.read_bytes()


def test_instances_are_found_by_case_value_element_and_state(caller: Callable[[str], Caller]) -> None:
    staff = caller("staff")
    first = staff.start(case="CASE-1", business_key="k-1")
    second = staff.start(variables={"channel": "phone"})
    staff.complete(first["tasks"][0]["id"], specialization="Neurology")

    def found(query: str) -> set[str]:
        return {row["id"] for row in staff("GET", f"/instances?{query}")["items"]}

    assert found("case=CASE-1") == found("business_key=k-1") == {first["id"]}
    assert found("variable=channel%3Dphone") == {second["id"]}
    assert found("element=Activity_SelectDoc") == {first["id"]}
    assert found("status=running") == found(f"process_id={APPOINTMENT}") == {first["id"], second["id"]}
    assert found("status=completed") == set()
    page = staff("GET", "/instances?limit=1")
    assert [row["id"] for row in page["items"]] == [second["id"]]
    rest = staff("GET", f"/instances?limit=1&cursor={page['next']}")
    assert [row["id"] for row in rest["items"]] == [first["id"]]
    assert rest["next"] is None


def test_the_worklist_shows_mine_and_my_groups(caller: Callable[[str], Caller]) -> None:
    staff, doctor = caller("staff"), caller("doctor")
    task = staff.start(case="CASE-2")["tasks"][0]["id"]

    def listed(person: Caller, query: str = "") -> list[str]:
        return [row["id"] for row in person("GET", f"/tasks?{query}")["items"]]

    assert listed(staff) == listed(doctor) == listed(staff, "case=CASE-2") == listed(staff, "candidate_role=doctor")
    assert listed(staff, "mine=true") == []
    claimed = staff("POST", f"/tasks/{task}/claim")
    assert (claimed["tasks"][0]["assignee"], claimed["tasks"][0]["state"]) == ("staff", "claimed")
    assert listed(staff, "mine=true") == [task]
    assert staff("POST", f"/tasks/{task}/release")["tasks"][0]["assignee"] is None
    assert listed(staff, "mine=true") == []
    assert listed(caller("patient")) == []


def test_a_draft_is_kept_apart_from_the_data(caller: Callable[[str], Caller]) -> None:
    staff = caller("staff")
    task = staff.start()["tasks"][0]["id"]
    kept = staff("POST", f"/tasks/{task}/draft", json={"variables": {"specialization": "Neu", "other": "x"}})
    assert kept["variables"] == {}
    assert staff("GET", f"/tasks/{task}")["draft"] == {"specialization": "Neu"}


def test_an_instance_is_cancelled_with_a_reason(caller: Callable[[str], Caller]) -> None:
    staff = caller("staff")
    instance = staff.start()
    staff("DELETE", f"/instances/{instance['id']}", 422, json={"reason": ""})
    gone = staff("DELETE", f"/instances/{instance['id']}", 202, json={"reason": "moved away"})
    assert (gone["status"], gone["tasks"]) == ("cancelled", [])
    staff("DELETE", f"/instances/{instance['id']}", 409, json={"reason": "again"})


def test_a_case_shows_its_instances_and_what_happened(caller: Callable[[str], Caller]) -> None:
    staff = caller("staff")
    instance = staff.start(case="CASE-3")
    staff.complete(instance["tasks"][0]["id"], specialization="Neurology")
    assert [row["id"] for row in staff("GET", "/cases/CASE-3")["instances"]] == [instance["id"]]
    timeline = staff("GET", "/cases/CASE-3/timeline")
    assert [(row["kind"], row["actor"]) for row in timeline] == [
        ("instance.started", "staff"),
        ("task.completed", "staff"),
    ]
    staff("GET", "/cases/none", 404)
    staff("GET", "/cases/none/timeline", 404)


def test_the_same_key_is_the_same_start(caller: Callable[[str], Caller]) -> None:
    staff, path = caller("staff"), f"/models/{APPOINTMENT}/instances"
    first = staff("POST", path, 201, key="one", json={})
    assert staff("POST", path, 201, key="one", json={})["id"] == first["id"]
    assert staff("POST", path, 201, key="two", json={})["id"] != first["id"]
    assert caller("admin")("POST", path, 201, key="one", json={})["id"] != first["id"]


async def test_the_same_key_is_the_same_completion(caller: Callable[[str], Caller]) -> None:
    staff = caller("staff")
    task = staff.start()["tasks"][0]["id"]
    first = staff.complete(task, key="once", specialization="Neurology")
    assert staff.complete(task, key="once", specialization="Neurology") == first
    staff.complete(task, 409, key="other", specialization="Neurology")
    assert await value("select count(*) from case_event where kind = 'task.completed'") == 1


def test_what_is_not_there_is_not_found(caller: Callable[[str], Caller]) -> None:
    admin = caller("admin")
    for path in ("/models/nope", "/models/nope/xml", f"/instances/{some_id()}", f"/tasks/{some_id()}"):
        assert admin("GET", path, 404)["code"] == "not-found"
    admin("POST", "/models/nope/instances", 404, json={})
    admin("POST", f"/tasks/{some_id()}/complete", 404, json={})
    admin("GET", "/nothing/here", 404)
    admin("GET", f"/instances/{some_id()}/trace", 404)
    admin("GET", f"/models/{APPOINTMENT}?version=99", 404)


def test_a_finished_instance_becomes_a_test_case_that_holds(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    caller("modeler").deploy(sequence("Kept", user_task("ask", field("n", "long"))))
    admin = caller("admin")
    own = admin.start("Kept")
    assert admin.open("GET", f"/api/v1/instances/{own['id']}/test-case").status_code == 409
    admin.complete(own["tasks"][0]["id"], n=4)
    made = admin("GET", f"/instances/{own['id']}/test-case")
    assert (made["holds"], made["said"], made["version"]) == (True, "", 1)
    assert made["file"]["cases"][0]["steps"] == [{"do": "form", "element": "ask", "given": {"n": 4}}]
    person = visitor("admin")
    assert "Make a test case of it" in person.get(f"/instances/{own['id']}").text
    assert (
        "Played in memory it goes the same way: 1 step, 3 elements."
        in person.get(f"/instances/{own['id']}/test-case").text
    )
    file = person.get(f"/instances/{own['id']}/test-case?download=1")
    assert file.headers["Content-Disposition"] == 'attachment; filename="Kept.test.json"'
    assert file.get_json() == made["file"]


def test_ops_lets_an_instance_go_back_on_its_page(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    caller("modeler").deploy(sequence("Again", user_task("ask", name="Ask"), user_task("then", name="Then")))
    admin = caller("admin")
    own = admin.start("Again")["id"]
    admin.complete(admin("GET", f"/instances/{own}")["tasks"][0]["id"])
    (_, start) = admin("GET", f"/instances/{own}/points")
    ops = visitor("admin")
    assert "Go back to an earlier step" in ops.get(f"/instances/{own}").text
    assert "the start" in ops.get(f"/instances/{own}/back").text
    assert "Say in up to 1,000" in ops.post(f"/instances/{own}/back", 422, to=str(start["event_id"]), reason="").text
    ops.post(f"/instances/{own}/back", to=str(start["event_id"]), reason="the wrong patient")
    assert [task["element_id"] for task in admin("GET", f"/instances/{own}")["tasks"]] == ["ask"]
    ops.post(f"/instances/{own}/back", to=str(start["event_id"]), reason="both ways", fork="1")
    assert len(admin("GET", "/instances?process_id=Again")["items"]) == 2
    assert caller("staff").open("GET", f"/api/v1/instances/{own}/points").status_code == 403
    assert ops.post(f"/instances/{own}/back", 404, to="1", reason="x")
