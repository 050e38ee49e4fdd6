"""The processes of DAMS, once: what each needs, how it starts, how it is known to be ready.

`docker-compose.yml` is held to this list by a test. Adding a process is one line in :func:`services`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import asyncpg

from app.dev import frontend, servers
from app.dev.service import EXTERNAL, CannotTell, Probe, Service, Wanted, environment, owner_url
from app.dev.state import State

EXTRA: dict[str, Callable[[State, Wanted], list[Service]]] = {"airflow": servers.airflow}
"""What `up --with <name>` adds: the services of an engine that not everybody wants."""

IMPORTS = {
    "app.web.serve": ("app.web.serve", "app.web.views.*", "app.web.api.*"),
    "workers.relay": ("workers.relay",),
    "workers.celery_worker": ("celery.apps.worker", "celery.bin.worker", "app.engines.broker", "workers.execution"),
    "workers.beat": ("celery.apps.beat", "celery.bin.beat", "app.engines.broker"),
    "workers.zeebe": ("workers.zeebe", "workers.jobs.*"),
    "temporal.worker": ("temporal.worker", "temporal.activities.*", "temporal.workflows.*"),
}
"""What each process of ours imports and may have before its settings are known, the web's first: people wait for it."""

SILENT_SECONDS = 10
ANY = 0
"""Instead of a process id: whichever process of the kind."""


class NoSuchService(ValueError):
    """There is no service of this name that was asked for"""


def services(state: State, wanted: Wanted) -> list[Service]:
    """Every process that `dams up` starts, in the order of the table. Raises :class:`NoSuchService`."""
    given = [name for name, variable in EXTERNAL.items() if os.environ.get(variable)]
    everything = [
        servers.postgresql(state),
        servers.redis(state),
        servers.smtp(state, wanted),
        *([servers.payments(state, wanted)] if wanted.demo else []),
        *_front_end(wanted),
        _migrate(state, wanted),
        _web(state, wanted),
        _worker(state, wanted, "relay", "workers.relay"),
        _worker(state, wanted, "celery", "workers.celery_worker", "redis"),
        _worker(state, wanted, "beat", "workers.beat", "redis", scales=False),
        _worker(state, wanted, "zeebe-worker", "workers.zeebe"),
        servers.temporal(state),
        _worker(state, wanted, "temporal-worker", "temporal.worker"),
        *servers.zeebe(state),
        *([_zeebe_models(state, wanted)] if wanted.demo and "zeebe" not in given else []),
        *_extra(state, wanted),
    ]
    kept = [service for service in _scaled(everything, wanted.scale) if service.name not in given]
    names = {service.name for service in kept}
    for service in kept:
        service.needs = tuple(need for need in service.needs if need in names)
    return kept


def _extra(state: State, wanted: Wanted) -> list[Service]:
    if unknown := [name for name in wanted.extra if name not in EXTRA]:
        raise NoSuchService(f"--with {unknown[0]}: known are {', '.join(EXTRA) or 'none'}")
    return [service for name in wanted.extra for service in EXTRA[name](state, wanted)]


def _scaled(everything: list[Service], scale: dict[str, int]) -> list[Service]:
    """*n* processes of a kind are named `kind`, `kind-2`, …; a kind with 0 is left out."""
    kinds = [service.name for service in everything if service.scales]
    if unknown := [name for name in scale if name not in kinds]:
        raise NoSuchService(f"--scale {unknown[0]}: known are {', '.join(kinds)}")
    return [
        service if number == 1 else replace(service, name=f"{service.name}-{number}")
        for service in everything
        for number in range(1, scale.get(service.name, 1) + 1)
    ]


def _worker(state: State, wanted: Wanted, kind: str, module: str, *needs: str, scales: bool = True) -> Service:
    """A process of ours beside the web, `python -m <module>`; ready when it has written its sign of life."""
    settings = environment(state, wanted)
    ready = beats(settings["DAMS_DATABASE__URL"], kind)
    command = [sys.executable, "-m", module]
    needed = ("postgresql", "web", *needs)  # after the web: people come first where processors are few
    imports = IMPORTS[module]
    return Service(kind, command, ready, needs=needed, environment=settings, grace=25, scales=scales, imports=imports)


def _front_end(wanted: Wanted) -> list[Service]:
    """Pages work without scripts and styles of their own, so a failed build holds up nothing; the editor comes last."""
    if not wanted.front_end or frontend.is_built():
        return []
    command = [sys.executable, "-m", "app.dev.frontend"]
    whole = Service("editor", command, None, needs=("web",), environment=servers.PYTHON, optional=True)
    if frontend.is_built(pages=True):
        return [whole]
    return [Service("front-end", [*command, "--pages"], None, environment=servers.PYTHON, optional=True), whole]


def _migrate(state: State, wanted: Wanted) -> Service:
    settings = environment(state, wanted) | {
        "DAMS_DATABASE__OWNER_URL": owner_url(state),
        "DAMS_DEMO_PASSWORD": state.demo_password(),
        "DAMS_AIRFLOW_ACCOUNT": state.secret("airflow_account") if "airflow" in wanted.extra else "",
    }
    command = [sys.executable, "-m", "app.dev.seed", *(["--demo"] if wanted.demo else [])]
    return Service("migrate", command, None, needs=("postgresql",), environment=settings)


def _zeebe_models(state: State, wanted: Wanted) -> Service:
    """The broker is up long after the web; what ships for it is sent then. A broker of one's own keeps what it has."""
    command = [sys.executable, "-m", "app.dev.seed", "--zeebe"]
    needs = ("zeebe", "migrate", "web")
    return Service("zeebe-models", command, None, needs=needs, environment=environment(state, wanted))


def _web(state: State, wanted: Wanted) -> Service:
    command = [sys.executable, "-m", "app.web.serve", "--interface", "rsgi", "--loop", "uvloop", "--host", "127.0.0.1"]
    command += ["--port", str(wanted.port), "--workers", str(wanted.web_workers), "--no-ws"]
    command += ["--log-level", "warning", "--respawn-failed-workers", "--factory", "app.web.rsgi:application"]
    url = f"http://127.0.0.1:{wanted.port}"
    return Service(
        "web",
        command,
        partial(_says_yes, f"{url}/readyz"),
        url,
        needs=("postgresql", "front-end", "migrate"),
        environment=environment(state, wanted),
        alive=partial(_says_yes, f"{url}/healthz"),  # without PostgreSQL it is not ready, but restarting cures nothing
        imports=IMPORTS["app.web.serve"],
    )


def beats(url: str, kind: str) -> Probe:
    """Asks whether the process has written its sign of life within the last ten seconds.

    The process id is part of the question: what a killed one wrote just before says nothing of its successor.
    """

    async def probe(pid: int) -> bool:
        try:
            connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=2)
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            raise CannotTell from error
        try:
            found = await connection.fetchval(
                """select 1 from worker_heartbeat where kind = $1 and $2 in (pid, 0)
                   and seen_at > now() - make_interval(secs => $3)""",
                kind,
                pid,
                SILENT_SECONDS,
            )
        finally:
            await connection.close()
        return found is not None

    return probe


async def _says_yes(url: str, _pid: int) -> bool:
    return await asyncio.to_thread(_answers, url)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310 - our own loopback address
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False
