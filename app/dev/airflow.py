"""Airflow: an environment of its own from its own lock, three processes, a database of its own, passwords in a folder.

python -m app.dev.airflow                   makes the environment where it is missing or its lock has changed
.venv-airflow/bin/python -m app.dev.airflow scheduler    runs one part
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import runpy
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.lifetime import die_with_parent
from app.core.root import ROOT

if TYPE_CHECKING:  # Airflow's own environment does not hold what it needs
    from app.dev.postgres import Cluster

LOCK = ROOT / "requirements-airflow.lock"
FOLDER = ROOT / ".venv-airflow"
DAGS = ROOT / "workers/dags"
PARTS = ("api-server", "scheduler", "dag-processor")
SERVICE, KEEPER = "dams", "admin"
"""Who DAMS is in Airflow (may run DAGs), and whom ops sign in as on Airflow's own pages."""
ACCOUNT = "airflow"
"""Who Airflow's tasks are in DAMS."""
SECRETS = ("dams", "admin", "account", "jwt", "fernet", "database")
DATABASE = "airflow"
"""Of its database and of the role that owns it: Airflow cannot read what is DAMS'."""


def database(cluster: Cluster | None, folder: Path, secrets: Mapping[str, str]) -> str:
    """Airflow's database on *cluster*. Without one it is a file, which few should use at a time: SQLite's writers lock
    each other out, and a scheduler that is locked out ends.
    """
    if cluster is None:
        return f"sqlite:///{folder / 'airflow.db'}"
    return f"postgresql+psycopg2://{DATABASE}:{secrets['database']}@127.0.0.1:{cluster.port}/{DATABASE}"


async def create_database(cluster: Cluster, secrets: Mapping[str, str]) -> None:
    """Make its database and role unless they are there."""
    await cluster.create_role(DATABASE, secrets["database"])
    await cluster.create_database(DATABASE, owner=DATABASE)


def environment(folder: Path, port: int, database: str, secrets: Mapping[str, str]) -> dict[str, str]:
    """The settings of every part. *secrets* are those of :data:`SECRETS`, 43 characters each."""
    address = f"http://127.0.0.1:{port}"
    given = {
        "CORE__DAGS_FOLDER": str(DAGS),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__DEFAULT_TASK_RETRIES": "2",
        "CORE__DEFAULT_TASK_RETRY_DELAY": "5",
        "CORE__FERNET_KEY": secrets["fernet"] + "=",
        "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{KEEPER}:admin,{SERVICE}:user",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "DATABASE__SQL_ALCHEMY_CONN": database,
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": address,
        "API__WORKERS": "1",
        "API__SECRET_KEY": secrets["jwt"],
        "API_AUTH__JWT_SECRET": secrets["jwt"],
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {"AIRFLOW_HOME": str(folder)} | {f"AIRFLOW__{name}": value for name, value in given.items()}


def command(*arguments: str) -> list[str]:
    return [str(FOLDER / "bin/python"), "-m", "app.dev.airflow", *arguments]


def write_passwords(folder: Path, secrets: Mapping[str, str]) -> None:
    """The sign-ins, readable by the owner alone, as Airflow's simple auth manager reads them."""
    descriptor = os.open(folder / "passwords.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({name: secrets[name] for name in (SERVICE, KEEPER)}, file)


def is_installed() -> bool:
    """Whether the environment holds exactly what the lock names."""
    stamp = FOLDER / ".stamp"
    return stamp.exists() and stamp.read_text() == digest()


def install() -> None:
    """Make the environment. Two calls at once make it once. Raises CalledProcessError."""
    with (ROOT / ".venv-airflow-guard").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_installed():
            return
        uv = _uv()
        python = str(FOLDER / "bin/python")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(FOLDER)], check=True)
        # Compiled now: its three parts start at once, and each would compile everything for itself.
        sync = [uv, "pip", "sync", "--quiet", "--compile-bytecode", "--require-hashes", "--python", python]
        subprocess.run([*sync, str(LOCK)], check=True)
        (FOLDER / ".stamp").write_text(digest())


def _uv() -> str:
    """uv from PATH, else the one that `./dams` installed, else installed as it does."""
    if found := shutil.which("uv"):
        return found
    folder = ROOT / ".venv-uv"
    if not (folder / "bin/uv").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*pip, "-r", str(ROOT / "requirements-uv.lock")], check=True)
    return str(folder / "bin/uv")


def digest() -> str:
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def answers(address: str) -> bool:
    """Whether its API serves."""
    return _health(address) is not None


def is_alive(address: str, part: str) -> bool:
    """Whether Airflow has heard of its *part* (`scheduler`, `dag_processor`) of late."""
    found = _health(address) or {}
    return found.get(part, {}).get("status") == "healthy"


def _health(address: str) -> dict[str, dict[str, str]] | None:
    try:
        with urllib.request.urlopen(f"{address}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310 - loopback
            return json.load(answer)
    except (OSError, urllib.error.URLError, ValueError):
        return None


def run(arguments: list[str]) -> None:
    """Be one part of Airflow. What it forks dies with it: nothing outlives the supervisor."""
    os.register_at_fork(after_in_child=die_with_parent)
    sys.argv = ["airflow", *arguments]
    runpy.run_module("airflow", run_name="__main__")


if __name__ == "__main__":
    if sys.argv[1:]:
        run(sys.argv[1:])
        sys.exit()
    sys.stdout.write("installing the packages of requirements-airflow.lock\n")
    sys.stdout.flush()
    install()
