"""The application on a database with the demo clinic; visitors with a browser's cookies, callers with a token."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import html
from redis import Redis
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.clinic import accounts
from app.core.loop import loop_thread
from app.core.settings import settings
from app.db.session import reading
from app.engines import broker
from app.web import throttle
from app.web.factory import create_app
from tests.conftest import CHEAP_HASHES, PASSWORD, PASSWORD_OF_ALL, REDIS, own_database
from tests.days import MONDAY
from tests.serving import application

API = "/api/v1"
APPOINTMENT = "Process_ApptDams01"
ENTRIES: dict[str, dict[str, Any]] = {
    "Activity_SpecialDoc": {"specialization": "Cardiology"},
    "Activity_SelectDoc": {"docid": "HSP-200"},
    "Activity_SchedForm": {"date_scheduled": MONDAY.isoformat(), "time_scheduled": "10:30"},
    "Activity_PatientDet": {"patientid": 7, "ticketid": "T-100", "priority_level": 2},
}
"""What the four forms of an appointment are filled with, by the id of their task."""


@pytest.fixture
async def database_url(monkeypatch: pytest.MonkeyPatch, clinic_template: str, _settings: None) -> AsyncIterator[str]:
    """A database of the test's own with the demo clinic and the shipped models."""
    async with own_database(monkeypatch, clinic_template) as url:
        yield url


@pytest.fixture
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch, _settings: None) -> Iterator[None]:
    """argon2 with as little work as it takes, for the accounts of the template and of this test."""
    for name, given in CHEAP_HASHES.items():
        monkeypatch.setenv(name, given)
    settings.cache_clear()
    forget_hashes()
    yield
    forget_hashes()


def forget_hashes() -> None:
    """The next password is hashed with the settings of that moment."""
    accounts.hasher.cache_clear()
    accounts._nobody.cache_clear()


@pytest.fixture
def _counts(monkeypatch: pytest.MonkeyPatch, worker_id: str, _settings: None) -> Iterator[None]:
    """Sign-in attempts of this test only: a database of Valkey per worker, emptied."""
    number = int(worker_id.removeprefix("gw")) % 15 + 1 if worker_id.startswith("gw") else 15
    url = f"redis://:{PASSWORD}@127.0.0.1:{os.environ[REDIS]}/{number}"
    with Redis.from_url(url) as valkey:
        valkey.flushdb()
    monkeypatch.setenv("DAMS_REDIS__URL", url)
    monkeypatch.setenv("DAMS_SECURITY__SIGN_IN_WINDOW_SECONDS", "3600")  # no test takes so long
    for limit in (
        "app.web.throttle.ANSWER_SECONDS",
        "app.engines.health.LIMIT",
        "app.engines.operations.ANSWER_SECONDS",
    ):
        monkeypatch.setattr(limit, 60.0)  # the server answers, on a busy machine too
    monkeypatch.setenv("DAMS_CELERY__BROKER_URL", "redis://127.0.0.1:1/0")  # no worker works for these tests
    monkeypatch.setenv("DAMS_PIPELINES__ANSWER_SECONDS", "0.1")
    settings.cache_clear()
    broker.forget()  # a client has the broker of the settings that it was made with, here and in the tests after this
    yield
    broker.forget()
    loop_thread.run(throttle.forget())


@pytest.fixture
def app(database_url: str, _counts: None, _cheap_hashes: None, request: pytest.FixtureRequest) -> Flask:
    return create_app() if request.node.get_closest_marker("own_app") else application()


class Visitor:
    """Somebody with a browser: keeps cookies, and sends each form with the token that the pages carry."""

    def __init__(self, app: Flask) -> None:
        self.browser: FlaskClient = app.test_client()
        self.token = ""

    def get(self, path: str, status: int = 200, **further: Any) -> TestResponse:
        answer = self.browser.get(path, **further)
        assert answer.status_code == status, (path, answer.status, answer.text[:2000])
        return answer

    def post(self, path: str, status: int = 303, **fields: Any) -> TestResponse:
        """Send a form of ours; a list is a field that occurs several times."""
        if not self.token:
            self.token = html.fromstring(self.get("/login").text).xpath("string(//input[@name='csrf_token']/@value)")
        answer = self.browser.post(path, data={"csrf_token": self.token, **fields})
        assert answer.status_code == status, (path, answer.status, answer.text[:2000])
        return answer

    def sign_in(
        self, username: str, password: str = PASSWORD_OF_ALL, status: int = 303, **further: str
    ) -> TestResponse:
        answer = self.post("/login", status, username=username, password=password, **further)
        if status == 303:
            page = html.fromstring(self.get("/home").text)
            self.token = page.xpath("string(//input[@name='csrf_token']/@value)")
        return answer


class Caller:
    """A program with a bearer token."""

    def __init__(self, app: Flask, username: str) -> None:
        self.client: FlaskClient = app.test_client()
        given = {"username": username, "password": PASSWORD_OF_ALL}
        issued = self.client.post(f"{API}/token", json=given)
        assert issued.status_code == 200, issued.text
        self.token: str = issued.get_json()["access_token"]

    def __call__(self, method: str, path: str, status: int = 200, key: str = "", **further: Any) -> Any:
        """The JSON of the answer; a problem is checked to be a problem document."""
        answer = self.ask(method, path, key, **further)
        assert answer.status_code == status, (method, path, answer.status, answer.text[:2000])
        if status >= 400:
            assert answer.content_type == "application/problem+json"
            assert answer.get_json(force=True)["status"] == status
        return answer.get_json(force=True)

    def ask(self, method: str, path: str, key: str = "", **further: Any) -> TestResponse:
        return self.open(method, API + path, key, **further)

    def open(self, method: str, path: str, key: str = "", **further: Any) -> TestResponse:
        """Ask one of the specification's own paths, which have no prefix."""
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Idempotency-Key": key} if key else {})
        return self.client.open(path, method=method, headers=headers, **further)

    def start(self, process_id: str = APPOINTMENT, **body: Any) -> Any:
        return self("POST", f"/models/{process_id}/instances", 201, json=body)

    def complete(self, task_id: str, status: int = 200, key: str = "", **variables: Any) -> Any:
        return self("POST", f"/tasks/{task_id}/complete", status, key, json={"variables": variables})

    def deploy(self, content: bytes, status: int = 201, name: str = "model.bpmn", **fields: str) -> Any:
        return self("POST", "/deployments", status, data={"file": upload(content, name), **fields})


def upload(content: bytes, name: str = "model.bpmn") -> Any:
    """A file of a multipart form, for the test client."""
    from io import BytesIO

    return (BytesIO(content), name)


@pytest.fixture
def visitor(app: Flask) -> Callable[[str], Visitor]:
    """Makes a visitor; with a user name, one who has signed in."""

    def make(username: str = "") -> Visitor:
        made = Visitor(app)
        if username:
            made.sign_in(username)
        return made

    return make


@pytest.fixture
def caller(app: Flask) -> Callable[[str], Caller]:
    return lambda username: Caller(app, username)


async def value(sql: str, **given: Any) -> Any:
    """One value from the test's database."""
    async with reading() as session:
        return await session.scalar(text(sql), given)


async def rows(sql: str, **given: Any) -> list[Any]:
    async with reading() as session:
        return list((await session.execute(text(sql), given)).all())


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls give when they run at the same time, each in a thread of its own."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(calls)) as threads:
        return [running.result() for running in [threads.submit(call) for call in calls]]


def some_id() -> str:
    return str(uuid4())
