"""Celery's settings have one source, and those that would lose or double work are refused."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.core.lifetime import die_with_parent
from app.core.settings import Settings, settings
from app.dev import redis
from app.dev.state import free_ports
from tests.celery.conftest import Clinic, value
from tests.conftest import PASSWORD, wait_for


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        preexec_fn=die_with_parent,
    )


@pytest.mark.engine
@pytest.mark.xdist_group("celery")
async def test_inspect_conf_equals_the_settings(clinic: Clinic) -> None:
    pid = await value("select pid from worker_heartbeat where kind = 'celery'")
    command = ["-m", "celery", "-A", "workers.celery_app", "inspect", "conf", "--json", "--timeout", "100"]
    command += ["--destination", f"dams-{pid}@{socket.gethostname()}"]  # else it waits its whole time for others
    done = await asyncio.to_thread(run, command, {})
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = next(iter(json.loads(done.stdout).values()))
    wanted = settings().celery.model_dump()
    for name in ("broker_url", "result_backend"):  # Celery hides the password that it has
        wanted[name], said[name] = wanted[name].rpartition("@")[2], said[name].rpartition("@")[2]
    assert {name: said.get(name) for name in wanted} == wanted


def test_a_task_that_may_outlast_its_visibility_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_CELERY__TASK_TIME_LIMIT", "60")
    with pytest.raises(ValidationError, match="visibility_timeout"):
        Settings()


@pytest.mark.parametrize(
    ("name", "value"), [("ACCEPT_CONTENT", '["pickle"]'), ("TASK_SERIALIZER", "pickle"), ("RESULT_EXPIRES", "3600")]
)
def test_pickle_and_short_lived_results_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"DAMS_CELERY__{name}", value)
    with pytest.raises(ValidationError):
        Settings()


def test_no_wait_of_a_task_is_longer_than_its_visibility() -> None:
    from workers.tasks import _wait

    vt = settings().celery.broker_transport_options.visibility_timeout
    assert max(_wait(tries) for tries in range(50)) < vt


@pytest.mark.engine
def test_a_worker_refuses_a_redis_that_forgets_its_queue(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    command = redis.command(port, tmp_path, PASSWORD)
    settings_file = Path(command[1])
    settings_file.write_text(settings_file.read_text().replace("appendonly yes", "appendonly no"))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent) as server:
        try:
            wait_for("Valkey", lambda: redis.answers(port, PASSWORD), server)
            url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
            where = {"DAMS_CELERY__BROKER_URL": url, "DAMS_CELERY__RESULT_BACKEND": url}
            done = run(["-m", "workers.celery_worker"], where)
        finally:
            server.terminate()
    assert done.returncode != 0
    assert "appendonly" in done.stderr
