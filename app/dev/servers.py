"""Servers that `dams up` starts where none of one's own is named: PostgreSQL, Valkey, Temporal, Zeebe, mail."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import sysconfig
from functools import partial
from pathlib import Path

import temporalio.client
from temporalio.service import RPCError

from app.dev import redis as valkey
from app.dev import zeebe as broker
from app.dev.postgres import Cluster
from app.dev.service import Report, Service, Wanted, environment
from app.dev.state import State


def postgresql(state: State) -> Service:
    cluster = Cluster(state.data("postgresql"), state.ports["postgresql"], state.secret("postgresql"))

    async def prepare(report: Report) -> None:
        if not (cluster.data / "PG_VERSION").exists():
            report("creating the database")
        await asyncio.to_thread(cluster.create)

    async def ready() -> bool:
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
    )


def redis(state: State) -> Service:
    port = state.ports["redis"]
    return Service(
        "redis", valkey.command(port, state.data("redis")), partial(valkey.answers, port), f"127.0.0.1:{port}"
    )


def temporal(state: State) -> Service:
    port, ui = state.ports["temporal"], state.ports["temporal-ui"]
    binary = shutil.which("temporal", path=sysconfig.get_path("scripts")) or "temporal"
    command = [binary, "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui)]
    command += ["--db-filename", str(state.data("temporal") / "temporal.db"), "--log-level", "error"]

    async def ready() -> bool:
        try:
            client = await temporalio.client.Client.connect(f"127.0.0.1:{port}")
            return await client.service_client.check_health()
        except (RPCError, RuntimeError):
            return False

    return Service("temporal", command, ready, f"127.0.0.1:{port}, page http://127.0.0.1:{ui}")


def zeebe(state: State) -> Service:
    async def prepare(report: Report) -> None:
        def progress(done: int, total: int) -> None:
            shown = done // 10_000_000 * 10
            report(f"downloading {shown} of {total // 1_000_000} MB" if done < total else "unpacking")

        await asyncio.to_thread(broker.fetch, progress)
        report("")

    address = f"127.0.0.1:{state.ports['zeebe']}"
    data = state.data("zeebe")
    environment_ = broker.environment(state.ports, data)
    ready = partial(broker.answers, address)
    return Service(
        "zeebe", broker.command(), ready, address, prepare=prepare, environment=environment_, folder=data, grace=15
    )


def smtp(state: State, wanted: Wanted) -> Service:
    port = state.ports["smtp"]
    command = [sys.executable, "-m", "app.dev.smtp_sink", str(port), str(state.folder / "mail")]

    async def ready() -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            greeting = await reader.readline()
            writer.close()
        except OSError:
            return False
        return greeting.startswith(b"220")

    return Service("smtp", command, ready, f"127.0.0.1:{port}", environment=environment(state, wanted))
