"""A real `dams up` for tests: started as people start it, watched from outside, every process of it accounted for."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from app.core.lifetime import die_with_parent
from app.core.settings import ROOT
from app.dev.service import Wanted
from app.dev.services import services
from app.dev.state import State, free_ports
from tests.waiting import SECONDS

MARK = "TEST_OF_DAMS"
PASSWORD = "demo-of-the-tests"
SLOW = ("zeebe", "temporal")
SMALL = {f"DAMS_{name.upper()}_ADDRESS": "127.0.0.1:9" for name in SLOW}
"""Servers "of one's own" that nobody is at: without the slow ones an `up` is a matter of seconds."""


def without_workers(folder: Path, *engines: str) -> list[str]:
    """The options that leave out the workers of *engines*, which would wait for them."""
    state = State(folder / "none")
    state.prepare()
    names = [service.name for service in services(state, Wanted()) if service.scales]
    return [part for name in names if name.startswith(engines) for part in ("--scale", f"{name}=0")]


class Local:
    """One state folder and what runs on it."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None, *options: str) -> None:
        self.state = State(folder / "state")
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.options = options
        self.output = folder / "output"
        self.mark = uuid4().hex
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DAMS_")}
        self.environment = kept | {"DAMS_DEMO_PASSWORD": PASSWORD, MARK: self.mark} | (environment or {})
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        """`dams …` on this state, to its end."""
        return self.call(*arguments, "--state", str(self.state.folder), answer=answer)

    def call(self, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        """`dams …` with nothing added, to its end."""
        return subprocess.run(
            [ROOT / "dams", *arguments],
            env=self.environment,
            input=answer,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, terminal: int | None = None) -> subprocess.Popen[bytes]:
        """`dams up`, without a terminal or on the slave side of one."""
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [ROOT / "dams", "up", "--port", str(self.port), "--state", self.state.folder, *self.options],
                env=self.environment,
                stdin=subprocess.DEVNULL if terminal is None else terminal,
                stdout=output if terminal is None else terminal,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        return self.process

    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["service"]: row for row in self.state.status()}

    def row(self, name: str) -> dict[str, Any]:
        return self.rows().get(name, {})

    def is_well(self) -> bool:
        """`dams status` says so; on a busy machine a service is silent for a moment."""
        return self.run("status").returncode == 0

    def is_up(self) -> bool:
        """All of it. Fails at once when the supervisor has ended."""
        assert self.process is None or self.process.poll() is None, self.said()
        if self.process is not None and self.state.holder() != self.process.pid:
            return False  # the table is still that of the run before
        states = [row["state"] for row in self.rows().values()]
        return bool(states) and all(state in ("up", "done") for state in states)

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def processes(self) -> list[str]:
        """What lives of this state: found by the environment it inherited, its command line or its folder."""
        return [f"{pid}: {command}" for pid, command in _living() if self._is_ours(pid, command)]

    def _is_ours(self, pid: int, command: str) -> bool:
        folder = str(self.state.folder)
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            return (
                self.mark.encode() in environment
                or folder in command
                or folder in str(Path(f"/proc/{pid}/cwd").readlink())
            )
        except OSError:
            return False

    def end(self) -> None:
        """Whatever a test left running."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def _living() -> Iterator[tuple[int, str]]:
    for process in psutil.process_iter(["pid", "status", "cmdline"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
            yield process.pid, " ".join(process.info["cmdline"] or [])


def page(url: str) -> int:
    """The status of a page; 0 when nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own loopback address
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal of 120 columns."""
    import fcntl
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    try:
        yield master, slave
    finally:
        os.close(master)
        with contextlib.suppress(OSError):
            os.close(slave)
