"""Async views in a synchronous server: many requests on a few connections, the person known in every view."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask, g
from sqlalchemy import text

from app import db
from app.core.loop import loop_thread
from app.core.settings import settings
from app.db.session import dispose, reading
from app.web.security import actor, signed_in
from tests.waiting import wait_until
from tests.web.conftest import Caller, Visitor, at_once

pytestmark = pytest.mark.own_app


@pytest.fixture
def _two_connections(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DAMS_DATABASE__POOL_SIZE", "2")
    settings.cache_clear()
    loop_thread.run(dispose())
    yield
    loop_thread.run(dispose())


async def in_use() -> int:
    return db.session.in_use()


@pytest.mark.usefixtures("_two_connections")
def test_many_requests_at_once_share_a_small_pool_without_an_error(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    """Flask's own bridge makes a loop for each call, on which no pooled connection works a second time."""
    staff, program = visitor("staff"), caller("staff")

    def ask() -> list[int]:
        pages = [staff.browser.get(path).status_code for path in ("/home", "/instances", "/login/form")]
        calls = [program.ask("GET", path).status_code for path in ("/tasks", "/models", "/nothing")]
        started = program.ask("POST", "/models/Process_ApptDams01/instances", json={}).status_code
        return [*pages, *calls, started]

    assert at_once(*[ask] * 20) == [[200, 200, 301, 200, 200, 404, 201]] * 20
    wait_until(lambda: loop_thread.run(in_use()) == 0)


def test_the_person_is_known_in_every_kind_of_view(app: Flask, visitor: Callable[[str], Visitor]) -> None:
    """A loader that runs first inside an async view would wait for the loop that it runs on."""

    @signed_in
    def plain() -> str:
        return f"{actor().username} {threading.current_thread().name == 'dams-loop'}"

    @signed_in
    async def on_the_loop() -> str:
        async with reading() as session:
            found = await session.scalar(text("select display_name from login where id = :id"), {"id": actor().id})
        return f"{actor().username} {threading.current_thread().name == 'dams-loop'} {found} {g.actor.id}"

    app.add_url_rule("/plain", view_func=plain)
    app.add_url_rule("/on-the-loop", view_func=on_the_loop)
    person = visitor("staff")
    assert person.get("/plain").text == "staff False"
    assert person.get("/on-the-loop").text.startswith("staff True Rosa Alvarez")
    stranger = app.test_client()
    assert [stranger.get(path).status_code for path in ("/plain", "/on-the-loop")] == [302, 302]


def test_a_view_that_takes_too_long_is_undone_and_answered(
    app: Flask, visitor: Callable[[str], Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.db.session import transaction

    @signed_in
    async def endless() -> str:
        async with transaction() as session:
            await session.execute(text("insert into candidate_group (name) values ('half-done')"))
            await session.execute(text("select pg_sleep(60)"))
        return "never"

    @signed_in
    async def groups() -> str:
        async with reading() as session:
            return str(await session.scalar(text("select count(*) from candidate_group where name = 'half-done'")))

    app.add_url_rule("/endless", view_func=endless)
    app.add_url_rule("/groups", view_func=groups)
    person = visitor("staff")
    monkeypatch.setenv("DAMS_WEB__VIEW_TIMEOUT_SECONDS", "2")
    settings.cache_clear()
    page = person.get("/endless", 504).text
    assert "what was begun has been undone" in page
    monkeypatch.setenv("DAMS_WEB__VIEW_TIMEOUT_SECONDS", "120")
    settings.cache_clear()
    assert person.get("/groups").text == "0"
    wait_until(lambda: loop_thread.run(in_use()) == 0)  # given back when the server has heard of the end


def test_a_view_that_calls_the_bridge_again_fails_loudly(app: Flask, visitor: Callable[[str], Visitor]) -> None:
    async def nothing() -> None: ...

    @signed_in
    async def nested() -> str:
        loop_thread.run(nothing())
        return "never"

    app.add_url_rule("/nested", view_func=nested)
    assert visitor("staff").get("/nested", 500)
