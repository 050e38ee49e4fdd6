"""The service that is hurt: every server and process in a new state folder, with a line between each two of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Collection, Generator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from app.dev.chaos.lines import Lines, reached
from app.dev.service import Service, Wanted, owner_url
from app.dev.services import services
from app.dev.state import State, free_ports
from app.dev.supervisor import Supervisor

SERVERS = ("postgresql", "redis", "zeebe", "temporal")
USERS = "users"
"""Who connects to the web, in place of a process's name."""
VARIABLES = {
    "DAMS_DATABASE__URL": "postgresql",
    "DAMS_REDIS__URL": "redis",
    "DAMS_CELERY__BROKER_URL": "redis",
    "DAMS_CELERY__RESULT_BACKEND": "redis",
    "DAMS_ZEEBE__ADDRESS": "zeebe",
    "DAMS_TEMPORAL__ADDRESS": "temporal",
}
START_LIMIT = 600.0
DISK = "2g"
"""Room for the data of all servers where they have a disk of their own."""
CONTROLLED = {"ZEEBE_CLOCK_CONTROLLED": "true", "MANAGEMENT_ENDPOINT_CLOCK_ENABLED": "true"}
"""Settings with which Zeebe's broker lets its clock be moved."""
CORE = ("postgresql", "redis", "migrate", "web", "relay")
"""What serves people; without an engine it starts in seconds."""


class DidNotStart(RuntimeError):
    """The service to be hurt did not come up"""


@dataclass(slots=True)
class Place:
    """A running service. *url* leads through the line of the users, *direct* past it."""

    state: State
    supervisor: Supervisor
    lines: Lines
    url: str
    direct: str

    @property
    def database(self) -> str:
        """As its owner, past every line."""
        return owner_url(self.state).replace("+asyncpg", "")

    @property
    def ledger_of_payments(self) -> str:
        return f"http://127.0.0.1:{self.state.ports['payments']}/ledger"


def forget_settings() -> None:
    """Nothing of the caller's environment may lead this run to servers that are not its own."""
    for name in [name for name in os.environ if name.startswith("DAMS_")]:
        del os.environ[name]


@asynccontextmanager
async def fresh(
    needed: Collection[str] | None = None,
    scale: Mapping[str, int] | None = None,
    further: Mapping[str, str] | None = None,
    disk: bool = False,
) -> AsyncGenerator[Place]:
    """Everything of `dams up`, or what is *needed*, on free ports, gone afterwards; *further* are settings of all.

    With *disk* the servers' data lie on a disk of their own in memory, which needs the right to mount one.

    Raises:
        DidNotStart: with what the supervisor's table says.
    """
    forget_settings()
    with tempfile.TemporaryDirectory(prefix="dams-chaos-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        state = State(Path(folder))
        state.prepare()
        state.lock()
        stack.enter_context(_disk(state.folder / "data") if disk else nullcontext())
        wanted = Wanted(port=free_ports(1)[0], front_end=False, scale=dict(scale or {}))
        listed = [one for one in services(state, wanted) if needed is None or kind(one.name) in needed]
        lines: Lines = {}
        listed = [
            await _wired(replace(one, environment=one.environment | dict(further or {})), lines) for one in listed
        ]
        users = await reached(lines, USERS, "web", wanted.port)
        supervisor = Supervisor(listed, state, lambda: None)
        stop = asyncio.Event()
        running = asyncio.create_task(supervisor.run(stop))
        direct = f"http://127.0.0.1:{wanted.port}"
        place = Place(state, supervisor, lines, f"http://127.0.0.1:{users.port}", direct)
        try:
            await _until_up(place)
            yield place
        finally:
            for line in lines.values():
                line.mend()  # who ends says good-bye to its servers
            stop.set()
            await running
            await asyncio.gather(*(line.close() for line in lines.values()))


@contextmanager
def _disk(folder: Path) -> Generator[None]:
    """A file system of its own in *folder*. Raises :class:`DidNotStart` where none may be mounted."""
    options = ["-t", "tmpfs", "-o", f"size={DISK},mode=0711", "tmpfs"]
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DidNotStart(f"no disk that could be filled: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def kind(name: str) -> str:
    """Of `relay-2` it is `relay`."""
    found, _, number = name.rpartition("-")
    return found if number.isdecimal() else name


def without(command: Sequence[str], guard: str) -> list[str]:
    """The command of a process of ours that goes without a guard, see `unguarded`."""
    return [*command[:2], "app.dev.chaos.unguarded", guard, *command[2:]]


def under(command: Sequence[str], circumstance: str) -> list[str]:
    """The command of a process of ours under other circumstances, see `altered`."""
    return [*command[:2], "app.dev.chaos.altered", circumstance, *command[2:]]


async def _wired(service: Service, lines: Lines) -> Service:
    """The service with a line of its own to each server: those that a fault meets are the ones that answer forms."""
    if not (service.scales or service.name in ("web", "beat")):
        return service
    environment = dict(service.environment)
    for variable, server in VARIABLES.items():
        port = _port(environment[variable])
        line = await reached(lines, service.name, server, port)
        environment[variable] = environment[variable].replace(f":{port}", f":{line.port}")
    return replace(service, environment=environment)


def _port(address: str) -> int:
    return urlsplit(address if "://" in address else f"//{address}").port or 0


async def _until_up(place: Place) -> None:
    try:
        async with asyncio.timeout(START_LIMIT):
            await asyncio.gather(*(run.up.wait() for run in place.supervisor.runs.values()))
    except TimeoutError as error:
        waits = [f"{row['service']} is {row['state']} {row['note']}" for row in place.supervisor.rows()]
        raise DidNotStart("; ".join(waits)) from error
