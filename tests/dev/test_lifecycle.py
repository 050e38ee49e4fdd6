"""How `dams up` ends: Ctrl-C, `down`, kill -9; and that it begins again where it was. No process is ever left."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from app.dev.service import addresses
from tests.dev.local import SLOW, SMALL, Local, page, terminal, without_workers
from tests.waiting import SECONDS, wait_until

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("up"), pytest.mark.timeout(1200)]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Local]:
    """Without Zeebe and Temporal, whose addresses are given."""
    one = Local(tmp_path, SMALL, "--no-web-build", *without_workers(tmp_path, *SLOW))
    yield one
    one.end()
    wait_until(lambda: not one.processes())


def sql(one: Local, statement: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(addresses(one.state)["postgresql"].replace("+asyncpg", ""))
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_a_terminal_shows_a_live_table_and_ctrl_c_leaves_no_process(small: Local) -> None:
    shown = bytearray()

    def read(master: int) -> None:
        while True:
            try:
                shown.extend(os.read(master, 65536))
            except OSError:
                return

    with terminal() as (master, slave):
        threading.Thread(target=read, args=(master,), daemon=True).start()
        process = small.start(slave)
        wait_until(small.is_up)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(SECONDS) == 0
        assert small.processes() == []
        wait_until(lambda: b"stopped" in shown)
    text = shown.decode(errors="replace")  # what is read may end within a character
    for heading in ("service", "state", "seconds", "address"):
        assert heading in text
    assert small.url in text
    assert "\x1b[" in text  # drawn over itself, not line under line
    assert small.run("status").returncode == 3


def test_down_leaves_no_process_and_the_next_up_finds_the_data_as_it_was(small: Local) -> None:
    process = small.start()
    wait_until(small.is_up)
    sql(small, "insert into candidate_group (name) values ('kept') returning id")
    down = small.run("down")
    assert (down.returncode, down.stdout) == (0, "stopped\n")
    assert process.wait(SECONDS) == 0
    assert small.processes() == []
    assert small.run("down").stdout == "nothing runs on this state\n"

    small.start()
    wait_until(small.is_up)
    assert sql(small, "select count(*) from candidate_group where name = 'kept'") == 1


def test_after_kill_9_nothing_is_left_running_and_the_next_up_recovers(small: Local) -> None:
    process = small.start()
    wait_until(small.is_up)
    assert len(small.processes()) > 6
    sql(small, "insert into candidate_group (name) values ('kept') returning id")
    process.kill()
    process.wait()
    assert small.run("status").returncode == 3
    small.start()  # at once: what is left is still about to end
    wait_until(small.is_up)
    assert sql(small, "select count(*) from candidate_group where name = 'kept'") == 1
    wait_until(lambda: page(f"{small.url}/login") == 200)

    assert small.process is not None
    small.process.kill()
    small.process.wait()
    wait_until(lambda: not small.processes())


def test_a_port_that_something_took_meanwhile_is_named_and_the_server_moves(small: Local) -> None:
    small.state.prepare()
    old = small.state.ports["redis"]
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", old))
        squatter.listen()
        small.start()
        wait_until(small.is_up)
        assert f"port {old} of redis is taken by" in small.said()
        assert small.state.ports["redis"] != old


def test_so_many_processes_of_a_kind_as_asked_for(tmp_path: Path) -> None:
    one = Local(tmp_path, SMALL, "--no-web-build", "--scale", "relay=2", *without_workers(tmp_path, *SLOW))
    one.start()
    try:
        wait_until(one.is_up)
        assert {"relay", "relay-2"} <= set(one.rows())
        wait_until(lambda: sql(one, "select count(distinct pid) from worker_heartbeat where kind = 'relay'") == 2)
    finally:
        one.end()
    assert one.processes() == []


def test_the_web_serves_while_zeebe_cannot_even_be_fetched_and_the_table_says_so(tmp_path: Path) -> None:
    nowhere = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "https_proxy": "http://127.0.0.1:9"}
    one = Local(tmp_path, nowhere | {"DAMS_TEMPORAL_ADDRESS": "127.0.0.1:9"}, "--no-web-build")
    one.start()
    try:
        wait_until(lambda: one.row("web").get("state") == "up" and one.row("zeebe-fetch").get("restarts"))
        wait_until(lambda: page(f"{one.url}/login") == 200)
        assert one.run("status").returncode == 1
        assert one.row("zeebe")["state"] == "waiting"
        wait_until(lambda: "log/zeebe-fetch.log" in one.run("status").stdout)
    finally:
        one.end()
    assert one.processes() == []
