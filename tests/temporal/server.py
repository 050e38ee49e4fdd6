"""One Temporal dev server for the whole test run, started when the first test asks for it. Its process belongs to the
first process of the run, so it outlives the worker that asked and dies with the run.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sysconfig
import threading
import time
from pathlib import Path

import pytest
import temporalio.client
from temporalio.service import RPCError

from app.core.lifetime import die_with_parent
from app.dev.state import free_ports

SECONDS = 60


def binary(name: str) -> str:
    found = shutil.which(name, path=sysconfig.get_path("scripts"))
    assert found, f"{name} is not in the environment"
    return found


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A dev server on *port* that keeps its state in *folder*; it is not ready yet."""
    command = [binary("temporal"), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--headless"]
    command += ["--db-filename", str(folder / "temporal.db"), "--log-level", "error"]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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


class OnDemand:
    """Waits for the file `wanted` in its folder, starts the server and writes `address` there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._stop = threading.Event()
        # The kernel ends a child with the thread that made it, so the thread stays until the end.
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not (self.folder / "wanted").exists():
            if self._stop.wait(0.05):
                return
        (port,) = free_ports(1)
        process = start(self.folder, port)
        new = self.folder / ".address"
        new.write_text(f"127.0.0.1:{port}")
        new.rename(self.folder / "address")
        self._stop.wait()
        end(process)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)


async def address(folder: Path) -> str:
    """Where the run's server is; the first caller has it started."""
    (folder / "wanted").touch()
    deadline = time.monotonic() + SECONDS
    while not (folder / "address").exists():
        if time.monotonic() > deadline:
            pytest.exit("nobody started Temporal", 3)
        await asyncio.sleep(0.02)
    found = (folder / "address").read_text()
    await answers(found)
    return found
