"""The state folder of one `dams up`: ports, secrets, data and logs of its servers, and the lock that guards it."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PORTS = (
    "postgresql",
    "redis",
    "temporal",
    "temporal-ui",
    "smtp",
    "zeebe",
    "zeebe-command",
    "zeebe-internal",
    "zeebe-rest",
    "zeebe-management",
)


class State:
    """Everything that `dams up` keeps between two runs, under one folder that only its owner can read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._lock: int | None = None

    def prepare(self) -> None:
        """Make the folder, its ports and secrets where they are missing."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("log", "mail", "data"):
            (self.folder / name).mkdir(exist_ok=True, mode=0o700)
        if not self._file("ports").exists():
            self._write("ports", dict(zip(PORTS, free_ports(len(PORTS)), strict=True)))
        if not self._file("secrets").exists():
            self._write("secrets", {name: secrets.token_urlsafe(32) for name in ("secret_key", "postgresql")})

    @property
    def ports(self) -> dict[str, int]:
        return self._read("ports")

    def secret(self, name: str) -> str:
        return self._read("secrets")[name]

    def demo_password(self) -> str:
        """The demo users' password: from the environment, else kept, else made now."""
        if given := os.environ.get("DAMS_DEMO_PASSWORD"):
            return given
        kept = self._read("secrets")
        if "demo" not in kept:
            kept["demo"] = secrets.token_urlsafe(9)
            self._write("secrets", kept)
        return kept["demo"]

    def show_demo_password(self) -> str | None:
        """The password if nobody was shown it yet: it is printed once."""
        kept = self._read("secrets")
        if os.environ.get("DAMS_DEMO_PASSWORD") or kept.get("demo_shown"):
            return None
        password = self.demo_password()
        self._write("secrets", self._read("secrets") | {"demo_shown": "yes"})
        return password

    def data(self, name: str) -> Path:
        """The data folder of one server, readable by its owner only."""
        path = self.folder / "data" / name
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def log(self, name: str) -> Path:
        return self.folder / "log" / f"{name}.log"

    def lock(self) -> bool:
        """Take the folder for this process; False if another one has it. The kernel frees it at any death."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        return True

    def holder(self) -> int | None:
        """The process id of the supervisor that holds the folder, or None."""
        path = self.folder / "lock"
        if not path.exists():
            return None
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
        return None

    def write_status(self, rows: list[dict[str, Any]]) -> None:
        """What `dams status` shows; replaced whole, so a reader never sees half of it."""
        self._write("status", rows)

    def status(self) -> list[dict[str, Any]]:
        return self._read("status") if self._file("status").exists() else []

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _read(self, name: str) -> Any:
        return json.loads(self._file(name).read_text())

    def _write(self, name: str, value: Mapping[str, Any] | list[Any]) -> None:
        path, new = self._file(name), self._file(name).with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(value, file, indent=1)
        new.replace(path)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now, all different, from the operating system."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def taken(port: int) -> bool:
    """Whether something listens on this port of the loopback address."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False
