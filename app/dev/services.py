"""The processes of DAMS, once: what each needs, how it starts, how it is known to be ready.

`docker-compose.yml` is held to this list by a test. Adding a process is one line in :func:`services`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import asyncpg

from app.core.lifetime import die_with_parent
from app.core.settings import ROOT
from app.dev import frontend, servers
from app.dev.service import EXTERNAL, Report, Service, Wanted, environment
from app.dev.state import State


def services(state: State, wanted: Wanted) -> list[Service]:
    """Every process that `dams up` starts, in the order of the table."""
    given = [name for name, variable in EXTERNAL.items() if os.environ.get(variable)]
    everything = [
        servers.postgresql(state),
        servers.redis(state),
        servers.smtp(state, wanted),
        _web(state, wanted),
        _worker(state, wanted, "relay", "workers.relay"),
        _worker(state, wanted, "celery", "workers.celery_worker", "redis"),
        _worker(state, wanted, "beat", "workers.beat", "redis"),
        servers.temporal(state),
        servers.zeebe(state),
    ]
    kept = [service for service in everything if service.name not in given]
    for service in kept:
        service.needs = tuple(need for need in service.needs if need not in given)
    return kept


def _worker(state: State, wanted: Wanted, kind: str, module: str, *needs: str) -> Service:
    """A process of ours beside the web, `python -m <module>`; ready when it has written its sign of life."""
    settings = environment(state, wanted)
    ready = partial(beats, settings["DAMS_DATABASE__URL"], kind)
    command = [sys.executable, "-m", module]
    return Service(kind, command, ready, needs=("postgresql", "web", *needs), environment=settings, grace=25)


def _web(state: State, wanted: Wanted) -> Service:
    settings = environment(state, wanted)

    async def prepare(report: Report) -> None:
        if wanted.front_end:
            try:
                await asyncio.to_thread(frontend.build, report)
            except frontend.BuildFailed as failure:
                state.log("front-end").write_text(str(failure))
                report("front end not built, see log/front-end.log")
        report("migrating and seeding" if wanted.demo else "migrating")
        password = state.demo_password()
        await _run_once(
            [sys.executable, "-m", "app.dev.seed", *(["--demo"] if wanted.demo else [])],
            settings | {"DAMS_DEMO_PASSWORD": password},
            state.log("seed"),
        )
        report("")

    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"]
    command += ["--port", str(wanted.port), "--workers", str(wanted.web_workers), "--blocking-threads", "32"]
    command += ["--no-ws", "--log-level", "warning", "--respawn-failed-workers", "app.web.wsgi:app"]
    url = f"http://127.0.0.1:{wanted.port}"
    return Service(
        "web",
        command,
        partial(_web_serves, f"{url}/readyz"),
        url,
        needs=("postgresql",),
        prepare=prepare,
        environment=settings,
    )


async def _run_once(command: list[str], environment_: dict[str, str], log: Path) -> None:
    """Run a process to its end; raises RuntimeError with the last lines of what it said."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=os.environ | environment_,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,
        )
        code = await process.wait()
    if code:
        raise RuntimeError(await asyncio.to_thread(_last_lines, log))


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-5:])


async def beats(url: str, kind: str) -> bool:
    """Whether a process of this kind has written its sign of life within the last ten seconds."""
    try:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=2)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    try:
        found = await connection.fetchval(
            "select 1 from worker_heartbeat where kind = $1 and seen_at > now() - interval '10 s'", kind
        )
    finally:
        await connection.close()
    return found is not None


async def _web_serves(url: str) -> bool:
    return await asyncio.to_thread(_serves, url)


def _serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310 - our own loopback address
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False
