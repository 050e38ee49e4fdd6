"""The Airflow of the test run: an environment from its hashed lock, a database of its own on the run's PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from app.core.lifetime import die_with_parent
from app.core.root import ROOT
from app.dev import airflow
from app.dev.postgres import Cluster
from app.dev.state import free_ports
from tests import ondemand

SECONDS = 900
"""Also where its packages come over a slow line, on two cores that everybody wants."""
SECRETS = {name: f"{name}-for-tests-only-".ljust(43, "0") for name in airflow.SECRETS}
QUICK = {
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",  # the tests say when it begins
    "AIRFLOW__CORE__DEFAULT_TASK_RETRIES": "0",
    "AIRFLOW__CORE__PARALLELISM": "2",
}


def begin(folder: Path, cluster: Cluster) -> ondemand.Started:
    """Every part of it, with a copy of the DAGs that tests may add to; none is ready yet."""
    airflow.install()
    (port,) = free_ports(1)
    asyncio.run(airflow.create_database(cluster, SECRETS))
    shutil.copytree(airflow.DAGS, dags(folder), ignore=shutil.ignore_patterns("__pycache__"))
    airflow.write_passwords(folder, SECRETS)
    given = environment(folder, port, cluster)
    subprocess.run(airflow.command("db", "migrate"), env=given, cwd=folder, capture_output=True, check=True)
    with (folder / "log").open("ab") as log:
        return f"http://127.0.0.1:{port}", [
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


def environment(folder: Path, port: int, cluster: Cluster) -> dict[str, str]:
    given = airflow.environment(folder, port, airflow.database(cluster, folder, SECRETS), SECRETS) | QUICK
    return os.environ | given | {"AIRFLOW__CORE__DAGS_FOLDER": str(dags(folder)), "PYTHONPATH": str(ROOT)}


def dags(folder: Path) -> Path:
    return folder / "dags"


def address(folder: Path) -> str:
    """Where the run's Airflow is, from the moment it has read its DAGs; one that does not come up fails the run."""
    found = ondemand.address(folder, SECONDS)
    deadline = time.monotonic() + SECONDS
    while not _is_ready(found):
        if time.monotonic() > deadline:
            pytest.exit(f"Airflow did not come up in {SECONDS} s", 3)
        time.sleep(0.3)
    return found


def _is_ready(where: str) -> bool:
    if not airflow.is_alive(where, "scheduler"):
        return False
    try:
        with admin(where) as client:
            return client.get("/dags/report_login_count").status_code == 200
    except httpx.HTTPError:  # alive, and too busy to say more
        return False


def admin(where: str) -> httpx.Client:
    """Airflow's API as its administrator."""
    secret = {"username": airflow.KEEPER, "password": SECRETS[airflow.KEEPER]}
    token = httpx.post(f"{where}/auth/token", json=secret, timeout=200).raise_for_status().json()["access_token"]
    return httpx.Client(base_url=f"{where}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=200)
