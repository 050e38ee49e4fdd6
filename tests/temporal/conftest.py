"""The run's Temporal server with a namespace of the test's own, workers, a clinic, and callers of the web."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import text
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from werkzeug.test import TestResponse

from app.clinic import accounts
from app.core.actor import Actor
from app.core.settings import settings
from app.db.session import reading, transaction
from app.dev.payment_sink import server as payments_server
from app.engines import temporal as engine
from app.engines.temporal import converter
from app.web.security import COOKIE
from temporal.worker import queues, worker
from tests.conftest import RUN, own_database
from tests.serving import application
from tests.temporal import server
from tests.waiting import until

DAY = datetime.now(UTC).date() + timedelta(days=40)
if DAY.month in (3, 11):  # the clocks of New York change in these months
    DAY += timedelta(days=32)
BODY: dict[str, Any] = {
    "ticketid": "TK-1",
    "patientid": 1,
    "docid": "HSP-200",
    "priority_level": 2,
    "date_scheduled": DAY.isoformat(),
    "time_scheduled": "12:00",
    "consult_hrs": 0.5,
}


@pytest.fixture
async def clinic(monkeypatch: pytest.MonkeyPatch, people_template: str, _settings: None) -> AsyncIterator[str]:
    """Doctors, patients and users of the demo, without its appointments, in a database of the test's own."""
    async with own_database(monkeypatch, people_template) as url:
        yield url


@pytest.fixture
async def temporal(clinic: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the run's server; the settings name it and a namespace that nobody else uses."""
    address = await server.address(Path(os.environ[RUN]) / "temporal")
    monkeypatch.setenv("DAMS_TEMPORAL__ADDRESS", address)
    monkeypatch.setenv("DAMS_TEMPORAL__NAMESPACE", await namespace(address))
    monkeypatch.setattr(engine, "HEALTH_SECONDS", 60.0)
    monkeypatch.setenv("DAMS_TEMPORAL__CALL_SECONDS", "100")  # the tests share a small machine
    settings.cache_clear()
    return address


async def namespace(address: str) -> str:
    """A new namespace that the server serves already."""
    name = f"t-{uuid4().hex}"
    client = await Client.connect(address, namespace=name)
    kept = Duration(seconds=86_400)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=kept)
    )

    async def served() -> bool:
        with contextlib.suppress(RPCError):
            await client.start_workflow("Nothing", id="nothing", task_queue="nobody", rpc_timeout=timedelta(seconds=5))
            return True
        return False

    await until(served)
    return name


async def connected() -> Client:
    """A client that workers can use."""
    given = settings().temporal
    return await Client.connect(given.address, namespace=given.namespace, data_converter=converter())


@contextlib.asynccontextmanager
async def working(client: Client | None = None) -> AsyncIterator[None]:
    """Workers of every queue in this process."""
    client = client or await connected()
    async with contextlib.AsyncExitStack() as stack:
        for queue in queues():
            await stack.enter_async_context(worker(client, queue))
        yield


@pytest.fixture
async def workers(temporal: str) -> AsyncIterator[None]:
    async with working():
        yield


@pytest.fixture
def payment_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a payment provider with an empty ledger; the settings name it."""
    provider = payments_server(0, tmp_path / "payments")
    thread = threading.Thread(target=provider.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{provider.server_port}"
    monkeypatch.setenv("DAMS_PAYMENT__URL", address)
    settings.cache_clear()
    yield address
    provider.shutdown()
    provider.server_close()
    thread.join()


@pytest.fixture
async def skipping(clinic: str, payment_sink: str) -> AsyncIterator[WorkflowEnvironment]:
    """A server that skips time while a result is waited for, and workers of every queue."""
    env = await server.skipping()
    async with env, working(env.client):
        yield env


async def ledger(address: str) -> list[dict[str, Any]]:
    """What was really charged, as the provider says."""
    async with httpx.AsyncClient() as client:
        return list((await client.get(f"{address}/ledger")).json()["entries"])


async def value(sql: str, **given: Any) -> Any:
    async with reading() as session:
        return await session.scalar(text(sql), given)


async def person(username: str) -> Actor:
    async with reading() as session:
        row = (await session.execute(text("select id, roles from login where username = :n"), {"n": username})).one()
    return Actor(row.id, username, username, frozenset(row.roles))


@dataclass(frozen=True, slots=True)
class Caller:
    """A program with a token. It calls from a thread of its own, as the web server's threads do."""

    app: Flask
    token: str

    async def __call__(
        self, method: str, path: str, body: Any = None, further: Mapping[str, str] | None = None
    ) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}"} | dict(further or {})
        given = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        return await asyncio.to_thread(self.app.test_client().open, path, method=method, headers=headers, **given)


async def caller(username: str) -> Caller:
    async with transaction() as session:
        token = await accounts.issue_token(session, await person(username))
    return Caller(application(), token.value)


@dataclass(slots=True)
class Visitor:
    """Somebody at a browser: keeps the session, and sends each form with the token of the last page."""

    client: FlaskClient
    token: str = ""

    async def get(self, path: str) -> TestResponse:
        answer = await asyncio.to_thread(self.client.get, path)
        found = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
        self.token = found.group(1) if found else self.token
        return answer

    async def post(self, path: str, **fields: str) -> TestResponse:
        return await asyncio.to_thread(self.client.post, path, data={"csrf_token": self.token, **fields})


async def visitor(username: str) -> Visitor:
    """Somebody who has signed in."""
    async with transaction() as session:
        session_value = await accounts.open_session(session, await person(username))
    made = Visitor(application().test_client())
    made.client.set_cookie(COOKIE, session_value)
    return made


@pytest.fixture
async def staff_calls(clinic: str) -> Caller:
    return await caller("staff")


async def polled(queue: str) -> bool:
    """Whether any worker polls this queue."""
    client = await engine.client()
    request = DescribeTaskQueueRequest(namespace=client.namespace)
    request.task_queue.name = queue
    return bool((await client.workflow_service.describe_task_queue(request)).pollers)
