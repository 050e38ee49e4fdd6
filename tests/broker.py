"""One Zeebe broker for the whole test run, started when the first test asks for it. Its process belongs to the first
process of the run, so it outlives the worker that asked and dies with the run.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from app.core.lifetime import die_with_parent
from app.dev import zeebe
from app.dev.state import PORTS, free_ports

SECONDS = 180
NAMES = [name for name in PORTS if name.startswith("zeebe")]


class OnDemand:
    """Waits for the file `wanted` in its folder, starts the broker and writes `address` there."""

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
            zeebe.fetch(lambda _done, _total: None)
            process = start(self.folder, dict(zip(NAMES, free_ports(len(NAMES)), strict=True)))
        except Exception as error:
            (self.folder / "failed").write_text(repr(error))
            raise
        self._stop.wait()
        end(process)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)


def start(folder: Path, ports: dict[str, int]) -> subprocess.Popen[bytes]:
    """A broker on *ports* with its data below *folder*; it is not ready yet."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            zeebe.command(),
            env=os.environ | zeebe.environment(ports, data),
            cwd=data,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )
    (folder / "address").write_text(f"127.0.0.1:{ports['zeebe']}")
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def address(folder: Path) -> str:
    """The address of the run's broker once it serves; a broker that does not come up fails the run.

    While tests are written, `DAMS_TEST_ZEEBE` names one that stays.
    """
    if given := os.environ.get("DAMS_TEST_ZEEBE"):
        return given
    (folder / "wanted").touch()
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if (folder / "failed").exists():
            pytest.exit(f"Zeebe did not start: {(folder / 'failed').read_text()}", 3)
        if (folder / "address").exists() and asyncio.run(zeebe.answers((folder / "address").read_text())):
            return (folder / "address").read_text()
        time.sleep(0.2)
    pytest.exit(f"Zeebe did not come up in {SECONDS} s", 3)
