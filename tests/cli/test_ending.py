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
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("up")]


@pytest.mark.parametrize("command", [("chaos", "--small", "--cells", "relay:kill"), ("bench", "outbox")])
def test_what_is_ended_by_a_signal_leaves_nothing(command: tuple[str, ...], tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DAMS_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", *command], cwd=ROOT, env=kept | {"TMPDIR": str(tmp_path)}
    )
    try:
        wait_until(lambda: list(tmp_path.glob("dams-*/log/postgresql.log")) or process.poll() is not None)
        started = psutil.Process(process.pid).children(recursive=True)
        assert started
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == ENDED
    finally:
        process.kill()
        process.wait()
    assert [one for one in started if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
