"""`dams up` with everything, shared by the tests of this file: what it starts, keeps closed and restarts."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from app.dev.service import addresses
from tests.dev.local import PASSWORD, SLOW, SMALL, Local, page, without_workers
from tests.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("up"), pytest.mark.timeout(1200)]
SERVERS = ("postgresql", "redis", "smtp", "web", "relay", "celery", "beat", "temporal", "zeebe")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    one = Local(tmp_path_factory.mktemp("up"))
    one.start()
    try:
        wait_until(one.is_up)
        yield one
    finally:
        one.end()
    assert one.processes() == []


@pytest.fixture
def settled(local: Local) -> Local:
    """Everything is up again after whatever the test before did."""
    wait_until(local.is_up)
    return local


def test_the_table_shows_every_service_and_status_says_that_all_is_well(settled: Local) -> None:
    wait_until(settled.is_well)
    shown = settled.run("status")
    for name in SERVERS:
        assert name in shown.stdout
    assert settled.url in shown.stdout


def test_without_a_terminal_each_change_is_a_line_and_then_where_to_click(settled: Local) -> None:
    wait_until(lambda: "everything is up after " in settled.said())  # told after the table was written
    said = settled.said()
    for name in SERVERS:
        assert re.search(rf"^{name} +up after ", said, re.MULTILINE), name
    assert settled.url in said
    assert "users admin, staff, doctor, patient, modeler, ops" in said
    assert PASSWORD not in said  # who gave it knows it; a log should not


def test_each_process_of_ours_is_forked_and_none_had_to_be_executed(settled: Local) -> None:
    """One that reads the settings when it is imported, or starts a thread, would be executed, and begin later."""
    wait_until(settled.is_well)
    for name in ("web", "relay", "celery", "beat", "zeebe-worker", "temporal-worker"):
        shown = Path(f"/proc/{settled.row(name)['pid']}/comm").read_text().strip()
        assert shown == f"dams-{name}"[:15], name


def test_the_sign_in_page_answers(settled: Local) -> None:
    wait_until(lambda: page(f"{settled.url}/login") == 200)
    wait_until(lambda: page(f"{settled.url}/readyz") == 200)  # an engine may miss the two seconds it has


def test_a_second_up_on_the_state_says_who_has_it_and_changes_nothing(settled: Local) -> None:
    assert settled.process is not None
    second = settled.run("up", "--port", str(settled.port + 1))
    assert second.returncode == 1
    assert f"already running on {settled.state.folder} (process {settled.process.pid})" in second.stderr
    wait_until(settled.is_well)


def test_a_taken_port_is_named_with_who_has_it(settled: Local, tmp_path: Path) -> None:
    other = Local(tmp_path)
    refused = other.run("up", "--port", str(settled.port))
    assert refused.returncode == 1
    assert f"port {settled.port}, which the web needs, is taken by" in refused.stderr
    assert "choose another with --port" in refused.stderr
    assert other.processes() == []


def test_a_state_in_use_is_not_deleted(settled: Local) -> None:
    refused = settled.run("reset", "--yes")
    assert refused.returncode == 1
    assert "`dams down` first" in refused.stderr
    assert settled.state.exists()


def test_nothing_listens_on_any_address_but_loopback(settled: Local) -> None:
    ours = {int(line.split(":")[0]) for line in settled.processes()}
    listening = [
        connection.laddr
        for connection in psutil.net_connections("inet")
        if connection.pid in ours and connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 6
    assert {address.ip for address in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_no_secret_stands_in_a_command_line_or_is_open_to_others(settled: Local) -> None:
    secrets = [settled.state.secret(name) for name in ("secret_key", "postgresql", "redis")]
    commands = "\n".join(settled.processes())
    assert "valkey-server" in commands
    assert [secret for secret in secrets if secret in commands] == []
    assert settled.state.folder.stat().st_mode & 0o077 == 0


def test_redis_and_postgresql_want_their_password(settled: Local) -> None:
    port = settled.state.ports["redis"]
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis.from_url(addresses(settled.state)["redis"]) as ours:
        assert ours.config_get("appendonly") == {"appendonly": "yes"}

    async def connect(password: str) -> None:
        port = settled.state.ports["postgresql"]
        connection = await asyncpg.connect(f"postgresql://dams:{password}@127.0.0.1:{port}/dams")
        await connection.close()

    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(connect("dams"))
    asyncio.run(connect(settled.state.secret("postgresql")))


@pytest.mark.parametrize("name", ["postgresql", "redis", "temporal", "zeebe", "smtp", "web", "relay", "celery"])
def test_a_killed_server_is_restarted_and_the_table_shows_it(settled: Local, name: str) -> None:
    before = settled.row(name)
    os.kill(before["pid"], signal.SIGKILL)

    def shows_a_new_one() -> bool:
        row = settled.row(name)
        return row["pid"] != before["pid"] and row["state"] == "up"

    wait_until(shows_a_new_one)
    wait_until(settled.is_up)
    row = settled.row(name)
    assert row["restarts"] > before["restarts"]
    wait_until(lambda: re.search(r"restarted \d+×", settled.run("status").stdout))  # or that it is silent for a moment
    wait_until(lambda: page(f"{settled.url}/login") == 200)


def test_two_states_run_side_by_side(settled: Local, tmp_path: Path) -> None:
    other = Local(tmp_path, SMALL, "--no-web-build", *without_workers(tmp_path, *SLOW))
    other.start()
    try:
        wait_until(other.is_up)
        wait_until(lambda: (page(f"{settled.url}/readyz"), page(f"{other.url}/readyz")) == (200, 200))
        assert set(settled.state.ports.values()).isdisjoint(other.state.ports.values())
    finally:
        other.end()
    assert other.processes() == []
    wait_until(settled.is_well)
