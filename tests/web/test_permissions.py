"""Who may call which route: nothing is open by accident, nothing changes by looking, each role gets its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from app.db.people import ROLES
from app.web import security
from tests.web.conftest import APPOINTMENT, Caller, Visitor, rows, value
from tests.web.routes import Route, routes

BROKEN = (500, 501, 502)
"""A server that is not there (503) or does not answer (504) is no fault of the route."""
PUBLIC_ROUTES = {
    "POST /language",
    "GET /static/<path:filename>",
    "GET /login",
    "POST /login",
    "GET /login/form",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "POST /api/v1/token",
    "POST /login/user/add",
    "GET /api/v1/openapi.json",
    "GET /api/v1/docs",
    "GET /ical/<secret>.ics",
    "GET /register",
    "POST /register",
}
"""What anybody may ask for. A page that is added here has to say why in its review. A calendar program signs in
nowhere, so the address of a feed is its secret; it names no patient and can be revoked. Who signs up has no
account yet; a setting closes that page."""


def test_every_route_declares_a_permission(app: Flask) -> None:
    assert [str(route) for route in routes(app) if route.permission is None] == []


def test_only_these_routes_are_public(app: Flask) -> None:
    assert {str(route) for route in routes(app) if route.is_public} == PUBLIC_ROUTES


def test_every_permission_names_roles_that_exist(app: Flask) -> None:
    known = frozenset(ROLES) | security.PUBLIC | security.SIGNED_IN
    assert [str(route) for route in routes(app) if not (route.permission or frozenset()) <= known] == []


@pytest.mark.own_app
def test_a_route_without_a_permission_is_closed(app: Flask) -> None:
    app.add_url_rule("/forgotten", view_func=lambda: "open to all", endpoint="forgotten")

    async def slow() -> str:
        return "open to all"

    app.add_url_rule("/forgotten/slow", view_func=slow, endpoint="forgotten_slow")
    for path in ("/forgotten", "/forgotten/slow"):
        answer = app.test_client().get(path)
        assert answer.status_code == 403, path
        assert "open to all" not in answer.text


async def test_looking_changes_nothing(
    app: Flask, visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    """That somebody looked may be written down, and a figure may be counted by a run of an engine; nothing else."""
    admin, program = visitor("admin"), caller("admin")
    names = await rows("""select relname from pg_stat_user_tables
                          where relname not in ('case_event', 'engine_run', 'web_session', 'outbox')""")
    tables = (f'(select md5(string_agg(t::text, chr(10) order by t::text)) from "{row.relname}" t)' for row in names)  # noqa: S608 - names of our tables
    everything = f"select concat_ws(',', {', '.join(tables)})"
    before = await value(everything)
    for route in routes(app):
        if not route.changes and route.endpoint != "static":
            program.open("GET", route.path) if route.is_api else admin.browser.get(route.path)
    assert await value(everything) == before


def test_a_route_that_changes_something_is_not_also_for_looking(app: Flask) -> None:
    """One view for GET and POST would let a link change something."""
    methods: dict[str, set[str]] = {}
    for route in routes(app):
        methods.setdefault(route.endpoint, set()).add(route.method)
    assert {name: found for name, found in methods.items() if "GET" in found and len(found) > 1} == {}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_what_is_its_own_and_no_more(
    app: Flask, visitor: Callable[[str], Visitor], caller: Callable[[str], Caller], role: str
) -> None:
    person, program = visitor(role), caller(role)
    wrong = []
    for route in _in_order(app):
        status = _ask(person, program, route)
        if (status == 403) != (role not in route.roles) or status == 401 or status in BROKEN:
            wrong.append(f"{route}: {status}")
    assert wrong == []


def _in_order(app: Flask) -> list[Route]:
    """What ends the session or the token that the others need comes last."""
    last = ("signin.leave", "api_token.revoke")
    asked = [route for route in routes(app) if route.endpoint not in ("static", "signin.send", *last)]
    return [*asked, *(route for route in routes(app) if route.endpoint in last)]


def _ask(person: Visitor, program: Caller, route: Route) -> int:
    if route.is_api:
        return program.open(route.method, route.path).status_code
    data = {"csrf_token": person.token} if route.changes else None
    return person.browser.open(route.path, method=route.method, data=data).status_code


def test_nobody_gets_in_without_signing_in(app: Flask, visitor: Callable[[], Visitor]) -> None:
    stranger = visitor()
    stranger.post("/login", 401, username="nobody", password="nothing")  # fetches a form's token
    wrong = []
    for route in routes(app):
        if route.is_public:
            continue
        data = {"csrf_token": stranger.token} if route.changes and not route.is_api else None
        answer = stranger.browser.open(route.path, method=route.method, data=data)
        if route.is_api:
            right = answer.status_code == 401 and answer.content_type == "application/problem+json"
        else:
            right = answer.status_code in (302, 303) and answer.headers["Location"].startswith("/login")
        if not right:
            wrong.append(f"{route}: {answer.status}")
    assert wrong == []


def test_a_refusal_says_which_role_is_missing(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    refused = caller("patient").deploy(b"<x/>", 403)
    assert refused["detail"] == "This needs the role admin or modeler."
    assert "This needs the role admin or modeler or ops." in visitor("patient").get("/models", 403).text


def test_a_patient_sees_no_instance_of_others(caller: Callable[[str], Caller]) -> None:
    staff, patient = caller("staff"), caller("patient")
    instance = staff.start(case="PRIVATE-1")
    task = instance["tasks"][0]["id"]
    for method, path in (
        ("GET", f"/instances/{instance['id']}"),
        ("GET", f"/instances/{instance['id']}/trace"),
        ("DELETE", f"/instances/{instance['id']}"),
        ("GET", f"/tasks/{task}"),
        ("POST", f"/tasks/{task}/claim"),
        ("POST", f"/tasks/{task}/release"),
        ("POST", f"/tasks/{task}/draft"),
        ("POST", f"/tasks/{task}/complete"),
        ("GET", "/cases/PRIVATE-1"),
        ("GET", "/cases/PRIVATE-1/timeline"),
    ):
        body = {"json": {"reason": "because", "variables": {}}} if method != "GET" else {}
        patient(method, path, 404, **body)
    assert patient("GET", "/instances")["items"] == []
    own = patient.start()
    assert [row["id"] for row in patient("GET", f"/instances?process_id={APPOINTMENT}")["items"]] == [own["id"]]
    assert patient("GET", f"/instances/{own['id']}")["id"] == own["id"]


def test_the_menu_shows_only_what_a_role_may_open(app: Flask, visitor: Callable[[str], Visitor]) -> None:
    from lxml import html

    for role in ROLES:
        person = visitor(role)
        for link in html.fromstring(person.get("/home").text).xpath("//nav//a/@href"):
            assert person.browser.get(link, follow_redirects=True).status_code == 200, (role, link)
