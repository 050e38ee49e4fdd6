"""Steps of native flows: HTTP with an expected status, values shared, templated parameters, branches side by side."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from app.core.settings import settings
from temporal.activities.steps import filled, run_step
from temporal.workflows.flow import Call, Step
from tests.temporal.branches import ended, failure, run_flow
from tests.temporal.conftest import value


class Clinic(BaseHTTPRequestHandler):
    """A server with the two addresses that the report asks, and one that is broken."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(f"{self.path} {self.headers.get('Authorization')}")
        path = urlsplit(self.path)
        answers: dict[str, tuple[int, Any]] = {
            "/login/list/all": (200, {"records": [1, 2, 3]}),
            "/login/list/none": (200, {"records": []}),
            "/login/report/count": (201, {"message": f"{parse_qs(path.query).get('login_count')} users"}),
        }
        status, body = answers.get(path.path, (500, {}))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's names
        """Nothing."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the server was asked; the connection `dams` names it, with a token."""
    found: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Clinic,), {"asked": found}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    connection = {"dams": {"url": f"http://127.0.0.1:{server.server_port}", "token": "a-token"}}
    monkeypatch.setenv("DAMS_FLOW__CONNECTIONS", json.dumps(connection))
    settings.cache_clear()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def report(path: str = "/login/list/all", expects: int = 200) -> dict[str, Any]:
    steps = [
        {"id": "list_all_login", "kind": "http", "given": {"path": path, "expects": expects}},
        {
            "id": "count_login",
            "kind": "count",
            "given": {"of": "list_all_login"},
            "shares": "records",
            "after": ["list_all_login"],
        },
        {
            "id": "report_count",
            "kind": "http",
            "given": {"path": "/login/report/count", "query": {"login_count": "{records}"}, "expects": 201},
            "shares": "report_msg",
            "after": ["count_login"],
        },
    ]
    return {"flow": "report", "steps": steps}


@pytest.mark.engine
async def test_values_pass_between_steps_and_fill_the_parameters_of_a_call(
    skipping: WorkflowEnvironment, asked: list[str]
) -> None:
    found = await ended(await run_flow(skipping, report()))
    assert found["message"] == str({"message": "['3'] users"})
    assert asked == ["/login/list/all Bearer a-token", "/login/report/count?login_count=3 Bearer a-token"]


@pytest.mark.engine
@pytest.mark.parametrize(
    ("path", "expects", "why"),
    [
        ("/broken", 200, "Step list_all_login: the answer was 500, not 200"),
        ("/login/list/all", 201, "Step list_all_login: the answer was 200, not 201"),
        ("/login/list/none", 200, "Step count_login: there is nothing to count"),
    ],
)
async def test_an_unexpected_status_or_no_data_fails_the_step_and_the_run(
    skipping: WorkflowEnvironment, asked: list[str], path: str, expects: int, why: str
) -> None:
    handle = await run_flow(skipping, report(path, expects))
    cause = await failure(handle)
    assert isinstance(cause, ApplicationError)
    assert cause.message == why
    assert await value("select status from engine_run") == "failed"
    assert await value("select message from incident") == why
    assert not any("report/count" in one for one in asked)


async def test_a_step_without_its_connection_or_of_an_unknown_kind_fails() -> None:
    for step, why in (
        (Step("a", "http", {"connection": "nowhere", "path": "/"}), "no connection 'nowhere'"),
        (Step("a", "shell", {}), "no kind of step 'shell'"),
    ):
        with pytest.raises(ApplicationError, match=why):
            await ActivityEnvironment().run(run_step, Call(step, {}))


def test_only_named_values_are_filled_in() -> None:
    given = {"a": "{x}-{y}", "b": {"c": "{x}"}, "d": 5}
    assert filled(given, {"x": 3, "z": [1]}) == {"a": "3-{y}", "b": {"c": "3"}, "d": 5}
