"""Where a load goes: a service made for it in a folder of its own, the one of a state, or a named one."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.dev.service import Wanted, owner_url
from app.dev.services import services
from app.dev.state import State, free_ports
from app.dev.supervisor import Supervisor

NEEDED = ("postgresql", "redis", "migrate", "web", "relay")
"""What the appointment needs. The other engines would take part of the machine and answer nothing."""
START_LIMIT = 180.0


class DidNotStart(RuntimeError):
    """The service to be measured did not come up"""


@dataclass(frozen=True, slots=True)
class Place:
    """A service and, where it is on this machine, its processes and its database."""

    url: str
    processes: dict[str, int]
    database: str | None


@asynccontextmanager
async def fresh(web_workers: int, needed: Sequence[str] = NEEDED) -> AsyncGenerator[tuple[State, Place]]:
    """PostgreSQL with fsync on, Valkey, web and relay (or what else is *needed*) on free ports, gone afterwards.

    Raises:
        DidNotStart: with what the supervisor's table says.
    """
    with tempfile.TemporaryDirectory(prefix="dams-bench-") as folder:
        state = State(Path(folder))
        state.prepare()
        state.lock()
        wanted = Wanted(port=free_ports(1)[0], web_workers=web_workers, front_end=False)
        listed = [service for service in services(state, wanted) if service.name in needed]
        supervisor = Supervisor(listed, state, lambda: None)
        stop = asyncio.Event()
        running = asyncio.create_task(supervisor.run(stop))
        try:
            await _until_up(supervisor)
            yield state, of_state(state)
        finally:
            stop.set()
            await running


async def _until_up(supervisor: Supervisor) -> None:
    try:
        async with asyncio.timeout(START_LIMIT):
            await asyncio.gather(*(run.up.wait() for run in supervisor.runs.values()))
    except TimeoutError as error:
        waits = [
            f"{row['service']} is {row['state']} {row['note']}" for row in supervisor.rows() if row["state"] != "up"
        ]
        raise DidNotStart("; ".join(waits)) from error


def of_state(state: State) -> Place:
    """The service that runs on a state folder."""
    rows = {row["service"]: row for row in state.status()}
    processes = {name: row["pid"] for name, row in rows.items() if name in NEEDED and row["state"] == "up"}
    return Place(rows["web"]["address"], processes, owner_url(state))


async def cookies(state: State, usernames: Sequence[str]) -> dict[str, str]:
    """The cookie of a browser in which each of these accounts is signed in, as the state's own database gives it."""
    from app.clinic import accounts
    from app.db.session import make_engine
    from app.dev.service import addresses

    engine = make_engine(addresses(state)["postgresql"].replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.begin() as session:
            people = {name: await accounts.by_username(session, name) for name in usernames}
            return {
                name: f"dams_session={await accounts.open_session(session, person)}" for name, person in people.items()
            }
    finally:
        await engine.dispose()
