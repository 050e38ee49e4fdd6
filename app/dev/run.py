"""One service under supervision: started, watched, started again when it ends or stops answering."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import IO, Any

import psutil

from app.dev.forks import Forked, Forks
from app.dev.service import CannotTell, Probe, Service
from app.dev.state import State

READY_LIMIT = 180.0
LIVENESS_SECONDS = 5.0
LIVENESS_MISSES, SHOWN_MISSES = 6, 2
LOG_BYTES = 10 * 1024 * 1024
BACK_OFF = (0.2, 10.0)
SERVED_SECONDS = 30.0


class Run:
    """What one row of the table says.

    `state`: waiting, preparing, starting, up, silent (it no longer answers), restarting, stopping, stopped;
    a job is done or failed.
    """

    def __init__(self, service: Service, state: State, changed: Callable[[], None], forks: Forks | None = None) -> None:
        self.service = service
        self.command = service.command
        """The command line of the process that runs."""
        self.state, self.note = "waiting", ""
        self.up = asyncio.Event()
        self.seconds: float | None = None
        self.restarts = 0
        self.process: asyncio.subprocess.Process | Forked | None = None
        self._folder, self._changed, self._forks = state, changed, forks
        self._stopping = self._hurried = self._prepared = False
        self._spawning = asyncio.Lock()
        self._began = time.monotonic()
        self._born: float | None = None

    async def keep(self, needs: list[Run]) -> None:
        """Start when *needs* are up, and again whenever it ends, until :meth:`stop`. A job ends when it is done."""
        for need in needs:
            await need.up.wait()
        delay = BACK_OFF[0]
        while not self._stopping:
            started = time.monotonic()
            came_up = await self._once()
            if self._stopping or (self.service.ready is None and self._job_over(came_up)):
                return
            self.up.clear()
            self.restarts += 1
            # One that served for a while starts again at once; one that cannot start is not hammered.
            served = came_up and time.monotonic() - started > SERVED_SECONDS
            self._show("restarting", self.note)
            await asyncio.sleep(0 if served else delay)
            delay = BACK_OFF[0] if served else min(delay * 2, BACK_OFF[1])

    def _job_over(self, well: bool) -> bool:
        """A job that went well is done; an optional one that did not is not tried again."""
        if well or self.service.optional:
            self.seconds = time.monotonic() - self._began
            self.up.set()
            self._show("done" if well else "failed", "" if well else self.note)
            return True
        return False

    async def _once(self) -> bool:
        self._began = self._began if self.restarts == 0 else time.monotonic()
        try:
            await self._prepare()
            async with self._spawning:
                if self._stopping:
                    return False
                await self._spawn()
        except Exception as error:  # noqa: BLE001 - whatever keeps a service from starting is shown and tried again
            self.note = _last_line(str(error)) or type(error).__name__
            return False
        if self.service.ready is None:
            return await self._finish()
        came_up = await self._wait_ready(self.service.ready)
        if came_up:
            await self._watch(self.service.alive or self.service.ready)
        if self._stopping:
            return came_up  # `stop` gives it its grace and clears up: killing here would take the grace away
        await self._clear_up()
        if self.process is not None:
            self.note = f"ended with {self.process.returncode}; see log/{self.service.name}.log"
        return came_up

    async def _prepare(self) -> None:
        if self.service.prepare is not None and not self._prepared:
            self._show("preparing")
            loop = asyncio.get_running_loop()
            # Progress comes from worker threads; the table belongs to the loop.
            await self.service.prepare(lambda note: loop.call_soon_threadsafe(self._progress, note) and None)
            self._prepared = True  # a restart is quick: what was made once is there

    async def _spawn(self) -> None:
        job = self.service.ready is None
        # Why it starts again stays to be read until it is up.
        self._show("preparing" if job else "starting", self.note if self.restarts else "")
        with self._log() as log:
            self.process = await self._fork(log) or await self._execute(asyncio.subprocess.PIPE if job else log)
        with contextlib.suppress(psutil.Error):
            self._born = psutil.Process(self.process.pid).create_time()

    async def _fork(self, log: IO[bytes]) -> Forked | None:
        if self._forks is None or not self._forks.forks(self.service.command):
            return None
        forked = await self._forks.fork(self.service, log)
        self.command = self._forks.command()
        return forked

    async def _execute(self, output: IO[bytes] | int) -> asyncio.subprocess.Process:
        self.command = self.service.command
        return await asyncio.create_subprocess_exec(
            *self.command,
            env=os.environ | self.service.environment,
            cwd=self.service.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=_become(self.service.become, os.getpid()),
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops things in order
        )

    async def _finish(self) -> bool:
        """Follow a job to its end: the last line it prints is its note, with where its log is when it fails."""
        assert self.process is not None  # noqa: S101 - _spawn made it
        assert self.process.stdout is not None  # noqa: S101 - a job's output is a pipe
        last = ""
        with self._log() as log:
            async for line in self.process.stdout:
                log.write(line)
                if said := _last_line(line.decode(errors="replace")):
                    last = said
                    self._show("preparing", said)
        if await self.process.wait() == 0:
            return True
        self.note = f"see log/{self.service.name}.log: {last or self.process.returncode}"
        return False

    def _progress(self, note: str) -> None:
        if self.state == "preparing" and note != self.note:
            self._show("preparing", note)

    def _log(self) -> IO[bytes]:
        path = self._folder.log(self.service.name)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    async def _wait_ready(self, ready: Probe) -> bool:
        limit = time.monotonic() + READY_LIMIT
        while self.process is not None and self.process.returncode is None and time.monotonic() < limit:
            if await self._asks(ready) and not self._stopping:
                self.seconds = time.monotonic() - self._began
                self.up.set()
                self._show_up()
                return True
            await asyncio.sleep(0.1)
        return False

    async def _watch(self, alive: Probe) -> None:
        """Until it ends or stops answering: a process that hangs is as dead as one that is gone."""
        misses = 0
        assert self.process is not None  # noqa: S101 - _wait_ready said so
        waiting = asyncio.ensure_future(self.process.wait())
        while misses < LIVENESS_MISSES * self.service.patience and not self._stopping:
            done, _ = await asyncio.wait([waiting], timeout=LIVENESS_SECONDS)
            if done:
                return
            answer = await self._asks(alive)
            if answer is not None:
                misses = 0 if answer else misses + 1
            if misses == SHOWN_MISSES:
                self._show("silent", "does not answer")
            elif misses == 0 and self.state == "silent":
                self._show_up()
        waiting.cancel()

    async def _asks(self, probe: Probe) -> bool | None:
        """Yes, no, or None when it cannot be told."""
        assert self.process is not None  # noqa: S101 - asked about a running process only
        try:
            return await asyncio.wait_for(probe(self.process.pid), 5)
        except CannotTell:
            return None
        except Exception:  # noqa: BLE001 - a probe of any client may fail in any way while its server comes up
            return False

    async def stop(self) -> None:
        """End it: first politely, after its grace by force."""
        self._stopping = True
        async with self._spawning:  # one that is being started just now would stay behind
            pass
        if self.process is None or self.process.returncode is not None:
            self.kill()
            if self.state not in ("done", "failed"):
                self._show("stopped")
            return
        self._show("stopping")
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(self.service.stop)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), 0 if self._hurried else self.service.grace)
        await self._clear_up()
        self._show("stopped")

    async def _clear_up(self) -> None:
        """What the service forked itself is in its session; nothing of it may stay, however it ended."""
        self.kill()
        if self.process is not None:
            await self.process.wait()

    def give_up(self) -> None:
        """End it now and for good."""
        self._stopping = self._hurried = True
        self.kill()

    def kill(self) -> None:
        """End its whole session now."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def _show_up(self) -> None:
        self._show("up", f"restarted {self.restarts}×" if self.restarts else "")

    def _show(self, state: str, note: str = "") -> None:
        self.state, self.note = state, note
        self._changed()

    def row(self) -> dict[str, Any]:
        """What the table and `dams status` show."""
        return {
            "service": self.service.name,
            "state": self.state,
            "seconds": round(self.seconds, 1) if self.seconds is not None else None,
            "address": self.service.address,
            "note": self.note,
            "pid": self.process.pid if self.process else None,
            "born": self._born,
            "restarts": self.restarts,
        }


def _become(become: Callable[[], None], parent: int) -> Callable[[], None]:
    def prepare() -> None:
        become()
        # The supervisor may have died before the kernel was asked to tell of its death.
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:160] if lines else ""
