"""Bad input: a 4xx that names the field or the reason, nothing written, never a 500."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from lxml import html

from tests import drawing
from tests.waiting import SECONDS
from tests.web.conftest import API, APPOINTMENT, Caller, Visitor, at_once, upload, value


async def untouched(task: str) -> bool:
    """The task is open and nobody's, and nothing was completed."""
    state = await value("select state || coalesce(assignee_id::text, '') from user_task where id = :id", id=task)
    return state == "ready" and not await value("select count(*) from case_event where kind = 'task.completed'")


@pytest.fixture
def task(caller: Callable[[str], Caller]) -> str:
    """The first form of an appointment: one required string of 2 to 50 characters."""
    return caller("staff").start()["tasks"][0]["id"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("", "Enter Specialization."),
        (None, "Enter Specialization."),
        ("x", "Use at least 2 characters."),
        ("x" * 51, "Use at most 50 characters."),
        ("x" * 1_000_000, "Use at most 50 characters."),
        (7, ""),
        (["Cardiology"], ""),
        ({"a": 1}, ""),
        (True, ""),
    ],
    ids=["empty", "null", "short", "long", "1 MB", "number", "list", "object", "boolean"],
)
async def test_a_wrong_value_names_its_field_and_changes_nothing(
    caller: Callable[[str], Caller], task: str, given: Any, sentence: str
) -> None:
    refused = caller("staff").complete(task, 422, specialization=given)
    assert list(refused["errors"]) == ["specialization"]
    assert sentence in refused["errors"]["specialization"]
    assert refused["code"] == "invalid"
    assert await untouched(task)


async def test_a_missing_field_is_a_sentence_and_not_a_crash(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor], task: str
) -> None:
    assert caller("staff").complete(task, 422)["errors"] == {"specialization": "Enter Specialization."}
    page = html.fromstring(visitor("staff").post(f"/tasks/{task}/complete", 422).text)
    assert page.xpath("string(//*[@id='wrong-specialization'])") == "Enter Specialization."
    assert await untouched(task)


async def test_fields_that_the_form_does_not_have_are_ignored_and_never_stored(
    caller: Callable[[str], Caller], task: str
) -> None:
    foreign = {"specialization": "Neurology", "isAdmin": True, "__class__": "x", "slot_lost": True, "docid": "HSP-201"}
    answer = caller("staff").complete(task, **foreign)
    assert answer["variables"] == {"specialization": "Neurology"}
    assert await value("select count(*) from instance where variables::text ~ 'isAdmin|__class__|slot_lost'") == 0
    assert await value("select count(*) from case_event where data::text ~ 'isAdmin|__class__|slot_lost'") == 0


@pytest.mark.parametrize("text", ["a\x00b", "\x00"])
async def test_a_nul_character_is_refused(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor], task: str, text: str
) -> None:
    assert (
        caller("staff").complete(task, 400, specialization=text)["detail"]
        == "A NUL character cannot be stored or searched for."
    )
    visitor("staff").post(f"/tasks/{task}/complete", 400, specialization=text)
    visitor("staff").post(f"/tasks/{task}/draft", 400, specialization=text)
    assert await untouched(task)


@pytest.mark.parametrize(
    "path",
    [
        "/home?search=%00",
        "/instances?case=%00",
        "/instances?variable=%00",
        "/models/%00",
        "/home?cursor=%00",
        "/login?next=%00",
        "/models/x%00y/1/xml",
    ],
)
def test_a_nul_in_an_address_is_no_server_error(visitor: Callable[[str], Visitor], path: str) -> None:
    assert visitor("admin").browser.get(path).status_code in (400, 404)


@pytest.mark.parametrize(
    "path",
    [
        "/tasks?search=%00",
        "/instances?case=%00",
        "/models/%00",
        "/cases/%00",
        "/tasks?cursor=%00",
        "/instances?cursor=x",
        "/tasks?cursor=x~y",
        "/instances?variable=x",
        "/instances?variable=%3D1",
    ],
)
def test_a_query_that_cannot_be_read_is_refused(caller: Callable[[str], Caller], path: str) -> None:
    assert caller("admin").ask("GET", path).status_code in (400, 404)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("due_before=tomorrow", "due_before"),
        ("mine=perhaps", "mine"),
    ],
)
def test_a_wrong_query_names_its_parameter(caller: Callable[[str], Caller], query: str, field: str) -> None:
    assert list(caller("staff")("GET", f"/tasks?{query}", 422)["errors"]) == [field]


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b'{"a":1}{"b":2}'])
def test_a_body_that_is_no_json_object_is_400(caller: Callable[[str], Caller], task: str, body: bytes) -> None:
    caller("staff")("POST", f"/tasks/{task}/complete", 400, data=body, content_type="application/json")


def test_a_number_too_large_for_the_database_is_not_found(caller: Callable[[str], Caller]) -> None:
    ops, instance = caller("ops"), caller("staff").start()
    for number in (2**31, 2**63, 10**30):
        ops("POST", f"/instances/{instance['id']}/incidents/{number}/retry", 404)
        ops("POST", f"/instances/{instance['id']}/incidents/{number}/resolve", 404, json={})


def test_a_body_of_another_kind_is_400(caller: Callable[[str], Caller], task: str) -> None:
    caller("staff")("POST", f"/tasks/{task}/complete", 400, data={"specialization": "x"})
    caller("modeler")("POST", "/deployments", 400, json={"file": "x"})
    caller("modeler")("POST", "/deployments", 400, data={"note": "no file"}, content_type="multipart/form-data")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"variables": []}, "variables"),
        ({"version": "1"}, "version"),
        ({"version": 0}, "version"),
        ({"business_key": 7}, "business_key"),
        ({"business_key": ""}, "business_key"),
        ({"case": "x" * 201}, "case"),
        ({"case": "a\nb"}, "case"),
        ({"variables": {"big": "x" * 300_000}}, "big"),
    ],
)
async def test_a_start_that_cannot_be_names_what_is_wrong(
    caller: Callable[[str], Caller], body: dict[str, Any], field: str
) -> None:
    refused = caller("staff").ask("POST", f"/models/{APPOINTMENT}/instances", json=body)
    assert refused.status_code in (413, 422)
    assert field in refused.text
    assert await value("select count(*) from instance") == 0


@pytest.mark.parametrize("key", ["x" * 201, " ", "a\tb"])
async def test_an_idempotency_key_that_cannot_be_is_refused(caller: Callable[[str], Caller], key: str) -> None:
    caller("staff")("POST", f"/models/{APPOINTMENT}/instances", 422, key=key, json={})
    assert await value("select count(*) from instance") == 0


def test_too_much_is_413(caller: Callable[[str], Caller], visitor: Callable[[str], Visitor], task: str) -> None:
    much = "x" * 5_000_000
    assert caller("staff").complete(task, 413, specialization=much)["title"] == "That is too big"
    large = {"data": b"<" * 50_000_000, "content_type": "multipart/form-data; boundary=x"}
    caller("modeler")("POST", "/deployments", 413, **large)
    visitor("staff").post(f"/tasks/{task}/complete", 413, specialization=much)


async def test_a_form_of_a_thousand_fields_is_refused_or_ignored(visitor: Callable[[str], Visitor], task: str) -> None:
    many = {f"field{number}": "x" for number in range(5000)}
    assert visitor("staff").post(f"/tasks/{task}/complete", 422, **many)
    assert await untouched(task)


def test_a_draft_has_a_limit(caller: Callable[[str], Caller], task: str) -> None:
    caller("staff")("POST", f"/tasks/{task}/draft", 413, json={"variables": {"specialization": "x" * 70_000}})


def test_somebody_elses_task_is_refused(caller: Callable[[str], Caller], task: str) -> None:
    caller("patient").complete(task, 404, specialization="Neurology")
    caller("doctor")("POST", f"/tasks/{task}/claim")
    lost = caller("staff").complete(task, 409, specialization="Neurology")
    assert (lost["first_by"], lost["state"]) == ("Dr. Mina Sato", "claimed")
    assert lost["detail"] == "This task was claimed by Dr. Mina Sato."
    assert lost["first_at"]
    caller("staff")("POST", f"/tasks/{task}/claim", 409)
    caller("staff")("POST", f"/tasks/{task}/release", 409)
    caller("staff")("POST", f"/tasks/{task}/draft", 409, json={"variables": {"specialization": "x"}})


def test_who_comes_second_is_told_who_was_first(caller: Callable[[str], Caller], task: str) -> None:
    caller("doctor").complete(task, specialization="Neurology")
    lost = caller("staff").complete(task, 409, specialization="Cardiology")
    assert lost["detail"] == "This task was completed by Dr. Mina Sato."
    assert (lost["first_by"], lost["state"], lost["code"]) == ("Dr. Mina Sato", "completed", "conflict")


async def test_of_many_at_once_one_wins_and_the_others_are_told(caller: Callable[[str], Caller], task: str) -> None:
    people = [caller(name) for name in ("staff", "doctor", "admin") for _ in range(3)]

    def attempt(person: Caller, number: int) -> Callable[[], int]:
        body = {"variables": {"specialization": ("Neurology", "Cardiology", "Dermatology")[number % 3]}}
        return lambda: person.ask("POST", f"/tasks/{task}/complete", json=body).status_code

    answers = at_once(*[attempt(person, number) for number, person in enumerate(people)])
    assert sorted(answers) == [200] + [409] * 8
    assert await value("select count(*) from case_event where kind = 'task.completed'") == 1


async def test_a_double_click_is_one_completion(visitor: Callable[[str], Visitor], app: Flask, task: str) -> None:
    staff = visitor("staff")
    page = html.fromstring(staff.get(f"/tasks/{task}").text)
    key = page.xpath("string(//input[@name='completion_key']/@value)")
    cookies = staff.browser.get_cookie("dams_session"), staff.browser.get_cookie("dams_form")

    def click() -> tuple[int, str]:
        browser = app.test_client()
        for cookie in cookies:
            assert cookie is not None
            browser.set_cookie(cookie.key, cookie.value)
        given = {"csrf_token": staff.token, "completion_key": key, "specialization": "Neurology"}
        answer = browser.post(f"/tasks/{task}/complete", data=given)
        return answer.status_code, answer.headers.get("Location", "")

    first, second = at_once(click, click)
    assert first == second
    assert first[0] == 303
    assert await value("select count(*) from case_event where kind = 'task.completed'") == 1


def test_a_stale_page_shows_who_was_first_and_keeps_what_was_typed(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller], task: str
) -> None:
    staff = visitor("staff")
    staff.get(f"/tasks/{task}")
    caller("doctor").complete(task, specialization="Neurology")
    lost = staff.post(f"/tasks/{task}/complete", 409, specialization="Cardiology").text
    shown = " ".join(html.fromstring(lost).text_content().split())
    assert "Somebody else was first" in shown
    assert "This task was completed by Dr. Mina Sato." in shown
    assert re.search(r"What you entered ?Specialization ?Cardiology ?What counts ?Specialization ?Neurology", shown)


async def test_starting_twice_from_one_page_starts_once(visitor: Callable[[str], Visitor]) -> None:
    staff = visitor("staff")
    first = staff.post(f"/models/{APPOINTMENT}/start", start_key="the-page").headers["Location"]
    assert staff.post(f"/models/{APPOINTMENT}/start", start_key="the-page").headers["Location"] == first
    assert await value("select count(*) from instance") == 1


HOSTILE = {
    "no XML": b"this is no xml",
    "nothing": b"",
    "binary": bytes(range(256)) * 40,
    "a DOCTYPE": b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
    "an import": drawing.sequence("P", drawing.script("s", "import os\nos.system('id')")),
    "no script": drawing.sequence("P", '<bpmn:scriptTask id="s" name="s" />'),
    "a syntax error": drawing.sequence("P", drawing.script("s", "def (")),
    "an unknown field type": drawing.sequence("P", drawing.user_task("t", drawing.field("f", "colour"))),
    "a dangling flow": drawing.definitions("P", '<bpmn:startEvent id="start" />', drawing.flow("start", "gone")),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_file_is_refused_with_what_to_do(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor], content: bytes
) -> None:
    before = await value("select count(*) from model")
    refused = caller("modeler").deploy(content, 422)
    assert refused["code"] == "model-refused"
    assert refused["problems"]
    for problem in refused["problems"]:
        assert problem["message"]
        assert problem["fix"] or problem["severity"] == "warning"
    page = visitor("modeler").post("/models", 422, file=upload(content)).text
    shown = " ".join(html.fromstring(page).text_content().split())
    assert "nothing was deployed" in shown
    assert " ".join(refused["problems"][0]["message"].split()) in shown
    assert await value("select count(*) from model") == before


def test_a_page_without_a_chosen_file_says_so(visitor: Callable[[str], Visitor]) -> None:
    assert "Choose a .bpmn file first." in visitor("modeler").post("/models", 422).text
    assert "Choose a .bpmn file first." in visitor("modeler").post("/models/dry-run", 422).text
    assert "Choose a .bpmn file first." in visitor("modeler").post("/models/compare", 422).text
    assert "name" in visitor("modeler").post("/models/compare", 400, kept="m.bpmn:not base64!").text


def test_a_model_with_warnings_needs_a_note(visitor: Callable[[str], Visitor]) -> None:
    untyped = drawing.sequence(
        "Warned",
        drawing.user_task("t", '<camunda:formField id="f" label="F" />', attributes='camunda:candidateGroups="staff"'),
    )
    modeler = visitor("modeler")
    assert "say why in the note" in modeler.post("/models", 422, file=upload(untyped)).text
    assert modeler.post("/models", 303, file=upload(untyped), note="for a try").headers["Location"] == "/models/Warned"


@pytest.mark.parametrize(
    ("name", "given"), [("engine", "zeebra"), ("activate", "maybe"), ("note", "x" * 2001), ("note", "\x00")]
)
def test_a_deployment_option_that_cannot_be_is_400(caller: Callable[[str], Caller], name: str, given: str) -> None:
    content = drawing.sequence("Fine", drawing.user_task("t", drawing.field("f")))
    caller("modeler").deploy(content, 400, **{name: given})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/tasks/not-a-uuid", 404),
        ("PATCH", "/tasks", 405),
        ("POST", "/models", 405),
        ("GET", "/token", 405),
        ("DELETE", "/models/x", 405),
    ],
)
def test_a_wrong_address_or_method_is_a_problem_document(
    caller: Callable[[str], Caller], method: str, path: str, status: int
) -> None:
    answer = caller("admin").ask(method, path)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert (status == 405) == ("Allow" in answer.headers)


def test_a_wrong_address_is_a_page_for_people(visitor: Callable[[str], Visitor], app: Flask) -> None:
    page = visitor("staff").get("/nothing/here", 404).text
    assert "There is nothing here" in page
    assert "To my tasks" in page
    assert "Rosa Alvarez" in page
    assert app.test_client().get("/nothing/here").status_code == 404


@pytest.mark.own_app
def test_a_fault_of_ours_shows_a_reference_and_nothing_inside(
    app: Flask, visitor: Callable[[str], Visitor], caplog: pytest.LogCaptureFixture
) -> None:
    from app.web.security import public

    @public
    async def broken() -> str:
        raise RuntimeError("the secret inside")

    app.add_url_rule("/broken", view_func=broken, endpoint="broken")
    app.add_url_rule("/api/v1/broken", view_func=broken, endpoint="broken_api")
    page = visitor("staff").get("/broken", 500).text
    assert "Something went wrong" in page
    assert "recorded as" in page
    assert "secret inside" not in page
    problem = app.test_client().get("/api/v1/broken")
    assert problem.content_type == "application/problem+json"
    assert "secret inside" not in problem.text
    assert problem.get_json(force=True)["reference"]


def test_without_a_database_the_answer_is_503_soon(
    app: Flask, visitor: Callable[[str], Visitor], caller: Callable[[str], Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.core.loop import loop_thread
    from app.core.settings import settings
    from app.db.session import dispose
    from app.dev.state import free_ports

    person, program = visitor("staff"), caller("staff")
    loop_thread.run(dispose())
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("DAMS_DATABASE__URL", f"postgresql+asyncpg://x@127.0.0.1:{free_ports(1)[0]}/x")
        settings.cache_clear()
        began = time.monotonic()
        page = person.get("/home", 503)
        assert "The database does not answer." in page.text
        assert page.headers["Retry-After"] == "2"
        assert "It has been recorded as" in page.text
        refused = program("GET", "/tasks", 503)
        assert (refused["code"], len(refused["reference"])) == ("unavailable", 12)
        ready = app.test_client().get("/readyz")
        assert (ready.status_code, ready.get_json()["engines"]["postgresql"]) == (503, "down")
        assert app.test_client().get("/healthz").status_code == 200
        assert time.monotonic() - began < 100
        loop_thread.run(dispose())
    settings.cache_clear()
    person.get("/home")


def test_a_held_lock_is_answered_as_a_conflict(
    app: Flask, caller: Callable[[str], Caller], task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio
    import threading

    import asyncpg

    from app.core.loop import loop_thread
    from app.core.settings import settings
    from app.db.session import dispose

    staff = caller("staff")
    loop_thread.run(dispose())
    monkeypatch.setenv("DAMS_DATABASE__LOCK_TIMEOUT_MS", "200")
    settings.cache_clear()
    held, done = threading.Event(), threading.Event()

    async def hold() -> None:
        connection = await asyncpg.connect(settings().database.url.replace("+asyncpg", ""))
        async with connection.transaction():
            await connection.execute("select from instance for update")
            held.set()
            await asyncio.to_thread(done.wait)
        await connection.close()

    holder = threading.Thread(target=lambda: asyncio.run(hold()))
    holder.start()
    try:
        assert held.wait(SECONDS)
        refused = staff.complete(task, 409, specialization="Neurology")
        assert "Somebody is working on this just now" in refused["detail"]
    finally:
        done.set()
        holder.join()
    staff.complete(task, specialization="Neurology")
    assert app.test_client().get(f"{API}/openapi.json").status_code == 200
