"""What a browser and other sites may do: form tokens, origins, headers, and text that stays text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from lxml import html

from app.core.settings import ROOT, Settings, settings
from app.web.factory import NotSafeToStart, check, create_app
from app.web.security import COOKIE
from tests import drawing
from tests.web.conftest import API, APPOINTMENT, ENTRIES, Caller, Visitor, some_id, upload, value
from tests.web.routes import routes

MARKUP = '<script>alert("x")</script><b>bold</b>'


async def test_every_form_needs_its_token(app: Flask, visitor: Callable[[str], Visitor]) -> None:
    admin = visitor("admin")
    before = await value("select count(*) from case_event")
    wrong = []
    for route in routes(app):
        if not route.changes or getattr(app.view_functions[route.endpoint], "csrf_exempt", False):
            continue
        for given in ({}, {"csrf_token": "guessed"}, {"csrf_token": visitor("staff").token}):
            answer = admin.browser.open(route.path, method=route.method, data=given)
            if answer.status_code != 400 or "CSRF" not in answer.text:
                wrong.append(f"{route}: {answer.status}")
    assert wrong == []
    signed_in = "kind not in ('account.signed-in')"
    assert await value(f"select count(*) from case_event where {signed_in} and id > :n", n=before + 1000) == 0  # noqa: S608


def test_only_asking_for_a_token_needs_no_token_of_a_form(app: Flask) -> None:
    """Its body is JSON, which a form of another site cannot send, and it uses no cookie."""
    assert {name for name, view in app.view_functions.items() if getattr(view, "csrf_exempt", False)} == {
        "api_token.issue"
    }


def test_every_form_on_every_page_carries_a_token(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    admin = visitor("admin")
    instance = caller("admin").start()
    pages = ["/home", "/models", f"/models/{APPOINTMENT}", "/instances", f"/instances/{instance['id']}"]
    pages.append(f"/tasks/{instance['tasks'][0]['id']}")
    forms = [form for page in pages for form in html.fromstring(admin.get(page).text).xpath("//form[@method='post']")]
    assert len(forms) > 10
    assert [form.get("action") for form in forms if not form.xpath(".//input[@name='csrf_token']/@value")] == []


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost.evil.example", "http://localhost:81"])
def test_a_form_of_another_site_is_refused_even_with_the_token(visitor: Callable[[str], Visitor], origin: str) -> None:
    person = visitor("staff")
    given = {"csrf_token": person.token}
    refused = person.browser.post("/logout", data=given, headers={"Origin": origin})
    assert refused.status_code == 403
    assert "another site" in refused.text
    assert person.browser.post("/logout", data=given, headers={"Origin": "http://localhost"}).status_code == 303


def test_the_api_takes_a_cookie_only_with_the_token_of_a_form(visitor: Callable[[str], Visitor]) -> None:
    person = visitor("staff")
    path = f"{API}/models/{APPOINTMENT}/instances"
    assert person.browser.post(path, json={}).status_code == 400
    headers = {"X-CSRFToken": person.token, "Origin": "https://evil.example"}
    assert person.browser.post(path, json={}, headers=headers).status_code == 403
    assert person.browser.post(path, json={}, headers={"X-CSRFToken": person.token}).status_code == 201


def test_a_bearer_token_opens_no_page(app: Flask, caller: Callable[[str], Caller]) -> None:
    headers = {"Authorization": f"Bearer {caller('staff').token}"}
    assert app.test_client().get("/home", headers=headers).status_code == 302
    assert app.test_client().post("/logout", headers=headers).status_code == 400


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer wrong", "Basic c3RhZmY6eA==", "Bearer a b", "Bearer \xff"]
)
def test_a_wrong_authorization_is_401(app: Flask, header: str) -> None:
    answer = app.test_client().get(f"{API}/tasks", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="dams"'


def test_a_wrong_token_is_not_helped_by_a_good_cookie(visitor: Callable[[str], Visitor]) -> None:
    person = visitor("staff")
    answer = person.browser.get(f"{API}/tasks", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401


def test_every_answer_carries_the_headers_that_protect_people(app: Flask, visitor: Callable[[str], Visitor]) -> None:
    person = visitor("admin")
    for path in ("/home", "/models", "/login/form", "/nothing/here", f"{API}/tasks", f"{API}/nothing", "/healthz"):
        headers = person.browser.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'", path
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'", path
        assert "unsafe" not in headers["Content-Security-Policy"], path
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["X-Frame-Options"] == "DENY", path
        assert headers["Referrer-Policy"] == "same-origin", path
        assert headers["Cache-Control"] == "no-store", path
    secure = app.test_client().get("/healthz", base_url="https://localhost")
    assert "max-age=31536000" in secure.headers["Strict-Transport-Security"]


def test_what_was_built_may_be_cached(app: Flask) -> None:
    with app.test_client().get("/static/icon.svg") as answer:
        assert "max-age=31536000" in answer.headers["Cache-Control"]


def test_no_page_has_a_script_or_a_style_of_its_own(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    admin = visitor("admin")
    task = caller("admin").start()["tasks"][0]["id"]
    for path in ("/home", "/models", f"/models/{APPOINTMENT}", "/instances", f"/tasks/{task}", "/nothing/here"):
        page = html.fromstring(admin.browser.get(path).text)
        assert (
            page.xpath("//script[not(@src)] | //style | //*[@style] | //a[starts-with(@href, 'javascript:')]") == []
        ), path
        assert page.xpath("//@*[starts-with(name(), 'on')]") == [], path


def test_no_template_marks_text_as_safe() -> None:
    """`|safe` and `{% autoescape false %}` would let a model's text become markup."""
    text = "".join(path.read_text() for path in (ROOT / "app/web/templates").rglob("*.html"))
    assert not re.search(r"\|\s*safe\b|autoescape", text)


def hostile(process_id: str = "Hostile") -> bytes:
    form = drawing.user_task(
        "first", drawing.field("answer", label=MARKUP), name=MARKUP, attributes='camunda:candidateGroups="staff"'
    )
    return drawing.sequence(process_id, form, name=MARKUP)


def is_text(page: str) -> bool:
    """MARKUP is on the page, and nowhere as markup."""
    tree = html.fromstring(page)
    return "<b>bold</b>" in tree.text_content() and not tree.xpath(
        "//b[text()='bold'] | //script[contains(., 'alert')]"
    )


def test_markup_in_names_labels_and_files_is_text_everywhere(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    admin, staff = visitor("admin"), caller("staff")
    caller("modeler").deploy(hostile(), name=f"{MARKUP.replace('/', '')}.bpmn", note=MARKUP)
    instance = staff.start("Hostile", case=MARKUP, variables={"about": MARKUP})
    task = instance["tasks"][0]["id"]
    for path in ("/home", f"/tasks/{task}", f"/instances/{instance['id']}", "/instances", "/models", "/models/Hostile"):
        assert is_text(admin.get(path).text), path
    assert is_text(
        admin.post(f"/tasks/{task}/complete", 303, answer=MARKUP) and admin.get(f"/instances/{instance['id']}").text
    )
    refused = admin.post("/models", 422, file=upload(b"<x/>", MARKUP.replace("/", "") + ".bpmn")).text
    assert "<script>alert" not in refused
    assert "&lt;script&gt;alert" in refused


def test_markup_that_was_typed_comes_back_as_text(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    staff = visitor("staff")
    instance = caller("staff").start()
    for entries in list(ENTRIES.values())[:3]:
        instance = caller("staff").complete(instance["tasks"][0]["id"], **entries)
    page = html.fromstring(staff.post(f"/tasks/{instance['tasks'][0]['id']}/complete", 422, ticketid=MARKUP).text)
    assert page.xpath("//input[@id='f-ticketid']/@value") == [MARKUP]
    refused = staff.post("/login", 401, username=MARKUP, password="x").text
    assert html.fromstring(refused).xpath("//input[@id='username']/@value") == [MARKUP]
    assert "<script>alert" not in staff.get(f"/home?search={MARKUP}").text
    assert "<script>alert" not in staff.get(f"/instances?case={MARKUP}").text


def test_a_downloaded_model_is_never_run_as_a_page(visitor: Callable[[str], Visitor]) -> None:
    answer = visitor("staff").get(f"/models/{APPOINTMENT}/1/xml")
    assert answer.content_type == "application/xml"
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("DAMS_SECURITY__SECRET_KEY", "short"),
        ("DAMS_WEB__DEBUG", "true"),
        ("DAMS_WEB__TEST_CLOCK", "true"),
        ("DAMS_WEB__SECURE_COOKIES", "false"),
    ],
)
def test_outside_the_demo_unsafe_settings_do_not_start(monkeypatch: pytest.MonkeyPatch, name: str, given: str) -> None:
    monkeypatch.setenv("DAMS_WEB__DEMO", "false")
    monkeypatch.setenv("DAMS_WEB__SECURE_COOKIES", "true")
    check(Settings())
    monkeypatch.setenv(name, given)
    with pytest.raises(NotSafeToStart):
        check(Settings())


def test_outside_the_demo_there_is_no_mail_page(
    visitor: Callable[[str], Visitor], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DAMS_MAIL__SINK", str(tmp_path))
    settings.cache_clear()
    admin = visitor("admin")
    admin.get("/dev/mail")
    assert "/dev/mail" in admin.get("/home").text
    monkeypatch.setenv("DAMS_WEB__DEMO", "false")
    settings.cache_clear()
    admin.get("/dev/mail", 404)
    assert "/dev/mail" not in admin.get("/home").text


def test_the_clock_moves_only_where_it_was_asked_for(
    caller: Callable[[str], Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = caller("admin")
    admin("POST", "/clock", 404, json={"advance": "PT1H"})
    monkeypatch.setenv("DAMS_WEB__TEST_CLOCK", "true")
    settings.cache_clear()
    assert admin("POST", "/clock", json={"advance": "PT1H"})["fired"] == 0
    caller("ops")("POST", "/clock", 403, json={"advance": "PT1H"})


@pytest.mark.usefixtures("app")
def test_the_prefix_is_one_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_WEB__URL_PREFIX", "/ch08")
    settings.cache_clear()
    moved = create_app().test_client()
    assert moved.get("/login").status_code == 404
    page = moved.get("/ch08/login")
    assert page.status_code == 200
    links = html.fromstring(page.text).xpath("//@href | //@src | //@action")
    assert [link for link in links if link.startswith("/") and not link.startswith("/ch08/")] == []
    refused = moved.get("/ch08/api/v1/tasks")
    assert (refused.status_code, refused.content_type) == (401, "application/problem+json")
    assert moved.get("/ch08/home").headers["Location"].startswith("/ch08/login")
    token = html.fromstring(page.text).xpath("string(//input[@name='csrf_token']/@value)")
    from tests.conftest import PASSWORD_OF_ALL

    given = {"username": "staff", "password": PASSWORD_OF_ALL, "csrf_token": token}
    assert moved.post("/ch08/login", data=given).headers["Location"] == "/ch08/home"
    assert moved.get("/ch08/home").status_code == 200
    assert moved.get("/ch08/api/v1/openapi.json").get_json()["servers"] == [{"url": "/ch08"}]
    assert moved.get_cookie(COOKIE) is not None


def test_an_unknown_id_leads_to_no_other_answer_than_a_foreign_one(caller: Callable[[str], Caller]) -> None:
    foreign = caller("staff").start()
    patient = caller("patient")
    assert patient("GET", f"/instances/{foreign['id']}", 404) == patient("GET", f"/instances/{some_id()}", 404)
    task = foreign["tasks"][0]["id"]
    assert patient("GET", f"/tasks/{task}", 404) == patient("GET", f"/tasks/{some_id()}", 404)
