"""The processes of DAMS, once: what each needs, how it starts, how it is known to be ready.

`docker-compose.yml` is held to this list by a test. Adding a process is one function here.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import asyncpg
import temporalio.client
from temporalio.service import RPCError

from app.core.lifetime import VARIABLE, die_with_parent
from app.core.settings import ROOT
from app.dev import frontend, redis, zeebe
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
        "DAMS_ZEEBE__ADDRESS": where["zeebe"],
        "DAMS_TEMPORAL__ADDRESS": where["temporal"],
        "DAMS_MAIL__PORT": str(state.ports["smtp"]),
        "DAMS_MAIL__SINK": str(state.folder / "mail") if wanted.demo else "",
        "DAMS_SECURITY__SECRET_KEY": state.secret("secret_key"),
        "DAMS_WEB__DEMO": str(wanted.demo).lower(),
        "DAMS_WEB__TEST_CLOCK": str(wanted.test_clock).lower(),
        "DAMS_WEB__SECURE_COOKIES": "false",
    }


def services(state: State, wanted: Wanted) -> list[Service]:
    """Every process that `dams up` starts, in the order of the table."""
    given = [name for name, variable in EXTERNAL.items() if os.environ.get(variable)]
    everything = [
        _postgresql(state),
        _redis(state),
        _smtp(state, wanted),
        _web(state, wanted),
        _relay(state, wanted),
        _temporal(state),
        _zeebe(state),
    ]
    kept = [service for service in everything if service.name not in given]
    for service in kept:
        service.needs = tuple(need for need in service.needs if need not in given)
    return kept


def _postgresql(state: State) -> Service:
    cluster = Cluster(state.data("postgresql"), state.ports["postgresql"], state.secret("postgresql"))

    async def prepare(report: Report) -> None:
        if not (cluster.data / "PG_VERSION").exists():
            report("creating the database")
        await asyncio.to_thread(cluster.create)

    async def ready() -> bool:
        if not await cluster.answers():
            return False
        await cluster.create_database()
        return True

    return Service(
        "postgresql",
        cluster.command(),
        ready,
        f"127.0.0.1:{cluster.port}",
        prepare=prepare,
        become=cluster.become(),
        stop=signal.SIGINT,
        folder=Path("/"),
    )


def _redis(state: State) -> Service:
    port = state.ports["redis"]
    return Service("redis", redis.command(port, state.data("redis")), partial(redis.answers, port), f"127.0.0.1:{port}")


def _temporal(state: State) -> Service:
    port, ui = state.ports["temporal"], state.ports["temporal-ui"]
    binary = shutil.which("temporal", path=sysconfig.get_path("scripts")) or "temporal"
    command = [binary, "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui)]
    command += ["--db-filename", str(state.data("temporal") / "temporal.db"), "--log-level", "error"]

    async def ready() -> bool:
        try:
            client = await temporalio.client.Client.connect(f"127.0.0.1:{port}")
            return await client.service_client.check_health()
        except (RPCError, RuntimeError):
            return False

    return Service("temporal", command, ready, f"127.0.0.1:{port}, page http://127.0.0.1:{ui}")


def _zeebe(state: State) -> Service:
    async def prepare(report: Report) -> None:
        def progress(done: int, total: int) -> None:
            shown = done // 10_000_000 * 10
            report(f"downloading {shown} of {total // 1_000_000} MB" if done < total else "unpacking")

        await asyncio.to_thread(zeebe.fetch, progress)
        report("")

    address = f"127.0.0.1:{state.ports['zeebe']}"
    data = state.data("zeebe")
    environment_ = zeebe.environment(state.ports, data)
    ready = partial(zeebe.answers, address)
    return Service(
        "zeebe", zeebe.command(), ready, address, prepare=prepare, environment=environment_, folder=data, grace=15
    )


def _smtp(state: State, wanted: Wanted) -> Service:
    port = state.ports["smtp"]
    command = [sys.executable, "-m", "app.dev.smtp_sink", str(port), str(state.folder / "mail")]

    async def ready() -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            greeting = await reader.readline()
            writer.close()
        except OSError:
            return False
        return greeting.startswith(b"220")

    return Service("smtp", command, ready, f"127.0.0.1:{port}", environment=environment(state, wanted))


def _relay(state: State, wanted: Wanted) -> Service:
    settings = environment(state, wanted)
    ready = partial(relay_beats, settings["DAMS_DATABASE__URL"])
    command = [sys.executable, "-m", "workers.relay"]
    return Service("relay", command, ready, needs=("postgresql", "web"), environment=settings, grace=25)


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


async def relay_beats(url: str) -> bool:
    """Whether a relay has written its sign of life within the last ten seconds."""
    try:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=2)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    try:
        found = await connection.fetchval(
            "select 1 from worker_heartbeat where kind = 'relay' and seen_at > now() - interval '10 s'"
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
