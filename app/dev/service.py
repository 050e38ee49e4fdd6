"""What a process of `dams up` is, where the servers are, and the settings that our own processes get."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.core.lifetime import VARIABLE, die_with_parent
from app.core.settings import ROOT
from app.dev.postgres import Cluster
from app.dev.state import State

Report = Callable[[str], None]


@dataclass(slots=True)
class Service:
    """One process. `prepare` runs before each start and tells its progress; `ready` is asked until it says yes."""

    name: str
    command: list[str]
    ready: Callable[[], Awaitable[bool]]
    address: str = ""
    needs: tuple[str, ...] = ()
    prepare: Callable[[Report], Awaitable[None]] | None = None
    environment: dict[str, str] = field(default_factory=dict[str, str])
    folder: Path = ROOT
    become: Callable[[], None] = die_with_parent
    stop: int = signal.SIGTERM
    grace: float = 20.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked of `dams up`: the web's port, the number of web processes, whether to build the front end."""

    port: int = 8000
    web_workers: int = 2
    front_end: bool = True
    demo: bool = True
    test_clock: bool = False


EXTERNAL = {
    "postgresql": "DAMS_PG_URL",
    "redis": "DAMS_REDIS_URL",
    "zeebe": "DAMS_ZEEBE_ADDRESS",
    "temporal": "DAMS_TEMPORAL_ADDRESS",
}
"""A server of one's own: the variable that names it keeps the embedded one from starting."""


def addresses(state: State) -> dict[str, str]:
    """Where each server is: the embedded one's port, or what the environment says."""
    ports = state.ports
    cluster = Cluster(state.data("postgresql"), ports["postgresql"], state.secret("postgresql"))
    own = {
        "postgresql": cluster.url(),
        "redis": f"redis://127.0.0.1:{ports['redis']}/0",
        "zeebe": f"127.0.0.1:{ports['zeebe']}",
        "temporal": f"127.0.0.1:{ports['temporal']}",
    }
    return {name: os.environ.get(EXTERNAL[name], address) for name, address in own.items()}


def environment(state: State, wanted: Wanted) -> dict[str, str]:
    """The settings of our own processes."""
    where = addresses(state)
    return {
        "PYTHONPATH": str(ROOT),
        VARIABLE: "1",
        "DAMS_DATABASE__URL": where["postgresql"].replace("postgresql://", "postgresql+asyncpg://"),
        "DAMS_REDIS__URL": where["redis"],
        "DAMS_CELERY__BROKER_URL": where["redis"],
        "DAMS_CELERY__RESULT_BACKEND": where["redis"],
        "DAMS_FILES__FOLDER": str(state.folder / "files"),
        "DAMS_ZEEBE__ADDRESS": where["zeebe"],
        "DAMS_TEMPORAL__ADDRESS": where["temporal"],
        "DAMS_MAIL__PORT": str(state.ports["smtp"]),
        "DAMS_MAIL__SINK": str(state.folder / "mail") if wanted.demo else "",
        "DAMS_SECURITY__SECRET_KEY": state.secret("secret_key"),
        "DAMS_WEB__DEMO": str(wanted.demo).lower(),
        "DAMS_WEB__TEST_CLOCK": str(wanted.test_clock).lower(),
        "DAMS_WEB__SECURE_COOKIES": "false",
    }
