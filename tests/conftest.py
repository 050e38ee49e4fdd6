"""What every test may ask for. PostgreSQL and Valkey are started once for the whole run and shared by its workers.

A server that does not start fails the run: nothing is skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import hypothesis
import psutil
import pytest
from sqlalchemy import text

from app.core.actor import Actor
from app.core.lifetime import die_with_parent
from app.core.loop import loop_thread
from app.core.settings import Database, settings
from app.db import migrate
from app.db.session import dispose, make_engine, transaction
from app.dev import airflow, redis
from app.dev.postgres import Cluster
from app.dev.state import free_ports
from tests.airflow import server as airflow_server
from tests.ondemand import OnDemand
from tests.temporal import server as temporal_server
from tests.waiting import until, wait_until
from tests.zeebe import server as zeebe_server

# Speed is measured in benchmarks: a machine that is busy for a moment does not make a property false.
patient = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("dams", patient)
hypothesis.settings.load_profile("dams")

RUN, POSTGRES, REDIS = "DAMS_TEST_RUN", "DAMS_TEST_POSTGRES", "DAMS_TEST_REDIS"
TEMPLATE = "dams_template"
PASSWORD = "dams-test"
FORGETFUL = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "autovacuum=off"]
"""The cluster of a test run is thrown away with it: nothing has to outlive the machine, and nothing gets old. A vacuum
that is slow to end would keep its database from being copied.
"""
CLINIC, PEOPLE = "dams_clinic_", "dams_people_"
PASSWORD_OF_ALL = "of-everybody-in-tests"
CHEAP_HASHES = {"DAMS_SECURITY__ARGON2_MEMORY_KIB": "64", "DAMS_SECURITY__ARGON2_TIME_COST": "1"}
SECRET = "a-secret-key-for-tests-only-0123456789"
PATIENT = {
    "DAMS_DATABASE__LOCK_TIMEOUT_MS": "60000",
    "DAMS_DATABASE__STATEMENT_TIMEOUT_MS": "100000",
    "DAMS_DATABASE__IDLE_IN_TRANSACTION_TIMEOUT_MS": "600000",
    "DAMS_DATABASE__CONNECT_SECONDS": "60",
    "DAMS_DATABASE__POOL_SECONDS": "60",
    "DAMS_WEB__VIEW_TIMEOUT_SECONDS": "120",
    "DAMS_ENGINE__SECONDS_PER_REQUEST": "60",
}
"""Limits in seconds that a right answer reaches on a busy machine. A test of such a limit sets its own."""
MEMORY = Path("/dev/shm")
PREFIX, OWNER = "dams-test-", "pid"
ROOM = 4 << 30
"""Bytes that the servers and files of a run may take there."""
DATABASES = 104
"""Of Valkey: 1 to 15 for tests of this process, from 16 on those whose worker processes live on between tests, from 72
on those of the webs of each process: failed sign-ins are counted by address, and all come from one.
"""
ALONE = {"operations": 64, "sending": 65, "sign-up": 66, "zeebe": 67, "schedules": 68}
"""Those that one test has, or the tests of one group: what it finds there nobody else has put there meanwhile."""


def cluster() -> Cluster:
    return Cluster(Path(os.environ[RUN]) / "postgresql", int(os.environ[POSTGRES]), PASSWORD, PASSWORD)


def alone(use: str) -> str:
    """The address of one of :data:`ALONE`."""
    return f"redis://:{PASSWORD}@127.0.0.1:{os.environ[REDIS]}/{ALONE[use]}"


def memory() -> Path | None:
    """The folder that Linux keeps in memory, if a run has room there: a database is copied in a tenth of the time.

    None, for where temporary files go otherwise, also if `TMPDIR` says where.
    """
    if "TMPDIR" in os.environ or not MEMORY.is_dir() or os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        return None
    for left in MEMORY.glob(f"{PREFIX}*/{OWNER}"):  # by a run that was killed: nobody else would give the memory back
        if not psutil.pid_exists(int(left.read_text() or os.getpid())):
            shutil.rmtree(left.parent, ignore_errors=True)
    free = min(psutil.disk_usage(str(MEMORY)).free, psutil.virtual_memory().available // 2)
    return MEMORY if free >= ROOM else None


def wait_for(what: str, ready: Callable[[], Awaitable[bool]], process: subprocess.Popen[bytes] | None = None) -> None:
    """Ask until *ready* says yes; a process that ends first, or never is ready, fails the run."""

    def over() -> bool:
        return asyncio.run(_asked(ready)) or (process is not None and process.poll() is not None)

    try:
        wait_until(over)
    except AssertionError as error:
        pytest.exit(f"{what} did not come up: {error}", 3)
    if process is not None and process.poll() is not None:
        pytest.exit(f"{what} ended with {process.returncode} before it was ready", 3)


async def _asked(ready: Callable[[], Awaitable[bool]]) -> bool:
    return await ready()


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers in the first process; the workers of a parallel run inherit where they are."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=memory()))
    (folder / OWNER).write_text(str(os.getpid()))
    (folder / "tmp").mkdir()
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
    postgres_port, redis_port = free_ports(2)
    os.environ |= {RUN: str(folder), POSTGRES: str(postgres_port), REDIS: str(redis_port)}
    for name in [name for name in os.environ if name.startswith("DAMS_") and "__" in name]:
        del os.environ[name]
    # As `dams` does: no process of the run compiles what another has compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(sys.prefix) / ".pycache"))
    (folder / "redis").mkdir()
    server = cluster()
    server.create()
    keeper = redis.command(redis_port, folder / "redis", PASSWORD)
    with Path(keeper[1]).open("a") as conf:
        conf.write(f"databases {DATABASES}\n")
    with (folder / "log").open("ab") as log:
        postgres = subprocess.Popen([*server.command(), *FORGETFUL], stdout=log, stderr=log, preexec_fn=server.become())
        valkey = subprocess.Popen(keeper, stdout=log, stderr=log, preexec_fn=die_with_parent)
    config.add_cleanup(lambda: stop(folder, postgres, valkey))
    for engine in (
        OnDemand(folder / "zeebe", zeebe_server.begin),
        OnDemand(folder / "temporal", temporal_server.begin),
        OnDemand(folder / "airflow", lambda place: airflow_server.begin(place, server), airflow.install),
    ):
        config.add_cleanup(engine.stop)
    wait_for("PostgreSQL", server.answers, postgres)
    wait_for("Valkey", lambda: redis.answers(redis_port, PASSWORD), valkey)
    asyncio.run(server.create_database(TEMPLATE))
    migrate.prepare(Database(url=server.serving_url(TEMPLATE), owner_url=server.url(TEMPLATE)))


def stop(folder: Path, *processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(folder, ignore_errors=True)


LONGEST = ("up", "celery-failures", "zeebe", "celery", "airflow", "turns")
"""Groups of tests that one worker runs from end to end: the others finish meanwhile, and none is left alone."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, in the order that is theirs otherwise."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    if group is not None and group.args[0] in LONGEST:
        return LONGEST.index(group.args[0])
    return len(LONGEST) if item.get_closest_marker("slow") else len(LONGEST) + 1


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test reads its own settings; a secret and the demo switch are always there."""
    monkeypatch.setenv("DAMS_SECURITY__SECRET_KEY", SECRET)
    monkeypatch.setenv("DAMS_WEB__DEMO", "true")
    monkeypatch.setenv("DAMS_WEB__SECURE_COOKIES", "false")
    for name, given in PATIENT.items():
        monkeypatch.setenv(name, given)
    for name in ("DAMS_REDIS__URL", "DAMS_CELERY__BROKER_URL", "DAMS_CELERY__RESULT_BACKEND"):
        monkeypatch.setenv(name, f"redis://:{PASSWORD}@127.0.0.1:{os.environ[REDIS]}/0")
    settings.cache_clear()
    if health := sys.modules.get("app.engines.health"):
        health.forget()  # what it remembers was true for another test
    yield
    settings.cache_clear()


@contextlib.asynccontextmanager
async def own_database(monkeypatch: pytest.MonkeyPatch, template: str) -> AsyncIterator[str]:
    """A copy of *template* that nobody else uses; the settings point to it, as the role that serves."""
    name = f"t_{uuid4().hex}"
    server = cluster()
    await server.create_database(name, template)
    monkeypatch.setenv("DAMS_DATABASE__URL", server.serving_url(name))
    settings.cache_clear()
    from app.engines.spiff import models

    models.forget()
    yield server.serving_url(name)
    await dispose()
    await asyncio.to_thread(loop_thread.run, dispose())
    await drop(name)


async def drop(name: str) -> None:
    """Drop a database, as soon as the server processes of those who used it have ended."""

    async def dropped() -> bool:
        try:
            await cluster().drop_database(name)
        except asyncpg.ObjectInUseError:
            return False
        return True

    await until(dropped)


@pytest.fixture
async def database_url(monkeypatch: pytest.MonkeyPatch, _settings: None) -> AsyncIterator[str]:
    """A migrated, empty database of the test's own; the settings point to it, as the role that serves."""
    async with own_database(monkeypatch, TEMPLATE) as url:
        yield url


@pytest.fixture
def owner_url(database_url: str) -> str:
    """The test's database as its owner, who may change tables."""
    return cluster().url(database_url.rpartition("/")[2])


async def as_owner(statement: str) -> None:
    """Change the test's database in a way that the role that serves may not."""
    database = settings().database.url.rpartition("/")[2]
    connection = await asyncpg.connect(cluster().url(database).replace("+asyncpg", ""))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def clinic_template(worker_id: str) -> str:
    """A database with the demo clinic, whose users share PASSWORD_OF_ALL, and the shipped models; one per worker."""
    server, name = cluster(), CLINIC + worker_id
    asyncio.run(server.create_database(name, TEMPLATE))
    given = {
        "DAMS_DATABASE__URL": server.serving_url(name),
        "DAMS_DATABASE__OWNER_URL": server.url(name),
        "DAMS_SECURITY__SECRET_KEY": SECRET,
        "DAMS_DEMO_PASSWORD": PASSWORD_OF_ALL,
        **CHEAP_HASHES,
    }
    seed = [sys.executable, "-m", "app.dev.seed", "--demo"]
    done = subprocess.run(seed, env=os.environ | given, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.exit(f"the demo clinic could not be seeded: {done.stderr[-1000:]}", 3)
    return name


@pytest.fixture(scope="session")
def people_template(worker_id: str) -> str:
    """A database with the people of the demo clinic and nothing that they have done; one per worker."""
    server, name = cluster(), PEOPLE + worker_id
    asyncio.run(server.create_database(name, TEMPLATE))
    asyncio.run(_fill(server.serving_url(name)))
    return name


async def _fill(url: str) -> None:
    from app.clinic import demo

    engine = make_engine(url)
    async with engine.begin() as session:
        await demo.seed(session, PASSWORD_OF_ALL)
        await session.execute(text("delete from appointment"))
    await engine.dispose()


async def make_actor(username: str, *roles: str, display_name: str = "") -> Actor:
    """An account that can act but not sign in."""
    async with transaction() as session:
        number = await session.scalar(
            text("""insert into login (username, password, display_name, email, roles)
                    values (:name, 'none', :shown, :email, :roles) returning id"""),
            {
                "name": username,
                "shown": display_name or username.title(),
                "email": f"{username}@clinic.example",
                "roles": list(roles),
            },
        )
    return Actor(number, username, display_name or username.title(), frozenset(roles))


@pytest.fixture
async def staff(database_url: str) -> Actor:
    return await make_actor("staff", "staff")


@pytest.fixture
async def doctor(database_url: str) -> Actor:
    return await make_actor("doctor", "doctor")


@pytest.fixture
async def patient(database_url: str) -> Actor:
    return await make_actor("patient", "patient")


@pytest.fixture
async def modeler(database_url: str) -> Actor:
    return await make_actor("modeler", "modeler")


@pytest.fixture
async def ops(database_url: str) -> Actor:
    return await make_actor("ops", "ops")


@pytest.fixture
async def admin(database_url: str) -> Actor:
    return await make_actor("admin", "admin")


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours for one test, ended with it."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            env=os.environ | environment,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
