"""Servers that may be called: kept on a page, their tokens sealed, and what a model or a flow reaches with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from lxml import html
from sqlalchemy import text

from app.core.settings import settings
from app.db.session import reading, transaction
from app.engines import connections
from tests import drawing
from tests.engines.spiff.test_jobs import asked, service
from tests.web.conftest import Caller, Visitor, at_once, rows, value
from tests.web.test_schedule import said

LAB = {"name": "lab", "url": "https://lab.example/api", "token": "t-secret-1", "models": "yes"}
CALL = drawing.sequence("Own", service("http", asked("url", "https://lab.example/api/x")))
People = Callable[[str], Visitor]


def keep(admin: Visitor, status: int = 303, **given: str) -> Any:
    return admin.post("/connections", status, **{**LAB, **given})


async def token(name: str = "lab") -> str:
    async with reading() as session:
        return (await connections.known(session))[name].token.get_secret_value()


async def test_a_connection_is_added_changed_and_removed_and_its_token_is_never_shown(visitor: People) -> None:
    admin = visitor("admin")
    assert "No server may be called yet" in admin.get("/connections").text
    keep(admin)
    assert await token() == "t-secret-1"
    kept = await value("select token from connection")
    assert b"t-secret-1" not in kept
    for path in ("/connections", "/connections/lab", "/schedules"):
        page = admin.get(path).text
        assert ["lab.example" in page, "t-secret-1" in page] == [True, False]
    admin.post("/connections/lab", url="https://lab.example/v2", token="", revision="1")
    assert await token() == "t-secret-1"
    admin.post("/connections/lab", url="https://lab.example/v2", tokenless="yes", revision="2")
    assert await token() == ""
    admin.post("/connections/lab/remove", revision="3")
    assert await value("select count(*) from connection") == 0
    told = [row.data for row in await rows("select data from case_event where kind like 'connection.%' order by id")]
    assert [one.get("token") for one in told] == ["new", "as before", "none", None]
    assert "t-secret-1" not in json.dumps(told)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"name": ""}, {"name"}),
        ({"name": "Big Lab"}, {"name"}),
        ({"url": "ftp://lab.example"}, {"url"}),
        ({"url": "https://"}, {"url"}),
        ({"url": "https://me:pw@lab.example/"}, {"url"}),
        ({"url": "https://lab.example/a?b=c"}, {"url"}),
        ({"url": "https://lab.example/a/%2e%2e/b"}, {"url"}),
        ({"url": "https://lab.example/" + "x" * 500}, {"url"}),
        ({"url": "https://[broken"}, {"url"}),
        ({"token": "two\nlines"}, {"token"}),
        ({"token": "x" * 2001, "url": "no"}, {"token", "url"}),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_kept(
    visitor: People, given: dict[str, str], wrong: set[str]
) -> None:
    assert set(said(keep(visitor("admin"), 422, **given))) == wrong
    assert await value("select count(*) from connection") == 0


async def test_a_name_is_taken_once_whoever_is_faster(visitor: People) -> None:
    people = visitor("admin"), visitor("admin")

    def add(person: Visitor) -> Any:
        return person.browser.post("/connections", data={**LAB, "csrf_token": person.token})

    answers = at_once(*(partial(add, person) for person in people))
    assert sorted(one.status_code for one in answers) == [303, 409]


async def test_one_of_the_settings_is_shown_and_not_changed(visitor: People, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = visitor("admin")
    keep(admin)
    fixed = {"lab": {"url": "https://fixed.example", "token": "of-the-settings"}}
    monkeypatch.setenv("DAMS_FLOW__CONNECTIONS", json.dumps(fixed))
    settings.cache_clear()
    assert await token() == "of-the-settings"
    page = admin.get("/connections").text
    assert ["fixed.example" in page, "lab.example" in page, "in the settings" in page] == [True, False, True]
    refused = keep(admin, 409)
    assert "stands in the settings" in refused.text


async def test_who_changes_second_is_told_so(visitor: People) -> None:
    admin = visitor("admin")
    keep(admin)
    admin.post("/connections/lab", url="https://lab.example/v2", revision="1")
    assert "changed or removed" in admin.post("/connections/lab", 409, url="https://lab.example/v3", revision="1").text
    assert "changed or removed" in admin.post("/connections/lab/remove", 409, revision="1").text
    assert await value("select url from connection") == "https://lab.example/v2"


async def test_a_token_does_not_follow_to_another_server(visitor: People) -> None:
    admin = visitor("admin")
    keep(admin)
    assert set(said(admin.post("/connections/lab", 422, url="https://elsewhere.example", revision="1"))) == {"token"}
    admin.post("/connections/lab", url="https://elsewhere.example", token="another", revision="1")
    assert await token() == "another"


async def test_a_token_of_a_lost_key_is_not_used_and_the_page_says_what_to_do(visitor: People) -> None:
    admin = visitor("admin")
    keep(admin)
    async with transaction() as session:
        await session.execute(text("update connection set token = token || 'x'::bytea"))
    assert "enter it again" in admin.get("/connections").text
    async with reading() as session:
        assert await connections.known(session) == {}


async def test_only_an_administrator_changes_them_and_ops_look(visitor: People) -> None:
    ops = visitor("ops")
    assert not html.fromstring(ops.get("/connections").text).xpath("//form[contains(@action, 'connections')]")
    keep(ops, 403)
    visitor("staff").get("/connections", 403)


async def test_a_model_may_call_what_the_page_allows_from_then_on(
    visitor: People, caller: Callable[[str], Caller]
) -> None:
    admin, modeler = visitor("admin"), caller("modeler")
    admin.post("/connections", name="lab", url=LAB["url"])
    refused = modeler.deploy(CALL, 422)
    assert [(one["rule"], one["element_id"]) for one in refused["problems"]] == [("job-inputs", "job")]
    admin.post("/connections/lab", url=LAB["url"], models="yes", revision="1")
    modeler.deploy(CALL)


def test_the_form_shows_what_is_kept(visitor: People) -> None:
    admin = visitor("admin")
    keep(admin)
    page = html.fromstring(admin.get("/connections/lab").text)
    assert page.xpath("//input[@type='checkbox'][@checked]/@name") == ["models"]
    assert page.xpath("string(//input[@name='url']/@maxlength)") == "500"
