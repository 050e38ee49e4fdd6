"""A case that is followed: what changes is told to whoever looks at it, and to nobody else."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import pytest

from app.web.rsgi import AT_ONCE
from app.web.views import cases
from tests.conftest import PASSWORD_OF_ALL
from tests.serving import Served, serving, visit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def web(clinic_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(clinic_template, tmp_path_factory.mktemp("mail")) as served:
        yield served


@contextlib.contextmanager
def reader(web: Served, username: str) -> Generator[httpx.Client]:
    with httpx.Client(base_url=web.url, timeout=150, limits=httpx.Limits(max_connections=None)) as browser:
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/login").text)
        given = {"csrf_token": token[1] if token else "", "username": username, "password": PASSWORD_OF_ALL}
        browser.post("/login", data=given)
        yield browser


def shown(browser: httpx.Client, case: str) -> str:
    """The state that the page of a case follows from."""
    found = re.search(r'data-follow="[^"]*known=([^"&]+)"', browser.get(f"/cases/{case}").raise_for_status().text)
    assert found is not None
    return found[1]


@contextlib.contextmanager
def followed(browser: httpx.Client, case: str, known: str, last: str = "") -> Generator[Iterator[str]]:
    """The lines that come, beginning with how soon a browser asks again."""
    headers = {"Last-Event-ID": last} if last else {}
    with browser.stream("GET", f"/cases/{case}/changes", params={"known": known}, headers=headers) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        yield lines


def told(lines: Iterator[str]) -> str:
    """The id of the next change."""
    return next(line for line in lines if line.startswith("id: ")).removeprefix("id: ")


def go_on(web: Served, instance: dict[str, object]) -> None:
    tasks = instance["tasks"]
    assert isinstance(tasks, list)
    web.complete(tasks[0]["id"], **next(iter(visit().values())))


def test_what_happens_elsewhere_is_told_and_what_came_in_between_is_not_lost(web: Served) -> None:
    instance = web.start()
    case = instance["case"]
    with reader(web, "staff") as browser:
        before = shown(browser, case)
        with followed(browser, case, before) as lines:
            go_on(web, instance)
            first = told(lines)
        assert first == shown(browser, case) != before
        other = web.start()
        with followed(browser, case, before, last=first), followed(browser, other["case"], "") as lines:
            assert told(lines) == shown(browser, other["case"])
        web.call("DELETE", f"/instances/{instance['id']}", json={"reason": "moved"})
        with followed(browser, case, before, last=first) as lines:  # the cut fell between the two
            assert told(lines) == shown(browser, case) != first


def test_nobody_follows_what_they_may_not_see(web: Served) -> None:
    case = web.start()["case"]
    with reader(web, "patient") as browser:
        assert browser.get(f"/cases/{case}/changes").status_code == 404
    assert httpx.get(f"{web.url}/cases/{case}/changes", timeout=60).status_code == 302


def test_those_who_look_take_nobodys_turn(web: Served) -> None:
    case = web.start()["case"]
    with reader(web, "staff") as browser, contextlib.ExitStack() as stack:
        known = shown(browser, case)
        for _ in range(AT_ONCE + 4):
            stack.enter_context(followed(browser, case, known))
        assert browser.get("/home").status_code == 200


async def test_who_only_looks_is_not_kept_signed_in(web: Served) -> None:
    case = web.start()["case"]
    aged = "update web_session set seen_at = seen_at - interval '10 min', expires_at = expires_at - interval '10 min'"
    ends = "select max(expires_at) from web_session"
    with reader(web, "staff") as browser:
        known = shown(browser, case)
        await web.rows(aged)
        before = await web.rows(ends)
        with followed(browser, case, known):
            browser.get(f"/cases/{case}", headers={"DAMS-Unattended": "yes"})
            assert await web.rows(ends) == before
        browser.get(f"/cases/{case}")
        assert await web.rows(ends) != before


def test_a_web_that_stops_lets_go_of_those_who_look(clinic_template: str, tmp_path: Path) -> None:
    with serving(clinic_template, tmp_path) as own, reader(own, "staff") as browser:
        case = own.start()["case"]
        with followed(browser, case, shown(browser, case)) as lines:
            began = time.monotonic()
            own.process.send_signal(signal.SIGTERM)
            assert [line for line in lines if line.startswith("id:")] == []  # it ends, and is whole
        assert own.process.wait(60) == 0
        assert time.monotonic() - began < cases.STREAM_SECONDS
