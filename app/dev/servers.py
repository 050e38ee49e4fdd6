"""Servers that `dams up` starts where none of one's own is named: PostgreSQL, Valkey, Temporal, Zeebe, mail."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import sysconfig
from pathlib import Path

import temporalio.client
from temporalio.service import RPCError

from app.core.settings import ROOT, settings
from app.dev import airflow as orchestrator
from app.dev import redis as valkey
from app.dev import zeebe as broker
from app.dev.service import EXTERNAL, Probe, Report, Service, Wanted, embedded, environment
from app.dev.state import State

ZEEBE_FETCH = "zeebe-fetch"
PYTHON = {"PYTHONPATH": str(ROOT)}


def postgresql(state: State) -> Service:
    cluster = embedded(state)

    async def prepare(report: Report) -> None:
        if not (cluster.data / "PG_VERSION").exists():
            report("creating the database")
        await asyncio.to_thread(cluster.create)

    async def ready(_pid: int) -> bool:
        if not await cluster.answers():
            return False
        await cluster.create_database()
        return True

    return Service(
        "postgresql",
        cluster.command(),
        ready,
        f"127.0.0.1:{cluster.port}",
        prepare=prepare,
        become=cluster.become(),
        stop=signal.SIGINT,
        folder=Path("/"),
        # On a machine with ten times the work that it can do PostgreSQL was silent for half a minute and worked on;
        # killed for that, it took every connection and what was not yet committed with it.
        patience=4,
    )


def redis(state: State) -> Service:
    port, password = state.ports["redis"], state.secret("redis")

    async def ready(_pid: int) -> bool:
        return await valkey.answers(port, password)

    return Service("redis", valkey.command(port, state.data("redis"), password), ready, f"127.0.0.1:{port}")


def kept_in(folder: Path) -> list[str]:
    """Where Temporal's server keeps its state, and how.

    Its file has one writer at a time: under SQLite's own journal each commit waits for the disk four times, in a WAL
    once. With NORMAL in place of FULL a power cut would take back what Temporal has acknowledged.
    """
    pragmas = [part for pragma in ("journal_mode=WAL", "synchronous=FULL") for part in ("--sqlite-pragma", pragma)]
    return ["--db-filename", str(folder / "temporal.db"), *pragmas]


def temporal(state: State) -> Service:
    port, ui = state.ports["temporal"], state.ports["temporal-ui"]
    binary = shutil.which("temporal", path=sysconfig.get_path("scripts")) or "temporal"
    command = [binary, "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui)]
    command += ["--log-level", "error", *kept_in(state.data("temporal"))]

    async def ready(_pid: int) -> bool:
        try:
            client = await temporalio.client.Client.connect(f"127.0.0.1:{port}")
            return await client.service_client.check_health()
        except (RPCError, RuntimeError):
            return False

    return Service("temporal", command, ready, f"127.0.0.1:{port}, page http://127.0.0.1:{ui}")


def zeebe(state: State) -> list[Service]:
    """The broker, and the job that fetches it where it is not in the user's cache yet."""
    address = f"127.0.0.1:{state.ports['zeebe']}"
    data = state.data("zeebe")

    async def ready(_pid: int) -> bool:
        return await broker.answers(address)

    run = Service(
        "zeebe",
        broker.command(),
        ready,
        address,
        environment=broker.environment(state.ports, data),
        folder=data,
        grace=15,
    )
    if broker.home().exists():
        return [run]
    run.needs = (ZEEBE_FETCH,)
    return [Service(ZEEBE_FETCH, [sys.executable, "-m", "app.dev.zeebe"], None, environment=PYTHON), run]


def smtp(state: State, wanted: Wanted) -> Service:
    port = state.ports["smtp"]
    command = [sys.executable, "-m", "app.dev.smtp_sink", str(port), str(state.folder / "mail")]

    async def ready(_pid: int) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            greeting = await reader.readline()
            writer.close()
        except OSError:
            return False
        return greeting.startswith(b"220")

    return Service("smtp", command, ready, f"127.0.0.1:{port}", environment=environment(state, wanted))


def payments(state: State, wanted: Wanted) -> Service:
    """The payment provider of the demo, with a ledger of its own."""
    port = state.ports["payments"]
    command = [sys.executable, "-m", "app.dev.payment_sink", str(port), str(state.data("payments"))]

    async def ready(_pid: int) -> bool:
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
        except OSError:
            return False
        return True

    address = f"http://127.0.0.1:{port}/ledger"
    return Service("payments", command, ready, address, environment=environment(state, wanted))


def airflow(state: State, wanted: Wanted) -> list[Service]:
    """Airflow's parts, and the jobs that make its environment and its database; nothing where there is one's own."""
    if os.environ.get(EXTERNAL["airflow"]):
        return []
    address, folder = f"http://127.0.0.1:{state.ports['airflow']}", state.data("airflow")
    secrets = {name: state.secret(f"airflow_{name}") for name in orchestrator.SECRETS}
    account = f"http://{orchestrator.ACCOUNT}:{state.secret('airflow_account')}@127.0.0.1:{wanted.port}"
    cluster = None if os.environ.get(EXTERNAL["postgresql"]) else embedded(state)
    database = orchestrator.database(cluster, folder, secrets)
    given = orchestrator.environment(folder, state.ports["airflow"], database, secrets) | PYTHON
    given |= {"AIRFLOW_CONN_DAMS": account, "DAMS_CLINIC__TIME_ZONE": settings().clinic.time_zone}

    async def prepare(_report: Report) -> None:
        orchestrator.write_passwords(folder, secrets)

    async def prepare_database(_report: Report) -> None:
        if cluster:
            await orchestrator.create_database(cluster, secrets)

    async def serves(_pid: int) -> bool:
        return await asyncio.to_thread(orchestrator.answers, address)

    async def schedules(_pid: int) -> bool:
        return await asyncio.to_thread(orchestrator.is_alive, address, "scheduler")

    async def parses(_pid: int) -> bool:
        return await asyncio.to_thread(orchestrator.is_alive, address, "dag_processor")

    def part(name: str, run: str, ready: Probe | None, *needs: str, shown: str = "") -> Service:
        return Service(name, orchestrator.command(*run.split()), ready, shown, needs, prepare, given, folder)

    sign_in = f"{address}, {orchestrator.KEEPER} with the password in {folder / 'passwords.json'}"
    install = Service("airflow-install", [sys.executable, "-m", "app.dev.airflow"], None, environment=PYTHON)
    migrate = part("airflow-migrate", "db migrate", None, "airflow-install", "web")
    migrate.prepare = prepare_database
    migrate.environment = given | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}  # the rest would fill the table
    return [
        *([] if orchestrator.is_installed() else [install]),
        migrate,
        part("airflow", "api-server", serves, "airflow-migrate", shown=sign_in),
        part("airflow-scheduler", "scheduler", schedules, "airflow-migrate"),
        part("airflow-dags", "dag-processor", parses, "airflow-migrate"),
    ]
