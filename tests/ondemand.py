"""Servers that a whole test run shares, each started when the first test asks for it. Their processes belong to the
first process of the run, so they outlive the worker that asked and die with the run.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

Started = tuple[str, Sequence[subprocess.Popen[bytes]]]
"""The address that a server will have, and its processes."""


class OnDemand:
    """Waits for the file `wanted` in *folder*, starts the server and writes `address` there, or why not to `failed`.

    *ahead* is done as soon as the file `foreseen` is there: what takes long and can be done before anybody waits.
    The file `done` ends the server before the run does: nobody will ask for it again.
    """

    def __init__(
        self, folder: Path, start: Callable[[Path], Started], ahead: Callable[[], object] | None = None
    ) -> None:
        self.folder, self._start, self._ahead = folder, start, ahead
        folder.mkdir()
        self._stop = threading.Event()
        # The kernel ends a child with the thread that made it, so the thread stays until the end.
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            if self._ahead and self._asked("foreseen", "wanted"):
                self._ahead()
            if not self._asked("wanted"):
                return
            address, processes = self._start(self.folder)
        except Exception as error:
            (self.folder / "failed").write_text(f"{error!r} {getattr(error, 'stderr', '')}")
            raise
        new = self.folder / ".address"
        new.write_text(address)
        new.rename(self.folder / "address")
        self._asked("done")
        end(*processes)

    def _asked(self, *names: str) -> bool:
        """True once somebody asks by one of these files, False when the run ends before."""
        while not any((self.folder / name).exists() for name in names):
            if self._stop.wait(0.05):
                return False
        return True

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)


def address(folder: Path, seconds: float) -> str:
    """Where the server of *folder* will answer; the first caller has it started. One that does not start fails the run.

    While tests are written, `DAMS_TEST_ZEEBE` and the like name one that stays.
    """
    if given := os.environ.get(f"DAMS_TEST_{folder.name.upper()}"):
        return given
    (folder / "wanted").touch()
    deadline = time.monotonic() + seconds
    while not (folder / "address").exists():
        if (folder / "failed").exists():
            pytest.exit(f"{folder.name} did not start: {(folder / 'failed').read_text()}", 3)
        if time.monotonic() > deadline:
            pytest.exit(f"{folder.name} was not started in {seconds:.0f} s", 3)
        time.sleep(0.05)
    return (folder / "address").read_text()


def end(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
