"""The Zeebe broker of the test run."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

import pytest

from app.core.lifetime import die_with_parent
from app.dev import zeebe
from app.dev.state import PORTS, free_ports
from tests import ondemand

SECONDS = 400
NAMES = [name for name in PORTS if name.startswith("zeebe")]


def begin(folder: Path) -> ondemand.Started:
    zeebe.fetch(lambda _done, _total: None)
    ports = dict(zip(NAMES, free_ports(len(NAMES)), strict=True))
    return f"127.0.0.1:{ports['zeebe']}", [start(folder, ports)]


def start(folder: Path, ports: dict[str, int]) -> subprocess.Popen[bytes]:
    """A broker on *ports* with its data below *folder*; it is not ready yet."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            zeebe.command(),
            env=os.environ | zeebe.environment(ports, data),
            cwd=data,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )


def address(folder: Path) -> str:
    """The address of the run's broker once it serves; a broker that does not come up fails the run."""
    found = ondemand.address(folder, SECONDS)
    deadline = time.monotonic() + SECONDS
    while not asyncio.run(zeebe.answers(found)):
        if time.monotonic() > deadline:
            pytest.exit(f"Zeebe did not come up in {SECONDS} s", 3)
        time.sleep(0.2)
    return found
