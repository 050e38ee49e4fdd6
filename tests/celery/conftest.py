"""A clinic with a real Celery worker and relay, started once per test process and shared by its tests."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app.clinic import accounts
from app.core.actor import Actor
from app.core.loop import loop_thread
from app.core.settings import settings
from app.db.session import dispose, reading, transaction
from app.dev import payment_sink
from app.dev.service import CannotTell, Probe
from app.dev.services import ANY, beats
from app.engines import broker
from tests.conftest import PASSWORD, REDIS, SECRET, TEMPLATE, cluster, running
from tests.serving import application
from tests.waiting import wait_until

WORKER, BEAT, RELAY = ["-m", "workers.celery_worker"], ["-m", "workers.beat"], ["-m", "workers.relay"]
QUICK = {
    "DAMS_RELAY__POLL_SECONDS": "0.2",
    "DAMS_PIPELINES__ANSWER_SECONDS": "90",
    "DAMS_DATABASE__LOCK_TIMEOUT_MS": "60000",
    "DAMS_DATABASE__STATEMENT_TIMEOUT_MS": "60000",
    "DAMS_WEB__VIEW_TIMEOUT_SECONDS": "100",
    "DAMS_CELERY__BROKER_TRANSPORT_OPTIONS__UNACKED_RESTORE_INTERVAL": "1",
    "DAMS_CELERY__WORKER_SOFT_SHUTDOWN_TIMEOUT": "1",
}


@dataclass(frozen=True, slots=True)
class Clinic:
    """Where the shared worker works."""

    environment: dict[str, str]
    files: Path


async def _seed(url: str) -> None:
    from app.clinic import demo

    os.environ["DAMS_DATABASE__URL"] = url
    settings.cache_clear()
    async with transaction() as session:
        await demo.seed(session, PASSWORD)
    await dispose()
    del os.environ["DAMS_DATABASE__URL"]
    settings.cache_clear()


def make_clinic(folder: Path, redis_url: str) -> Clinic:
    """A database with the demo clinic, and the settings of processes that work on it."""
    name, server = f"celery_{uuid4().hex}", cluster()
    asyncio.run(server.create_database(name, TEMPLATE))
    asyncio.run(_seed(server.serving_url(name)))
    where = {
        "DAMS_DATABASE__URL": server.serving_url(name),
        "DAMS_REDIS__URL": redis_url,
        "DAMS_CELERY__BROKER_URL": redis_url,
        "DAMS_CELERY__RESULT_BACKEND": redis_url,
        "DAMS_FILES__FOLDER": str(folder),
        "DAMS_SECURITY__SECRET_KEY": SECRET,
    }
    return Clinic(where | QUICK, folder)


def until_it_lives(url: str, kind: str, *, pid: int | None = None) -> None:
    """Until a process of this kind, or the one of this id, has written its sign of life."""
    probe = beats(url, kind)
    wait_until(lambda: asyncio.run(_probed(probe, pid or ANY)))


async def _probed(probe: Probe, pid: int) -> bool:
    try:
        return await probe(pid)
    except CannotTell:
        return False


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """The clinic with worker and relay of this test process, on a Redis database of its own."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 32 + 32
    made = make_clinic(tmp_path_factory.mktemp("files"), f"redis://:{PASSWORD}@127.0.0.1:{os.environ[REDIS]}/{number}")
    provider = payment_sink.server(0, tmp_path_factory.mktemp("payments"))
    made.environment["DAMS_PAYMENT__URL"] = f"http://127.0.0.1:{provider.server_port}"
    with ExitStack() as stack:
        stack.callback(provider.server_close)
        stack.callback(provider.shutdown)
        threading.Thread(target=provider.serve_forever, daemon=True).start()
        for command in (WORKER, RELAY):
            stack.enter_context(running(command, made.environment))
        for kind in ("celery", "relay"):
            until_it_lives(made.environment["DAMS_DATABASE__URL"], kind)
        yield made


@pytest.fixture
async def clinic(shared: Clinic, monkeypatch: pytest.MonkeyPatch, _settings: None) -> AsyncIterator[Clinic]:
    """This test's settings are those of the shared worker."""
    for name, value in shared.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(broker, "SEND_SECONDS", 60.0)
    async for one in entered(shared):
        yield one


async def entered(one: Clinic) -> AsyncIterator[Clinic]:
    settings.cache_clear()
    broker.forget()
    yield one
    await dispose()
    await asyncio.to_thread(loop_thread.run, dispose())
    broker.forget()


@pytest.fixture
def client(clinic: Clinic) -> FlaskClient:
    """A program that calls the web; signed in by the tokens of :func:`token`."""
    return application().test_client()


async def token(username: str) -> dict[str, str]:
    """The header of somebody of the demo clinic."""
    async with transaction() as session:
        login = (
            await session.execute(text("select id, roles from login where username = :name"), {"name": username})
        ).one()
        person = Actor(login.id, username, username, frozenset(login.roles))
        made = await accounts.issue_token(session, person)
    return {"Authorization": f"Bearer {made.value}"}


async def value(sql: str, **given: Any) -> Any:
    async with reading() as session:
        return await session.scalar(text(sql), given)


def person(number: int) -> dict[str, Any]:
    """What every sign-up sends."""
    return {
        "username": f"user{number}",
        "password": "long enough",
        "firstname": "Nadia",
        "midname": "",
        "lastname": "Osei",
        "email": f"user{number}@clinic.example",
        "mobile": "555-0123",
    }


def sign_up(role: int, number: int) -> dict[str, Any]:
    """What the sign-up of a role sends."""
    work = {"empid": f"E-{number}", "position": "Physician", "date_started": "2025-03-01"}
    home = {"birthday": "1991-05-17", "profession": "baker", "address": "5 Quay"}
    further = {0: work, 1: work | {"age": 41, "specialization": "Cardiology"}, 2: home | {"patientid": 10_000 + number}}
    return person(number) | {"role": role} | further[role]
