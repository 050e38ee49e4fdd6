"""The OpenAPI document keeps its word: on a running web, whatever is sent gets a documented answer and never a 5xx."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import PASSWORD_OF_ALL
from tests.serving import API, Served, serving

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
SECONDS = "50"
TIMEOUT = 150
"""Of each call, in seconds: how long an answer takes tells about the machine."""
BY_AN_ENGINE = (
    *("/login/user/add", "/login/list/count", "/admin/doc/stats", "/admin/reports/create"),
    *("/appointment/doctor", "/appointment/details", "/appointment/close", "/appointment/schedule"),
    *("/appointment/arrival", "/appointment/absence", "/subscribe", "/unsubscribe", "/get_details"),
    *("/diagnosis/bpmn/deploy", "/diagnosis/analysis/text", "/diagnosis/analysis/start"),
    *(f"{API}/schedules{path}" for path in ("", "/{name}", "/{name}/pause", "/{name}/resume", "/{name}/run")),
)
"""Without Celery, Temporal or Zeebe these answer 503, as documented; the tests of each engine ask them with it."""
SIGN_OUT = (f"{API}/token",)
"""Whoever calls this is refused from then on, so nothing behind it would be reached."""
HOOKS = """
import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    names = case.path_parameters or {}
    if names.get("username") == "admin":
        names["username"] = "staff"
"""
"""The account that asks keeps its password, its roles and its token: other answers give its name away, and who has
closed it is refused from then on."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def web(clinic_template: str, tmp_path: Path) -> Iterator[Served]:
    with serving(clinic_template, tmp_path) as served:
        yield served


def test_whatever_is_sent_gets_a_documented_answer(web: Served, tmp_path: Path) -> None:
    given = {"username": "admin", "password": PASSWORD_OF_ALL}
    token = httpx.post(f"{web.url}{API}/token", json=given, timeout=TIMEOUT).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    command = [str(Path(sysconfig.get_path("scripts")) / "schemathesis"), "run", f"{web.url}{API}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {token}", "--checks", CHECKS, "--max-time", SECONDS]
    command += ["--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color"]
    command += ["--request-timeout", str(TIMEOUT), "--suppress-health-check", "too_slow"]
    command += [part for path in (*BY_AN_ENGINE, *SIGN_OUT) for part in ("--exclude-path", path)]
    (tmp_path / "hooks.py").write_text(HOOKS)
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    # Each call is also made without the token, so a 401 in the report is none of ours as long as this one is not.
    assert httpx.get(f"{web.url}{API}/tasks", headers=bearer, timeout=TIMEOUT).status_code == 200, (
        "the token was lost on the way"
    )


def test_the_document_describes_every_call_and_every_status_that_people_rely_on(web: Served) -> None:
    document = httpx.get(f"{web.url}{API}/openapi.json", timeout=TIMEOUT).json()
    assert document["openapi"].startswith("3.1")
    complete = document["paths"][f"{API}/tasks/{{task_id}}/complete"]["post"]
    assert {"200", "400", "401", "404", "409", "413", "422", "503", "504"} <= set(complete["responses"])
    problem = document["components"]["schemas"]["ProblemDocument"]
    assert {"type", "title", "status", "detail", "code"} <= set(problem["required"])
    assert "POST" in httpx.get(f"{web.url}{API}/docs", timeout=TIMEOUT).text
