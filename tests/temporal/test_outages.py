"""Servers and workers that are away, die in the middle, and come back: nothing is lost, doubled or hung."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from temporalio.service import RPCError, RPCStatusCode

from app.core.settings import settings
from app.db.session import transaction
from app.dev.state import free_ports
from app.engines import reservations
from app.engines import temporal as engine
from temporal.worker import KIND, queues
from tests.conftest import running
from tests.ondemand import end
from tests.temporal import server
from tests.temporal.conftest import BODY, Caller, namespace, value, working
from tests.waiting import SECONDS, until

pytestmark = pytest.mark.engine
BEATS = "select count(*) from worker_heartbeat where kind = 'temporal-worker' and seen_at > now() - interval '6 s'"


@pytest.mark.parametrize(
    ("status", "said", "away"),
    [
        (RPCStatusCode.UNAVAILABLE, "connection refused", True),
        (RPCStatusCode.UNKNOWN, "transport error", True),  # what a connection says that breaks under a call
        (RPCStatusCode.UNKNOWN, "a fault inside", False),
        (RPCStatusCode.INVALID_ARGUMENT, "no such queue", False),
    ],
)
def test_a_connection_that_breaks_is_a_server_that_is_away(status: RPCStatusCode, said: str, away: bool) -> None:
    assert engine.is_away(RPCError(said, status, b"")) is away


async def test_with_temporal_down_the_call_is_503_and_the_rest_goes_on(
    staff_calls: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("DAMS_TEMPORAL__ADDRESS", f"127.0.0.1:{port}")
    settings.cache_clear()
    calls = [
        ("POST", "/appointment/doctor", BODY),
        ("GET", "/appointment/details?ticketid=TK-1", None),
        ("DELETE", "/appointment/close?ticketid=TK-1", None),
        ("POST", "/subscribe", {"email": "ana@example.org"}),
    ]
    for method, path, body in calls:
        began = time.monotonic()
        answer = await staff_calls(method, path, body)
        assert (answer.status_code, answer.json["engine"]) == (503, "temporal"), path
        assert "Retry-After" in answer.headers
        assert time.monotonic() - began < 100
    ready = await staff_calls("GET", "/readyz")
    assert ready.status_code == 200
    assert ready.json["engines"]["temporal"] == "down"
    assert (await staff_calls("GET", "/api/v1/tasks")).status_code == 200
    assert await value("select count(*) from appointment") == 0


async def test_without_a_worker_the_call_is_504_and_what_was_accepted_is_done_later(
    temporal: str, staff_calls: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAMS_TEMPORAL__CALL_SECONDS", "5")
    settings.cache_clear()
    answer = await staff_calls("POST", "/appointment/doctor", BODY)
    assert (answer.status_code, answer.json["engine"]) == (504, "temporal")
    assert await value("select status from engine_run") == "requested"
    assert (await staff_calls("GET", "/appointment/details?ticketid=TK-1")).status_code == 504
    assert (await staff_calls("POST", "/appointment/doctor", BODY)).status_code == 409
    async with working():
        await until(lambda: value("select count(*) from appointment"))
        await until(lambda: value("select 1 from engine_run where status = 'running'"))


async def test_the_server_may_die_and_come_back_under_the_same_client_and_worker(
    clinic: str, staff_calls: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    process = server.start(tmp_path, port)
    try:
        await server.answers(address)
        monkeypatch.setenv("DAMS_TEMPORAL__ADDRESS", address)
        monkeypatch.setenv("DAMS_TEMPORAL__NAMESPACE", await namespace(address))
        monkeypatch.setenv("DAMS_TEMPORAL__CALL_SECONDS", "100")
        settings.cache_clear()
        async with working():
            assert (await staff_calls("POST", "/appointment/doctor", BODY)).status_code == 201
            process.kill()
            process.wait()
            assert (tmp_path / "temporal.db-wal").stat().st_size > 0  # its commits wait for the disk once
            assert (await staff_calls("GET", "/appointment/details?ticketid=TK-1")).status_code == 503
            process = server.start(tmp_path, port)
            await server.answers(address)

            async def seen() -> bool:
                return (await staff_calls("GET", "/appointment/details?ticketid=TK-1")).status_code == 200

            await until(seen)
            assert (await staff_calls("DELETE", "/appointment/close?ticketid=TK-1")).status_code == 202
            await until(lambda: value("select 1 from appointment where status = 'cancelled'"))
            await until(lambda: value("select 1 from engine_run where status = 'cancelled'"))
    finally:
        end(process)


async def test_a_worker_killed_in_the_middle_is_followed_by_another_and_the_row_is_one(
    temporal: str, staff_calls: Caller
) -> None:
    with running(["-m", "temporal.worker"], dict(os.environ)) as first:
        await until(lambda: value(BEATS))
        async with transaction() as session:  # the activity waits here, in the middle of its work
            await session.execute(text("select 1 from doctor where empid = 'HSP-200' for update"))
            call = asyncio.create_task(staff_calls("POST", "/appointment/doctor", BODY))
            waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            await until(lambda: value(waiting))
            first.kill()
            first.wait()
    with running(["-m", "temporal.worker"], dict(os.environ)) as second:
        await until(lambda: value("select count(*) from appointment"))
        await until(lambda: value("select 1 from engine_run where status = 'running'"))
        await call
        assert (await staff_calls("POST", "/appointment/doctor", BODY)).status_code == 409
        assert await value("select count(*) from appointment") == 1
        seen = await staff_calls("GET", "/appointment/details?ticketid=TK-1")
        assert (seen.status_code, seen.json["status"]) == (200, "booked")
        second.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(second.wait, 120) == 0
    left = "select count(*) from worker_heartbeat where pid = :pid"
    assert await value(left, pid=second.pid) == 0


async def test_a_worker_waits_for_the_server_and_says_what_it_serves(
    clinic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("DAMS_TEMPORAL__ADDRESS", f"127.0.0.1:{port}")
    settings.cache_clear()
    tried = asyncio.Event()

    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tried.set()
        writer.close()

    with running(["-m", "temporal.worker"], dict(os.environ)) as process:
        async with await asyncio.start_server(refuse, "127.0.0.1", port), asyncio.timeout(SECONDS):
            await tried.wait()
        assert process.poll() is None
        assert await value("select count(*) from worker_heartbeat") == 0
        one = server.start(tmp_path, port)
        try:
            await until(lambda: value(BEATS))
            assert await value("select data->'queues' from worker_heartbeat where kind = :kind", kind=KIND) == queues()
            one.kill()  # a worker that cannot poll gives no sign of life, and does not end
            one.wait()
            silent = "select count(*) = 0 from worker_heartbeat where seen_at > now() - interval '8 s'"
            await until(lambda: value(silent))
            assert process.poll() is None
        finally:
            end(one)


async def test_nothing_in_the_servers_store_shows_a_patient(workers: None, staff_calls: Caller) -> None:
    body = BODY | {"ticketid": "CANARY-TICKET-77"}
    assert (await staff_calls("POST", "/appointment/doctor", body)).status_code == 201
    assert (await staff_calls("POST", "/appointment/doctor", body | {"patientid": 999})).status_code == 422
    taken = await staff_calls("POST", "/appointment/doctor", body | {"ticketid": "CANARY-TICKET-78", "patientid": 2})
    assert taken.status_code == 409
    assert (await staff_calls("POST", "/subscribe", {"email": "canary-address@example.org"})).status_code == 201
    await until(lambda: value("select 1 from outbox where key like 'letter:%'"))
    reason = "/appointment/close?ticketid=CANARY-TICKET-77&reason=canary+reason"
    assert (await staff_calls("DELETE", reason)).status_code == 202
    await until(lambda: value("select 1 from appointment where status = 'cancelled'"))
    folder = Path(os.environ["DAMS_TEST_RUN"]) / "temporal"
    stored = b""

    async def read() -> bool:
        """It is this store, and all of it: a checkpoint moves between its files what is read meanwhile."""
        nonlocal stored
        stored = b"".join(path.read_bytes() for path in folder.glob("temporal.db*"))
        return reservations.workflow_id("CANARY-TICKET-77").encode() in stored

    await until(read)
    for canary in (b"CANARY-TICKET", b"canary-address", b"canary reason", b"HSP-200", b"patientid"):
        assert canary not in stored, canary
