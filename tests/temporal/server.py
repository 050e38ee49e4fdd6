"""The Temporal dev server of the test run, and the binaries that tests of their own start."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sysconfig
import time
from datetime import timedelta
from pathlib import Path

import pytest
import temporalio.client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from app.core.lifetime import die_with_parent
from app.dev.servers import kept_in
from app.dev.state import free_ports
from app.engines.temporal import converter
from tests import ondemand

SECONDS = 240


def binary(name: str) -> str:
    found = shutil.which(name, path=sysconfig.get_path("scripts"))
    assert found, f"{name} is not in the environment"
    return found


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A dev server on *port* that keeps its state in *folder*; it is not ready yet."""
    command = [binary("temporal"), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--headless"]
    command += ["--log-level", "error", *kept_in(folder)]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)


async def answers(address: str, seconds: float = SECONDS) -> None:
    """Until the server answers; fails the run if it does not."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            client = await temporalio.client.Client.connect(address)
            if await client.service_client.check_health():
                return
        except (RPCError, RuntimeError) as error:
            if time.monotonic() > deadline:
                pytest.exit(f"Temporal did not come up: {error}", 3)
        await asyncio.sleep(0.1)


async def skipping() -> WorkflowEnvironment:
    """A server of the test's own that skips time while a result is waited for; it has more than the usual 5 s to start
    in.
    """
    return await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=binary("temporal-test-server"),
        test_server_startup_timeout=timedelta(seconds=SECONDS),
        data_converter=converter(),
    )


def begin(folder: Path) -> ondemand.Started:
    (port,) = free_ports(1)
    return f"127.0.0.1:{port}", [start(folder, port)]


async def address(folder: Path) -> str:
    """Where the run's server is, once it answers; the first caller has it started."""
    found = await asyncio.to_thread(ondemand.address, folder, SECONDS)
    await answers(found)
    return found
