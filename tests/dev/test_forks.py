"""A service that says what it imports begins as a fork of a process that has imported it, and is otherwise the same."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.core.settings import ROOT
from app.dev.forkserver import PACKET, Forkserver
from app.dev.run import Run
from app.dev.service import Service
from app.dev.state import State
from app.dev.supervisor import Supervisor
from tests.dev import forked
from tests.dev.test_run import holds, lives, shows, supervising, yes

pytestmark = pytest.mark.xdist_group("forks")  # one of them touches the file that the others have forked
MODULE, FORKED = "tests.dev.forked", Path(forked.__file__)


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path / "state")
    state.prepare()
    return state


def service(folder: Path = ROOT, name: str = "one", **environment: str) -> Service:
    given = {"PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-m", MODULE, "a", "b c"]
    return Service(name, command, yes, environment=given, folder=folder, imports=(MODULE,), grace=5)


async def told(state: State, name: str = "one", count: int = 1) -> list[dict[str, Any]]:
    """What the starts of the service printed, when there are *count* of them."""

    def lines() -> list[str]:
        path = state.log(name)
        return [line for line in path.read_text().splitlines() if line.startswith("{")] if path.exists() else []

    await holds(lambda: len(lines()) >= count)
    return [json.loads(line) for line in lines()]


def forkserver(run: Run) -> psutil.Process:
    assert run.process is not None
    parent = psutil.Process(run.process.pid).parent()
    assert parent is not None
    return parent


async def test_a_fork_has_what_a_process_of_its_own_would_have(state: State, tmp_path: Path) -> None:
    async with supervising(state, service(tmp_path, OWN="of the service")) as one:
        run = one.runs["one"]
        (given,) = await told(state)
        assert run.command[2] == "app.dev.forkserver"
        assert run.process is not None
        assert psutil.Process(run.process.pid).cmdline() == run.command
        assert forkserver(run).ppid() == os.getpid()
    assert run.process.returncode == -signal.SIGTERM
    assert given == {
        "arguments": ["a", "b c"],
        "own": "of the service",
        "folder": str(tmp_path),
        "leads": True,
        "input": os.devnull,
        "open": 3,
        "shown": "dams-one",
    }


async def test_each_has_its_own_environment_and_log(state: State) -> None:
    async with supervising(state, service(OWN="1"), service(name="two", OWN="2")) as one:
        assert [given["own"] for given in await told(state)] == ["1"]
        assert [given["own"] for given in await told(state, "two")] == ["2"]
        assert forkserver(one.runs["one"]) == forkserver(one.runs["two"])


async def test_one_that_is_killed_is_forked_again(state: State) -> None:
    async with supervising(state, service()) as one:
        run = one.runs["one"]
        await told(state)
        first, server = run.process, forkserver(run)
        assert first is not None
        first.send_signal(signal.SIGKILL)
        await told(state, count=2)
        assert first.returncode == -signal.SIGKILL
        with pytest.raises(ProcessLookupError):
            first.send_signal(signal.SIGKILL)
        await shows(run, "up")
        assert forkserver(run) == server
        assert f"ended with {-signal.SIGKILL}" in run.note or run.row()["note"] == "restarted 1×"


async def test_what_it_forked_dies_with_the_forkserver_and_all_begin_again(state: State) -> None:
    async with supervising(state, service(), service(name="two")) as one:
        await told(state)
        await told(state, "two")
        before = [run.process.pid for run in one.runs.values() if run.process]
        server = forkserver(one.runs["one"])
        server.kill()
        await told(state, count=2)
        await told(state, "two", count=2)
        await holds(lambda: not any(lives(pid) for pid in before))
        assert forkserver(one.runs["one"]) != server


@pytest.mark.parametrize("odd", ["settings", "thread"])
async def test_what_a_fork_would_not_run_exactly_is_executed(state: State, odd: str) -> None:
    async with supervising(state, service(FORKED=odd, DAMS_SECURITY__SECRET_KEY="x" * 40)) as one:
        run = one.runs["one"]
        (given,) = await told(state)
        assert given["arguments"] == ["a", "b c"]
        assert run.command == run.service.command
        assert run.process is not None
        assert psutil.Process(run.process.pid).ppid() == os.getpid()


async def test_one_that_cannot_be_imported_says_so_in_its_own_log(state: State) -> None:
    async with supervising(state, service(FORKED="broken")):
        await holds(lambda: state.log("one").exists() and "broken as asked for" in state.log("one").read_text())


async def test_a_changed_file_is_executed_and_not_what_was_imported_of_it(state: State) -> None:
    path, before = FORKED, FORKED.stat()  # noqa: ASYNC240 - a file of this machine
    try:
        async with supervising(state, service()) as one:
            run = one.runs["one"]
            await told(state)
            assert run.command != run.service.command
            os.utime(path, (time.time(), time.time()))
            assert run.process is not None
            run.process.send_signal(signal.SIGKILL)
            await told(state, count=2)
            assert run.command == run.service.command
            assert f"{MODULE} is not forked: tests/dev/forked.py has changed" in state.log("forkserver").read_text()
    finally:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_machine_without_room_for_a_fork_costs_nobody_else_their_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full() -> int:
        raise BlockingIOError(errno.EAGAIN, "no process left")

    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with own, other, (tmp_path / "log").open("wb") as log:
        server = Forkserver(other, {MODULE: [MODULE]})
        server.load(MODULE)
        gc.unfreeze()
        monkeypatch.setattr(os, "fork", full)
        monkeypatch.setattr(threading, "active_count", lambda: 1)  # this process is no forkserver
        request = {"argv": [MODULE], "environment": dict(os.environ), "folder": "/", "name": "one"}
        assert server.answer(request, os.dup(log.fileno())) is None
        assert json.loads(own.recv(PACKET)) == {"refused": "[Errno 11] no process left"}


async def test_nothing_is_left_when_the_supervisor_is_killed(state: State) -> None:
    code = f"""
import asyncio, json, sys
from pathlib import Path
from app.dev.state import State
from app.dev.supervisor import Supervisor
from tests.dev.test_forks import service

asyncio.run(Supervisor([service()], State(Path({str(state.folder)!r})), lambda: None).run(asyncio.Event()))
"""
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT)
    await told(state)
    below = psutil.Process(supervisor.pid).children(recursive=True)
    assert len(below) == 2
    supervisor.kill()
    await supervisor.wait()
    await holds(lambda: not any(lives(one.pid) for one in below))


async def test_a_supervisor_of_other_programs_has_no_forkserver(state: State) -> None:
    sleeping = Service("one", [sys.executable, "-c", "import time; time.sleep(600)"], yes)
    stop = asyncio.Event()
    one = Supervisor([sleeping], state, lambda: None)
    running = asyncio.create_task(one.run(stop))
    await shows(one.runs["one"], "up")
    mine = {child.pid for child in psutil.Process().children()}
    assert not state.log("forkserver").exists()
    stop.set()
    await running
    assert one.runs["one"].process is not None
    assert one.runs["one"].process.pid in mine
