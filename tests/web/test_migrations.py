"""Moving running instances over the pages and the API; retiring a process and bringing a version back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.engines import migrations
from tests import drawing
from tests.web.conftest import Caller, Visitor, value

OLD = drawing.sequence("Move", drawing.user_task("ask", name="Ask"), drawing.user_task("check", name="Check"))
TRIAL = "/models/Move/migrations/trial"
NEW = drawing.sequence("Move", drawing.user_task("ask", name="Ask"), drawing.user_task("verify", name="Verify"))
SAME = drawing.sequence("Move", drawing.user_task("ask", name="Ask"), drawing.user_task("verify", name="Check"))


async def carry_out() -> None:
    while await value("select count(*) from instance_migration where state = 'running'"):
        await migrations.advance()


def two_versions(caller: Callable[[str], Caller]) -> Caller:
    """One instance at `ask`, one at `check`, which the second version does not have."""
    modeler = caller("modeler")
    modeler.deploy(OLD)
    modeler.start("Move")
    modeler_at_check = modeler.start("Move")
    caller("admin").complete(modeler_at_check["tasks"][0]["id"])
    modeler.deploy(NEW)
    return modeler


async def test_the_page_shows_who_would_stay_and_why_and_then_moves_the_others(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    two_versions(caller)
    person = visitor("modeler")
    page = person.get("/models/Move/migrate").text
    assert "2 instances run on version 1" in page
    assert "the new version does not have it" in page
    plan: dict[str, Any] = {"from": "1", "to": "2"}
    missing = person.post("/models/Move/migrate", 422, **plan, reason=" ")
    assert "Say in up to 1,000 characters why." in missing.text
    begun = person.post("/models/Move/migrate", **plan, reason="the form asks for more")
    assert "under way" in person.get(begun.location).text
    assert "under way" in person.post("/models/Move/migrate", 409, **plan, reason="again").text
    await carry_out()
    shown = person.get(begun.location).text
    assert "1 moved, 1 stayed" in shown
    assert "Map it to an element of the same kind." in shown
    left = person.get("/models/Move/migrate?from=1&to=2&element-check=verify").text
    assert "all that were tried can be moved" in left
    person.post("/models/Move/migrate", **plan, **{"element-check": "verify"}, reason="renamed")
    await carry_out()
    assert await value("select count(*) from instance i join model m on m.id = i.model_id where m.version = 2") == 2


async def test_an_instance_that_was_moved_has_its_page_and_its_case_as_before(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    modeler = two_versions(caller)
    plan = {"from_version": 1, "to_version": 2, "reason": "renamed", "elements": {"check": "verify"}}
    modeler("POST", "/models/Move/migrations", 202, json=plan)
    await carry_out()
    own = await value("select id from instance where variables = '{}' order by id desc limit 1")
    person = visitor("admin")
    assert "Verify" in person.get(f"/instances/{own}").text
    case = await value("select case_no from instance where id = :own", own=own)
    assert "moved it to another version" in person.get(f"/cases/{case}").text


def test_an_element_of_the_same_name_is_offered_for_one_whose_id_is_gone(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    two_versions(caller).deploy(SAME)
    page = visitor("modeler").get("/models/Move/migrate?from=1&to=3").text
    assert '<option value="verify" selected>Check (verify)</option>' in page
    assert "all that were tried can be moved" in page


def test_bad_input_is_told_by_name(caller: Callable[[str], Caller]) -> None:
    modeler = two_versions(caller)
    for path, given, status, said in (
        ("/models/Move/migrations", {"from_version": 1, "to_version": 1, "reason": "x"}, 422, "to_version"),
        ("/models/Move/migrations", {"from_version": 1, "to_version": 2}, 422, "reason"),
        ("/models/Move/migrations", {"from_version": "1", "to_version": 2, "reason": "x"}, 422, "from_version"),
        (TRIAL, {"from_version": 1, "to_version": 9}, 404, "9"),
        (TRIAL, {"from_version": 1, "to_version": 2**40}, 422, "to_version"),
        ("/models/Nothing/migrations/trial", {"from_version": 1, "to_version": 2}, 404, "Nothing"),
        (
            "/models/Move/migrations/trial",
            {"from_version": 1, "to_version": 2, "elements": {"x": "ask"}},
            422,
            "elements.x",
        ),
    ):
        answer = modeler.open("POST", f"/api/v1{path}", json=given)
        assert (answer.status_code, said in answer.text) == (status, True), (path, given, answer.text)
    assert modeler.open("GET", "/api/v1/migrations/00000000-0000-0000-0000-000000000001").status_code == 404


def test_only_who_draws_or_mends_moves_instances(caller: Callable[[str], Caller]) -> None:
    two_versions(caller)
    given = {"from_version": 1, "to_version": 2}
    assert caller("staff").open("POST", "/api/v1/models/Move/migrations/trial", json=given).status_code == 403
    tried = caller("ops")("POST", "/models/Move/migrations/trial", json=given)
    assert (tried["running"], tried["refused"]) == (2, 1)


def test_a_retired_process_is_not_started_and_comes_back_by_activating_a_version(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    modeler = two_versions(caller)
    modeler("POST", "/models/Move/retire")
    assert modeler.open("POST", "/api/v1/models/Move/instances", json={"variables": {}}).status_code == 404
    assert modeler.open("POST", "/api/v1/models/Move/retire").status_code == 404
    person = visitor("modeler")
    assert "No version is active" in person.get("/models/Move").text
    assert "retired" in person.get("/models").text
    modeler("POST", "/models/Move/versions/1/activate")
    assert modeler.open("POST", "/api/v1/models/Move/versions/1/activate").status_code == 409
    assert modeler.open("POST", "/api/v1/models/Move/versions/7/activate").status_code == 404
    started = modeler.start("Move")
    assert started["version"] == 1
    person.post("/models/Move/2/activate")
    assert modeler.start("Move")["version"] == 2
