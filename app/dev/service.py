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
Probe = Callable[[int], Awaitable[bool]]
"""Whether the process of this id does its work. Raises :class:`CannotTell` when that cannot be known just now."""


class CannotTell(RuntimeError):
    """The database is away, so the process can be neither praised nor blamed"""


@dataclass(slots=True)
class Service:
    """One process. `prepare` runs before its first start and tells its progress; `ready` is asked until it says yes.

    Without `ready` it is a job, done when its command ends with 0; what it prints is its progress. Nothing waits
    longer for an `optional` job than for its first try. `alive` is asked from then on, `ready` where there is none;
    `patience` is how many times as long as others it may be silent before it is started again. `imports` is what a
    forkserver imports before it forks the process; without it each start imports for itself.
    """

    name: str
    command: list[str]
    ready: Probe | None
    address: str = ""
    needs: tuple[str, ...] = ()
    prepare: Callable[[Report], Awaitable[None]] | None = None
    environment: dict[str, str] = field(default_factory=dict[str, str])
    folder: Path = ROOT
    become: Callable[[], None] = die_with_parent
    stop: int = signal.SIGTERM
    grace: float = 20.0
    alive: Probe | None = None
    optional: bool = False
    scales: bool = False
    patience: int = 1
    imports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked of `dams up`.

    `scale` is how many processes of a kind, by the names of services; `extra` the optional services.
    """

    port: int = 8000
    web_workers: int = 2
    front_end: bool = True
    demo: bool = True
    test_clock: bool = False
    scale: dict[str, int] = field(default_factory=dict[str, int])
    extra: tuple[str, ...] = ()


EXTERNAL = {
    "postgresql": "DAMS_PG_URL",
    "redis": "DAMS_REDIS_URL",
    "zeebe": "DAMS_ZEEBE_ADDRESS",
    "temporal": "DAMS_TEMPORAL_ADDRESS",
    "airflow": "DAMS_AIRFLOW_URL",
}
"""A server of one's own: the variable that names it keeps the embedded one from starting."""
OWNER = "DAMS_PG_OWNER_URL"
"""The role that migrates a PostgreSQL of one's own; without it the one of DAMS_PG_URL does that too."""


def embedded(state: State) -> Cluster:
    """The state's own PostgreSQL."""
    passwords = state.secret("postgresql"), state.secret("postgresql_service")
    return Cluster(state.data("postgresql"), state.ports["postgresql"], *passwords)


def addresses(state: State) -> dict[str, str]:
    """Where each server is: the embedded one's port, or what the environment says; PostgreSQL for who serves."""
    ports = state.ports
    own = {
        "postgresql": embedded(state).serving_url(),
        "redis": f"redis://:{state.secret('redis')}@127.0.0.1:{ports['redis']}/0",
        "zeebe": f"127.0.0.1:{ports['zeebe']}",
        "temporal": f"127.0.0.1:{ports['temporal']}",
        "airflow": f"http://127.0.0.1:{ports['airflow']}",
    }
    return {name: os.environ.get(EXTERNAL[name], address) for name, address in own.items()}


def owner_url(state: State) -> str:
    """What migrates: the embedded server's owner, or what the environment says."""
    if given := os.environ.get(OWNER) or os.environ.get(EXTERNAL["postgresql"]):
        return _asyncpg(given)
    return embedded(state).url()


def _asyncpg(url: str) -> str:
    return url.replace("postgresql://", "postgresql+asyncpg://")


def _airflow(state: State, wanted: Wanted, address: str) -> dict[str, str]:
    """Where Airflow is and how DAMS signs in: the embedded one's, or what the environment says, or nothing."""
    if os.environ.get(EXTERNAL["airflow"]):
        return {"DAMS_AIRFLOW__URL": address}
    if "airflow" not in wanted.extra:
        return {}
    return {"DAMS_AIRFLOW__URL": address, "DAMS_AIRFLOW__PASSWORD": state.secret("airflow_dams")}


def environment(state: State, wanted: Wanted) -> dict[str, str]:
    """The settings of our own processes."""
    where = addresses(state)
    return _airflow(state, wanted, where["airflow"]) | {
        "PYTHONPATH": str(ROOT),
        "PROMETHEUS_MULTIPROC_DIR": str(state.folder / "metrics"),
        VARIABLE: "1",
        "DAMS_DATABASE__URL": _asyncpg(where["postgresql"]),
        "DAMS_REDIS__URL": where["redis"],
        "DAMS_CELERY__BROKER_URL": where["redis"],
        "DAMS_CELERY__RESULT_BACKEND": where["redis"],
        "DAMS_FILES__FOLDER": str(state.folder / "files"),
        "DAMS_ZEEBE__ADDRESS": where["zeebe"],
        "DAMS_TEMPORAL__ADDRESS": where["temporal"],
        "DAMS_MAIL__PORT": str(state.ports["smtp"]),
        "DAMS_PAYMENT__URL": f"http://127.0.0.1:{state.ports['payments']}",
        "DAMS_MAIL__SINK": str(state.folder / "mail") if wanted.demo else "",
        "DAMS_SECURITY__SECRET_KEY": state.secret("secret_key"),
        "DAMS_WEB__DEMO": str(wanted.demo).lower(),
        "DAMS_WEB__TEST_CLOCK": str(wanted.test_clock).lower(),
        "DAMS_WEB__SECURE_COOKIES": "false",
    }
