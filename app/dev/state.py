"""The state folder of one `dams up`: ports, secrets, data and logs of its servers, and the lock that guards it."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psutil

PORTS = (
    "postgresql",
    "redis",
    "temporal",
    "temporal-ui",
    "smtp",
    "payments",
    "airflow",
    "zeebe",
    "zeebe-command",
    "zeebe-internal",
    "zeebe-rest",
    "zeebe-management",
)
SECRETS = (
    "secret_key",
    "postgresql",
    "postgresql_service",
    "redis",
    "airflow_dams",
    "airflow_admin",
    "airflow_account",
    "airflow_jwt",
    "airflow_fernet",
    "airflow_database",
)
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class NotAState(RuntimeError):
    """The folder holds something else"""


class State:
    """Everything that `dams up` keeps between two runs, under one folder that only its owner can read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._lock: int | None = None

    def prepare(self) -> None:
        """Make the folder, its ports and secrets where they are missing.

        Raises :class:`NotAState` for a folder with other things in it, which `dams reset` would delete.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.exists() and any(self.folder.iterdir()):
            raise NotAState(f"{self.folder} is not empty and no state of DAMS; name another folder with --state")
        kept = self._read("secrets") if self.exists() else {}
        self._write("secrets", {name: secrets.token_urlsafe(32) for name in SECRETS} | kept)
        for name in ("log", "mail", "data"):
            (self.folder / name).mkdir(exist_ok=True, mode=0o700)
        known = self.ports if self._file("ports").exists() else {}
        self._write("ports", dict(zip(PORTS, free_ports(len(PORTS)), strict=True)) | known)

    def exists(self) -> bool:
        """Whether the folder is the state of a `dams up`."""
        return self._file("secrets").is_file()

    def settle_ports(self) -> dict[str, tuple[int, int]]:
        """Give a new port to each server whose port something else has taken meanwhile: name → (old, new)."""
        moved = {name: (port, free_ports(1)[0]) for name, port in self.ports.items() if taken(port)}
        self._write("ports", self.ports | {name: new for name, (_, new) in moved.items()})
        return moved

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
        if not _flock(descriptor):
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

    def end_remains(self, seconds: float = 20) -> None:
        """Wait for what a killed supervisor left behind to end, and end it by force after *seconds*.

        The kernel has told each process already; PostgreSQL takes a moment to shut down in order.
        """
        import psutil  # comes with the embedded servers; production has this module without it

        left = [process for row in self.status() if (process := _alive(row)) is not None]
        self.write_status([])  # from here on nobody may read that those are up
        _gone, still = psutil.wait_procs(left, timeout=seconds)
        for process in still:
            process.kill()
        psutil.wait_procs(still, timeout=seconds)

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


def _flock(descriptor: int) -> bool:
    """Lock, or give up after half a second: `dams status` holds the lock for an instant to see whether it is free."""
    for _ in range(10):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def _alive(row: dict[str, Any]) -> psutil.Process | None:
    """The process of a row of the table, if it still runs; a process id that now belongs to another does not count."""
    import psutil  # comes with the embedded servers; production has this module without it

    try:
        process = psutil.Process(row["pid"])
        return process if process.create_time() == row["born"] else None
    except (psutil.Error, KeyError, TypeError, ValueError):  # gone, or a row without a process
        return None


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now, and that no other process of this account was given here, all different.

    They lie below those that the kernel gives to outgoing connections: one of its own would be taken before long.
    """
    first = int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.exists() else 32_768
    candidates = (
        port
        for port in secrets.SystemRandom().sample(range(10_000, first), first - 10_000)
        if port not in _given and not taken(port) and _claim(port)
    )
    found = [next(candidates) for _ in range(count)]
    _given.update(found)
    return found


_given: set[int] = set()
"""The ports that this process has been given."""


def _claim(port: int) -> bool:
    """Keep *port* for this process until it ends; False if another one has it.

    A server listens some seconds after its port was chosen. Until then the port looks free to whoever else chooses.
    """
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True


@cache
def _claims() -> int:
    """The file in which a byte is locked for each port. It stays open: to close it would free them all.

    It is empty, and the same for every process of the account: `TMPDIR` may be another for each.
    """
    path = f"/tmp/dams-ports-{os.getuid()}"  # noqa: S108 - empty, and a link there is not followed
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def taken(port: int) -> bool:
    """Whether something listens on this port of the loopback address."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def holder_of(port: int) -> str:
    """`name (process 12)` of what listens on *port*, or `another process` where the kernel does not tell."""
    import psutil  # comes with the embedded servers; production has this module without it

    try:
        listening = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        pid = next(one.pid for one in listening if one.laddr and one.laddr[1] == port)
        return f"{psutil.Process(pid).name()} (process {pid})"
    except (psutil.Error, StopIteration):
        return "another process"
