"""One Airflow for the whole test run, its environment made and its parts started when the first test asks for it. Its
processes belong to the first process of the run, so they outlive the worker that asked and die with the run.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from app.core.lifetime import die_with_parent
from app.core.root import ROOT
from app.dev import airflow
from app.dev.state import free_ports

SECONDS = 420
SECRETS = {name: f"{name}-for-tests-only-".ljust(43, "0") for name in airflow.SECRETS}
QUICK = {
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",  # the tests say when it begins
    "AIRFLOW__CORE__DEFAULT_TASK_RETRIES": "0",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "600",
}


class OnDemand:
    """Waits for the file `wanted` in its folder, starts Airflow and writes `address` there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._stop = threading.Event()
        # The kernel ends a child with the thread that made it, so the thread stays until the end.
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not (self.folder / "wanted").exists():
            if self._stop.wait(0.1):
                return
        try:
            airflow.install()
            (port,) = free_ports(1)
            processes = start(self.folder, port)
        except Exception as error:
            (self.folder / "failed").write_text(f"{error!r} {getattr(error, 'stderr', '')}")
            raise
        new = self.folder / ".address"
        new.write_text(f"http://127.0.0.1:{port}")
        new.rename(self.folder / "address")
        self._stop.wait()
        end(processes)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)


def start(folder: Path, port: int) -> list[subprocess.Popen[bytes]]:
    """Every part of it on *port*, with its data in *folder*; none is ready yet."""
    given = os.environ | airflow.environment(folder, port, SECRETS) | QUICK | {"PYTHONPATH": str(ROOT)}
    airflow.write_passwords(folder, SECRETS)
    subprocess.run(airflow.command("db", "migrate"), env=given, cwd=folder, capture_output=True, check=True)
    with (folder / "log").open("ab") as log:
        return [
            subprocess.Popen(
                airflow.command(part),
                env=given,
                cwd=folder,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )
            for part in airflow.PARTS
        ]


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address(folder: Path) -> str:
    """Where the run's Airflow is, from the moment it has read its DAGs; one that does not come up fails the run.

    While tests are written, `DAMS_TEST_AIRFLOW` names one that stays.
    """
    if given := os.environ.get("DAMS_TEST_AIRFLOW"):
        return given
    (folder / "wanted").touch()
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if (folder / "failed").exists():
            pytest.exit(f"Airflow did not start: {(folder / 'failed').read_text()}", 3)
        if (folder / "address").exists() and _is_ready(found := (folder / "address").read_text()):
            return found
        time.sleep(0.3)
    pytest.exit(f"Airflow did not come up in {SECONDS} s", 3)


def _is_ready(where: str) -> bool:
    if not airflow.is_alive(where, "scheduler"):
        return False
    with admin(where) as client:
        return client.get("/dags/report_login_count").status_code == 200


def admin(where: str) -> httpx.Client:
    """Airflow's API as its administrator."""
    secret = {"username": airflow.KEEPER, "password": SECRETS[airflow.KEEPER]}
    token = httpx.post(f"{where}/auth/token", json=secret, timeout=60).raise_for_status().json()["access_token"]
    return httpx.Client(base_url=f"{where}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=60)
