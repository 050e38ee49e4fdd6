"""A command that is ended while its own service runs takes it along, and its folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app.cli.ending import ENDED
from app.core.root import ROOT
from tests.dev.test_run import lives
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("up")]


def below(pid: int, folder: Path) -> list[int]:
    """The processes of the command's own service, once it has a folder and the first of them."""
    made = list(folder.glob("dams-*/log/postgresql.log"))
    return [one.pid for one in psutil.Process(pid).children(recursive=True)] if made else []


@pytest.mark.parametrize("command", [("chaos", "--small", "--cells", "relay:kill"), ("bench", "outbox")])
def test_what_is_ended_by_a_signal_leaves_nothing(command: tuple[str, ...], tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DAMS_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", *command], cwd=ROOT, env=kept | {"TMPDIR": str(tmp_path)}
    )
    try:
        started = wait_until(lambda: below(process.pid, tmp_path))
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == ENDED
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not any(lives(pid) for pid in started))
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
