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
from app.db.session import transaction
from app.engines import connections, flows, workflows
from app.engines.connections import Given
from temporal.activities.steps import filled, run_step
from temporal.workflows.flow import Call, Step
from tests.temporal.branches import ended, failure, run_flow
from tests.temporal.conftest import person, value, visitor
from tests.temporal.test_schedules import sent
from tests.waiting import SECONDS, until

SIDES = ("left", "right")


class Clinic(BaseHTTPRequestHandler):
    """A server with the two addresses that the report asks, one that is broken, one that was mended once the word
    stands in `asked`, and two that answer only when both are asked at the same time.
    """

    asked: list[str]
    both: threading.Barrier

    def do_GET(self) -> None:
        self.asked.append(f"{self.path} {self.headers.get('Authorization')}")
        path = urlsplit(self.path)
        if path.path.startswith("/side/"):
            self.both.wait(SECONDS)
        answers: dict[str, tuple[int, Any]] = {
            "/login/list/all": (200, {"records": [1, 2, 3]}),
            "/login/list/none": (200, {"records": []}),
            "/login/list/mended": (200 if "mended" in self.asked else 500, {"records": [1, 2]}),
            "/side/left": (200, "left"),
            "/side/right": (200, "right"),
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
    bound = type("Bound", (Clinic,), {"asked": found, "both": threading.Barrier(2)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), bound)
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


def told(count: str) -> str:
    """What the report says where the server was asked for *count* logins."""
    return str({"message": f"{[count]} users"})


@pytest.mark.engine
async def test_values_pass_between_steps_and_fill_the_parameters_of_a_call(
    skipping: WorkflowEnvironment, asked: list[str]
) -> None:
    found = await ended(await run_flow(skipping, report()))
    assert found["message"] == told("3")
    assert asked == ["/login/list/all Bearer a-token", "/login/report/count?login_count=3 Bearer a-token"]


@pytest.mark.engine
async def test_a_step_calls_a_connection_that_is_kept_on_the_page(
    skipping: WorkflowEnvironment, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = settings().flow.connections["dams"].url
    monkeypatch.delenv("DAMS_FLOW__CONNECTIONS")
    settings.cache_clear()
    admin = await person("admin")
    async with transaction() as session:
        await connections.add(session, admin, "dams", Given(url, "kept-token"))
    assert (await ended(await run_flow(skipping, report())))["message"] == told("3")
    assert asked[0] == "/login/list/all Bearer kept-token"


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


@pytest.mark.engine
async def test_branches_run_side_by_side_and_meet_again(skipping: WorkflowEnvironment, asked: list[str]) -> None:
    steps = [
        {"id": "begin", "kind": "nothing"},
        *({"id": side, "kind": "http", "given": {"path": f"/side/{side}"}, "after": ["begin"]} for side in SIDES),
        {
            "id": "meet",
            "kind": "message",
            "given": {"text": "{left} and {right}"},
            "shares": "report_msg",
            "after": [*SIDES],
        },
    ]
    found = await ended(await run_flow(skipping, {"flow": "fan-out", "steps": steps}))
    assert found["message"] == "left and right"
    assert (found["steps"][0], set(found["steps"][1:3]), found["steps"][3]) == ("begin", {*SIDES}, "meet")


@pytest.mark.engine
@pytest.mark.usefixtures("workers")
async def test_a_failed_run_is_tried_again_from_the_ops_page_and_ends_well(asked: list[str]) -> None:
    given = report("/login/list/mended")
    async with transaction() as session:
        run_id = await workflows.ask(session, flows.WORKFLOW, flows.QUEUE, given, name="report")
    await sent()
    incident = "select id from incident where run_id = :id and resolved_at is null"
    await until(lambda: value(incident, id=run_id))
    ops = await visitor("ops")
    page = (await ops.get("/ops")).text
    assert "Step list_all_login: the answer was 500, not 200" in page
    retry = f"/ops/incidents/{await value(incident, id=run_id)}/retry"
    assert f'action="{retry}"' in page
    asked.append("mended")
    assert (await ops.post(retry)).status_code == 303
    await sent()
    await until(lambda: value("select 1 from engine_run where id = :id and status = 'completed'", id=run_id))
    assert await value(incident, id=run_id) is None
    assert await value("select result ->> 'message' from engine_run where id = :id", id=run_id) == told("2")
    assert await value("select count(*) from engine_run") == 1


@pytest.mark.usefixtures("database_url")
async def test_a_step_without_its_connection_or_of_an_unknown_kind_fails() -> None:
    for step, why in (
        (Step("a", "http", {"connection": "nowhere", "path": "/"}), "no connection 'nowhere'"),
        (Step("a", "rocket", {}), "no kind of step 'rocket'"),
    ):
        with pytest.raises(ApplicationError, match=why):
            await ActivityEnvironment().run(run_step, Call(step, {}))


async def done(kind: str, shared: dict[str, Any] | None = None, **given: Any) -> Any:
    """What one step gives, outside of any workflow."""
    return await ActivityEnvironment().run(run_step, Call(Step("a", kind, given), shared or {}))


async def test_a_python_step_runs_in_the_sandbox_on_the_shared_values() -> None:
    assert await done("python", {"records": 3}, script="result = records * 2") == 6
    for script in ("import os", "result = 1 / 0", "open('x')"):
        with pytest.raises(ApplicationError, match="did not end well"):
            await done("python", script=script)


@pytest.mark.usefixtures("clinic")
async def test_a_query_step_reads_rows_and_can_write_nothing() -> None:
    query = "select username, created_at from login where username = :name"
    (row,) = await done("sql", {"name": "ops", "other": 1}, query=query)
    assert (row["username"], row["created_at"][:2]) == ("ops", "20")
    before = await value("select count(*) from login")
    for query in ("delete from login", "select secret from nowhere", "select nothing"):
        with pytest.raises(ApplicationError, match="the query was refused"):
            await done("sql", query=query)
    assert await value("select count(*) from login") == before


@pytest.mark.usefixtures("clinic")
async def test_a_mail_step_sends_once_however_often_it_is_tried() -> None:
    for _ in range(2):
        await done("mail", {"n": 7}, to=["ops@demo.example"], subject="{n} users", text="Good morning.")
    assert await value("select count(*) from outbox where kind = 'mail'") == 1
    assert await value("select payload ->> 'subject' from outbox where kind = 'mail'") == "7 users"


async def test_a_shell_step_is_off_until_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ApplicationError, match=r"flow\.shell"):
        await done("shell", command=["echo", "hello"])
    monkeypatch.setenv("DAMS_FLOW__SHELL", "true")
    settings.cache_clear()
    assert await done("shell", {"x": 1}, command=["echo", "{x}; hello"]) == "{x}; hello"
    with pytest.raises(ApplicationError, match="false ended with 1"):
        await done("shell", command=["false"])


def test_only_named_values_are_filled_in() -> None:
    given = {"a": "{x}-{y}", "b": {"c": "{x}"}, "d": 5}
    assert filled(given, {"x": 3, "z": [1]}) == {"a": "3-{y}", "b": {"c": "3"}, "d": 5}
