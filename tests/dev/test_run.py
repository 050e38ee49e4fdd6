"""One process under supervision, with commands of a line: jobs, restarts, hanging, and what it forked itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from app.dev import run as supervised
from app.dev.run import Run
from app.dev.service import CannotTell, Probe, Service
from app.dev.state import State
from app.dev.supervisor import Supervisor
from tests.waiting import SECONDS, until

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path / "state")
    state.prepare()
    return state


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "LIVENESS_SECONDS", 0.05)
    monkeypatch.setattr(supervised, "BACK_OFF", (0.01, 0.05))


async def yes(_pid: int) -> bool:
    return True


def answering(answers: Callable[[], bool]) -> Probe:
    async def probe(_pid: int) -> bool:
        return answers()

    return probe


@contextlib.asynccontextmanager
async def supervising(state: State, *services: Service) -> AsyncIterator[Supervisor]:
    stop = asyncio.Event()
    one = Supervisor(list(services), state, lambda: None)
    running = asyncio.create_task(one.run(stop))
    try:
        yield one
    finally:
        stop.set()
        await running


async def shows(run: Run, wanted: str) -> None:
    async def shown() -> bool:
        return run.state == wanted

    await until(shown)


async def holds(true: Callable[[], Any]) -> None:
    async def asked() -> Any:
        return true()

    await until(asked)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter when it ends between opening and reading
        return False


async def test_a_job_is_done_when_its_command_ends_well_and_what_needs_it_starts_then(state: State) -> None:
    job = Service("job", [sys.executable, "-c", "print('half way'); print('all of it')"], None)
    user = Service("user", SLEEP, yes, needs=("job",))
    async with supervising(state, job, user) as one:
        await shows(one.runs["user"], "up")
        assert one.runs["job"].state == "done"
    assert (one.runs["job"].state, one.runs["user"].state) == ("done", "stopped")
    assert "half way" in state.log("job").read_text()


async def test_a_job_that_fails_is_tried_again_and_says_why(state: State, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f"import pathlib, sys; pathlib.Path({str(ready)!r}).exists() or sys.exit('no disk')"
    async with supervising(state, Service("job", [sys.executable, "-c", script], None)) as one:
        run = one.runs["job"]
        await holds(lambda: run.restarts > 1 and run.note == "see log/job.log: no disk")
        ready.touch()
        await shows(run, "done")


async def test_a_failed_job_that_is_optional_holds_up_nobody(state: State) -> None:
    job = Service("job", [sys.executable, "-c", "raise SystemExit('no network')"], None, optional=True)
    async with supervising(state, job, Service("user", SLEEP, yes, needs=("job",))) as one:
        await shows(one.runs["user"], "up")
        assert (one.runs["job"].state, one.runs["job"].note) == ("failed", "see log/job.log: no network")


async def test_what_hangs_is_shown_as_silent_and_then_started_anew(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = True
    async with supervising(state, Service("one", SLEEP, answering(lambda: answers))) as one:
        run = one.runs["one"]
        await shows(run, "up")
        first = run.row()["pid"]
        monkeypatch.setattr(supervised, "LIVENESS_MISSES", 10_000)
        answers = False
        await shows(run, "silent")
        answers = True
        await shows(run, "up")
        assert run.restarts == 0
        monkeypatch.setattr(supervised, "LIVENESS_MISSES", 3)
        answers = False
        await holds(lambda: run.restarts == 1)
        answers = True
        await holds(lambda: run.state == "up" and run.row()["pid"] != first)
        assert not lives(first)


async def test_what_is_costly_to_start_again_may_be_silent_for_longer(state: State) -> None:
    asked: dict[str, list[int]] = {"one": [], "patient": []}

    def silent(name: str) -> Probe:
        async def alive(pid: int) -> bool:
            asked[name].append(pid)
            return False

        return alive

    one = Service("one", SLEEP, yes, alive=silent("one"))
    patient = Service("patient", SLEEP, yes, alive=silent("patient"), patience=4)
    async with supervising(state, one, patient) as both:
        for name, times in (("one", 1), ("patient", 4)):
            await holds(lambda run=both.runs[name]: run.restarts)
            assert asked[name].count(asked[name][0]) == times * supervised.LIVENESS_MISSES


async def test_what_cannot_be_told_just_now_is_no_reason_to_restart(state: State) -> None:
    asked = 0

    async def alive(_pid: int) -> bool:
        nonlocal asked
        asked += 1
        raise CannotTell

    async with supervising(state, Service("one", SLEEP, yes, alive=alive)) as one:
        await holds(lambda: asked > 3 * supervised.LIVENESS_MISSES)
        assert (one.runs["one"].state, one.runs["one"].restarts) == ("up", 0)


async def test_what_a_process_forked_ends_with_it_however_it_ended(state: State, tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = f"""import pathlib, subprocess, sys
started = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
pathlib.Path({str(child)!r}).write_text(str(started.pid))
started.wait()"""
    async with supervising(state, Service("one", [sys.executable, "-c", script], yes)) as one:
        await holds(lambda: child.exists() and child.read_text())
        forked = int(child.read_text())
        assert lives(forked)
        os.kill(one.runs["one"].row()["pid"], 9)
        await holds(lambda: one.runs["one"].restarts == 1)
        await holds(lambda: not lives(forked))


async def test_who_asks_twice_to_stop_does_not_wait(state: State) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    stop = asyncio.Event()
    one = Supervisor([Service("one", [sys.executable, "-c", deaf], yes, grace=3600)], state, lambda: None)
    running = asyncio.create_task(one.run(stop))
    await holds(lambda: state.log("one").exists() and "deaf" in state.log("one").read_text())
    stop.set()
    await shows(one.runs["one"], "stopping")
    one.hurry()
    await asyncio.wait_for(running, SECONDS)
    assert one.runs["one"].state == "stopped"


async def test_a_service_has_its_whole_grace_to_end_in(state: State) -> None:
    """Its watcher looks many times in that while."""
    slow = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), print('ended well', flush=True), sys.exit()))\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(0.1)"
    )
    async with supervising(state, Service("one", [sys.executable, "-c", slow], yes, grace=60)) as one:
        await shows(one.runs["one"], "up")
        await holds(lambda: "ready" in state.log("one").read_text())
    assert "ended well" in state.log("one").read_text()


async def test_what_a_killed_supervisor_left_is_ended_and_nothing_else_is(state: State) -> None:
    async with supervising(state, Service("one", SLEEP, yes)) as one:
        await shows(one.runs["one"], "up")
        row = one.runs["one"].row()
        state.write_status([row | {"born": row["born"] - 60}, row | {"pid": os.getpid()}, {"service": "never"}])
        state.end_remains(0.2)  # those ids belong to others by now
        assert lives(row["pid"])
        state.write_status([row])
        await asyncio.to_thread(state.end_remains, 0.2)
        await holds(lambda: not lives(row["pid"]))
