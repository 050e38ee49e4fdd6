"""Workers and Redis are killed under running pipelines: nothing is lost or doubled, what cannot go on is seen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
import pytest
from sqlalchemy import text

from app.core.lifetime import die_with_parent
from app.core.settings import settings
from app.db.session import transaction
from app.dev import redis
from app.dev.state import free_ports
from app.engines import broker, pipelines
from tests.celery.conftest import BEAT, RELAY, Clinic, entered, make_clinic, until_it_lives, value
from tests.celery.test_pipelines import file, people
from tests.conftest import PASSWORD, wait_for
from tests.waiting import until

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.xdist_group("celery-failures"),
    pytest.mark.timeout(600),
]
WORKER = ["-m", "celery", "-A", "workers.celery_app", "worker", "--include", "tests.celery.hazards", "--without-mingle"]


@dataclass
class Plant:
    """A clinic whose Redis and workers a test may kill."""

    clinic: Clinic
    port: int
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    server: subprocess.Popen[bytes] | None = None

    def start_redis(self) -> None:
        """Started, not yet answering. Processes die with the thread that started them: that is the main one."""
        command = redis.command(self.port, self.folder, PASSWORD)
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def redis_answers(self) -> None:
        wait_for("Valkey", lambda: redis.answers(self.port, PASSWORD), self.server)

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        """A process of the clinic."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                env=os.environ | self.clinic.environment,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def lives(self, process: subprocess.Popen[bytes], kind: str) -> None:
        """Until it has written its sign of life."""
        until_it_lives(self.clinic.environment["DAMS_DATABASE__URL"], kind, pid=process.pid)

    async def worker(self) -> subprocess.Popen[bytes]:
        process = self.start(WORKER)
        await asyncio.to_thread(self.lives, process, "celery")
        return process


def kill(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it has forked, without a word."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("plant")
    made = Plant(make_clinic(folder / "files", f"redis://:{PASSWORD}@127.0.0.1:{port}/0"), port, folder)
    made.start_redis()
    made.redis_answers()
    try:
        relay, beat = made.start(RELAY), made.start(BEAT)
        made.lives(relay, "relay")
        made.lives(beat, "beat")
        yield made
    finally:
        for process in made.processes:
            kill(process)
        if made.server is not None:
            made.server.kill()
            made.server.wait()


@pytest.fixture
async def clinic(plant: Plant, monkeypatch: pytest.MonkeyPatch, _settings: None) -> AsyncIterator[Clinic]:
    for name, given in plant.clinic.environment.items():
        monkeypatch.setenv(name, given)
    monkeypatch.setattr(broker, "SEND_SECONDS", 60.0)
    async for one in entered(plant.clinic):
        yield one


async def asked(name: str, given: dict[str, Any] | None = None) -> UUID:
    async with transaction() as session:
        return await pipelines.start(session, name, given or {})


async def status(run_id: UUID) -> str:
    return await value("select status from engine_run where id = :id", id=run_id)


async def ends(run_id: UUID) -> str:
    async def over() -> str | None:
        found = await status(run_id)
        return found if found not in ("requested", "running") else None

    return await until(over)


async def running(run_id: UUID, task: str, at_least: int = 1) -> None:
    sql = "select count(*) from pipeline_step where run_id = :id and task = :task and state = 'running'"

    async def enough() -> bool:
        return await value(sql, id=run_id, task=task) >= at_least

    await until(enough)


async def imported_once(run_id: UUID, count: int, before: int) -> None:
    """Every row is there once: one that was stored twice would have been refused the second time."""
    assert await ends(run_id) == "completed", await value("select error from engine_run where id = :id", id=run_id)
    result = await value("select result from engine_run where id = :id", id=run_id)
    assert result == {"added": count, "refused_rows": 0}
    assert await value("select count(*) from patient") == before + count


@contextlib.asynccontextmanager
async def held(table: str) -> AsyncIterator[None]:
    """Whoever would write into the table waits."""
    async with transaction() as session:
        await session.execute(text(f"lock table {table} in exclusive mode"))
        yield


async def test_a_worker_killed_in_the_header_of_a_chord_loses_nothing_and_doubles_nothing(
    plant: Plant, clinic: Clinic
) -> None:
    before, worker = await value("select count(*) from patient"), await plant.worker()
    async with held("patient"):
        run_id = await asked("patient-import", {"file": file(people(40)), "size": 10})
        await running(run_id, "import_patient", 3)
        kill(worker)
    other = await plant.worker()
    await imported_once(run_id, 40, before)
    assert await value("select max(attempts) from pipeline_step where run_id = :id", id=run_id) >= 2
    kill(other)


async def test_redis_killed_and_back_loses_nothing_and_doubles_nothing(plant: Plant, clinic: Clinic) -> None:
    before, worker = await value("select count(*) from patient"), await plant.worker()
    async with held("patient"):
        run_id = await asked("patient-import", {"file": file(people(40)), "size": 5})
        await running(run_id, "import_patient", 3)
        assert plant.server is not None
        plant.server.kill()
        plant.server.wait()
        plant.start_redis()
        await asyncio.to_thread(plant.redis_answers)
    await imported_once(run_id, 40, before)
    assert worker.poll() is None
    kill(worker)


async def test_a_task_that_ends_while_redis_is_away_does_not_end_its_worker(plant: Plant, clinic: Clinic) -> None:
    """Its answer to the queue finds no connection any more; Celery took that for an error that nothing mends."""
    worker = await plant.worker()
    waiting = "select count(*) = :n from pg_locks where relation = 'patient'::regclass and not granted"
    async with held("patient"):
        await broker.send("hazard.waits", [], str(uuid4()))
        await until(lambda: value(waiting, n=1))
        assert plant.server is not None
        plant.server.kill()
        plant.server.wait()
    await until(lambda: value(waiting, n=0))
    plant.start_redis()
    await asyncio.to_thread(plant.redis_answers)
    assert await ends(await asked("panel-sizes")) == "completed"
    assert worker.poll() is None
    kill(worker)


async def test_without_a_worker_a_run_waits_and_is_done_when_one_comes(plant: Plant, clinic: Clinic) -> None:
    run_id = await asked("panel-sizes")
    sent = "select 1 from outbox where kind = 'celery-pipeline' and key = :key and state = 'sent'"
    await until(lambda: value(sent, key=str(run_id)))
    assert await status(run_id) == "requested"
    worker = await plant.worker()
    assert await ends(run_id) == "completed"
    kill(worker)


async def test_a_task_that_kills_its_process_becomes_an_incident_after_its_deliveries(
    plant: Plant, clinic: Clinic
) -> None:
    worker = await plant.worker()
    run_id = await asked("hazard-exit")
    assert await ends(run_id) == "failed"
    limit = settings().pipelines.deliveries
    assert await value("select attempts from pipeline_step where run_id = :id", id=run_id) == limit + 1
    assert await value("select code from incident where run_id = :id and resolved_at is null", id=run_id) == "poison"
    assert psutil.pid_exists(worker.pid)
    assert await ends(await asked("panel-sizes")) == "completed"
    kill(worker)


async def test_a_cancelled_run_writes_nothing_and_frees_its_worker(plant: Plant, clinic: Clinic) -> None:
    from app.core.actor import Actor

    worker = await plant.worker()
    run_id = await asked("hazard-sleep")
    await running(run_id, "sleeps")
    boss = Actor(await value("select id from login where username = 'admin'"), "admin", "", frozenset({"admin"}))
    async with transaction() as session:
        await pipelines.cancel(session, boss, run_id, "not needed")
    assert await status(run_id) == "cancelled"
    idle = "select count(*) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'"

    async def freed() -> bool:
        return await value(idle) == 0

    await until(freed)
    assert await value("select count(*) from inbox where kind = 'slept'") == 0
    assert await ends(await asked("panel-sizes")) == "completed"
    kill(worker)


async def test_a_task_that_never_gives_back_its_process_is_ended_by_the_hard_limit(
    plant: Plant, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAMS_CELERY__TASK_TIME_LIMIT", "8")
    plant.clinic.environment["DAMS_CELERY__TASK_TIME_LIMIT"] = "8"
    try:
        worker = await plant.worker()
        run_id = await asked("hazard-block")
        assert await ends(run_id) == "failed"
    finally:
        del plant.clinic.environment["DAMS_CELERY__TASK_TIME_LIMIT"]
    error = await value("select error from engine_run where id = :id", id=run_id)
    assert error.startswith("blocks:")
    assert await value("select count(*) from incident where run_id = :id and resolved_at is null", id=run_id) == 1
    kill(worker)
