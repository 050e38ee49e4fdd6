"""A broker shared by the run, real worker processes, and models with names of their own.

The tests of this folder run one after the other: a worker takes the jobs of its types whoever made them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.core.lifetime import die_with_parent
from app.core.settings import settings
from app.db.session import reading, transaction
from app.engines import relay
from app.engines.zeebe import broker
from tests.conftest import RUN
from tests.ondemand import end
from tests.waiting import until
from tests.zeebe import server
from workers import jobs
from workers.zeebe import Worker

ROOT = Path(__file__).resolve().parents[2]
DIAGNOSTICS = (ROOT / "bpmn/zeebe/diagnostics.bpmn").read_bytes()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).is_relative_to(ROOT / "tests/zeebe"):
            item.add_marker(pytest.mark.xdist_group("zeebe"))


@pytest.fixture(scope="session")
def gateway() -> str:
    """The address of the run's broker."""
    return server.address(Path(os.environ[RUN]) / "zeebe")


@pytest.fixture
async def zeebe(gateway: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The settings point to the broker and to a database of the test's own."""
    monkeypatch.setenv("DAMS_ZEEBE__ADDRESS", gateway)
    monkeypatch.setenv("DAMS_ZEEBE__CALL_SECONDS", "100")  # the tests share a small machine
    monkeypatch.setenv("DAMS_ZEEBE__STALE_SECONDS", "240")
    monkeypatch.setattr(broker, "HEALTH_SECONDS", 60.0)
    settings.cache_clear()
    yield gateway
    await broker.close()


@contextlib.asynccontextmanager
async def worker() -> AsyncIterator[Worker]:
    """A worker on the loop of the test: all of it but the process."""
    one = Worker(jobs.load())
    running = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        one.stop()
        await running


@contextlib.contextmanager
def worker_process(further: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process on the test's broker and database; what it logged is shown when the test fails."""
    log = Path(os.environ[RUN]) / f"worker-{uuid4().hex}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.zeebe"],
            env=os.environ | (further or {}),
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,
        )
    process.log = log  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield process
    finally:
        end(process)
        sys.stdout.write(log.read_text()[-20_000:])


def own(process_id: str, content: bytes = DIAGNOSTICS) -> bytes:
    """The diagnostics model under a process id of the test's own."""
    return content.replace(b'"Process_Diagnostics"', f'"{process_id}"'.encode())


@pytest.fixture
def process_id() -> str:
    return f"P_{uuid4().hex[:12]}"


def drawn(process_id: str, *tasks: str, retries: int = 3, gateway: str = "") -> bytes:
    """A sequence of service tasks with these job types; *gateway* goes between definitions and process end."""
    steps = ["start", *(f"task_{number}" for number in range(len(tasks))), "end"]
    nodes = ['<bpmn:startEvent id="start" />']
    nodes += [
        f'<bpmn:serviceTask id="task_{number}" name="Task {number}"><bpmn:extensionElements>'
        f'<zeebe:taskDefinition type="{kind}" retries="{retries}" /></bpmn:extensionElements></bpmn:serviceTask>'
        for number, kind in enumerate(tasks)
    ]
    nodes += ['<bpmn:endEvent id="end" />']
    flows = [
        f'<bpmn:sequenceFlow id="flow_{number}" sourceRef="{one}" targetRef="{other}" />'
        for number, (one, other) in enumerate(itertools.pairwise(steps))
    ]
    return wrapped(process_id, "".join(nodes + flows) + gateway)


def wrapped(process_id: str, inside: str, before: str = "") -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
  xmlns:modeler="http://camunda.org/schema/modeler/1.0" id="d" targetNamespace="http://dams.example/test"
  modeler:executionPlatform="Camunda Cloud" modeler:executionPlatformVersion="8.5.0">{before}
<bpmn:process id="{process_id}" name="Test" isExecutable="true">{inside}</bpmn:process></bpmn:definitions>
""".encode()


async def value(sql: str, **given: Any) -> Any:
    async with reading() as session:
        return await session.scalar(text(sql), given)


async def pass_on() -> None:
    """What a relay does with what is due, once; the broker may be away."""
    for effect in await relay.claim(1000):
        await relay.deliver(effect)


async def carry() -> None:
    """What a relay does, until the broker has taken everything: a busy one refuses at first."""

    async def carried() -> bool:
        await pass_on()
        return not await value("select count(*) from outbox where kind like 'zeebe%' and state = 'pending'")

    await until(carried)


async def write(sql: str, **given: Any) -> None:
    async with transaction() as session:
        await session.execute(text(sql), given)


async def run_is(run_id: UUID, status: str) -> None:
    """Until the run has this status; an error shows what it has instead."""

    async def reached() -> bool:
        return await value("select status from engine_run where id = :id", id=run_id) == status

    try:
        await until(reached)
    except AssertionError as error:
        async with reading() as session:
            row = (await session.execute(text("select * from engine_run where id = :id"), {"id": run_id})).first()
            jobs = (await session.execute(text("select type, state, attempts, error from zeebe_job"))).all()
        raise AssertionError(f"not {status}: {row}; jobs {jobs}") from error


async def clinic() -> None:
    """Two doctors and two patients with four diagnoses: each pair has its own."""
    async with transaction() as session:
        for statement in CLINIC:
            await session.execute(text(statement))


CLINIC = (
    "insert into login (username, password) values ('doc1', '!'), ('doc2', '!'), ('pat1', '!'), ('pat2', '!')",
    """insert into doctor (empid, username, role, firstname, midname, lastname, email, mobile, position, age,
                           specialization, status, date_started)
       select 'HSP-' || n, 'doc' || n, 1, 'A', 'B', 'C', 'd@x.example', '1', 'Doctor', 40, 'Cardiology', true,
              '2020-01-01' from generate_series(1, 2) n""",
    """insert into patient (patientid, username, role, firstname, midname, lastname, email, mobile, birthday, age,
                            profession, address, date_registered)
       select n, 'pat' || n, 2, 'P', 'Q', 'R', 'p@x.example', '2', '1980-01-01', 45, 'baker', 'Street 1',
              '2024-01-01' from generate_series(1, 2) n""",
    """insert into diagnosis (docid, patientid, narrative, resolution, date_submitted) values
       ('HSP-1', 1, 'a cold', 'rest for a week', '2026-10-01'),
       ('HSP-1', 2, 'thirst', 'drink more water', '2026-10-02'),
       ('HSP-1', 1, 'a cough', 'come again in May', '2026-10-03'),
       ('HSP-2', 1, 'a rash', 'use the cream', '2026-10-04')""",
)
