"""Starts the services in the order of their needs, watches them, restarts what dies, stops all in reverse.

No process outlives this one: each asks the kernel to die with its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from app.dev.service import Service
from app.dev.state import State

READY_LIMIT = 180.0
LIVENESS_SECONDS = 5.0
LIVENESS_MISSES = 6
LOG_BYTES = 10 * 1024 * 1024
BACK_OFF = (0.2, 10.0)


class Run:
    """One service under supervision. `state` is what the table shows: waiting, preparing, starting, up, restarting…"""

    def __init__(self, service: Service, state: State, changed: Callable[[], None]) -> None:
        self.service = service
        self.state, self.note = "waiting", ""
        self.up = asyncio.Event()
        self.seconds: float | None = None
        self.restarts = 0
        self.process: asyncio.subprocess.Process | None = None
        self._folder, self._changed = state, changed
        self._stopping = self._prepared = False
        self._began = time.monotonic()

    async def keep(self, needs: list[Run]) -> None:
        """Start when *needs* are up, and again whenever it ends, until :meth:`stop`."""
        for need in needs:
            await need.up.wait()
        delay = BACK_OFF[0]
        while not self._stopping:
            started = time.monotonic()
            came_up = await self._once()
            if self._stopping:
                return
            self.up.clear()
            self.restarts += 1
            # One that served for a while starts again at once; one that cannot start is not hammered.
            delay = BACK_OFF[0] if came_up and time.monotonic() - started > 30 else min(delay * 2, BACK_OFF[1])
            self._show("restarting", self.note)
            await asyncio.sleep(delay)

    async def _once(self) -> bool:
        self._began = self._began if self.restarts == 0 else time.monotonic()
        try:
            await self._prepare()
            await self._spawn()
        except Exception as error:  # noqa: BLE001 - whatever keeps a service from starting is shown and tried again
            self.note = str(error).strip().splitlines()[-1][:160] if str(error) else type(error).__name__
            return False
        came_up = await self._wait_ready()
        if came_up:
            await self._watch()
        if self.process is not None:
            if self.process.returncode is None:
                await self._end(signal.SIGKILL)
            if not self._stopping:
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
        self._show("starting")
        with self._log() as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.service.command,
                env=os.environ | self.service.environment,
                cwd=self.service.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self.service.become,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops things in order
            )

    def _progress(self, note: str) -> None:
        if self.state == "preparing" and note != self.note:
            self._show("preparing", note)

    def _log(self) -> Any:
        path = self._folder.log(self.service.name)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    async def _wait_ready(self) -> bool:
        limit = time.monotonic() + READY_LIMIT
        while self.process is not None and self.process.returncode is None and time.monotonic() < limit:
            if await self._asks():
                self.seconds = time.monotonic() - self._began
                self.up.set()
                self._show("up", "" if self.restarts == 0 else f"restarted {self.restarts}×")
                return True
            await asyncio.sleep(0.1)
        return False

    async def _watch(self) -> None:
        """Until it ends or stops answering: a process that hangs is as dead as one that is gone."""
        misses = 0
        assert self.process is not None  # noqa: S101 - _wait_ready said so
        waiting = asyncio.ensure_future(self.process.wait())
        while misses < LIVENESS_MISSES and not self._stopping:
            done, _ = await asyncio.wait([waiting], timeout=LIVENESS_SECONDS)
            if done:
                return
            misses = 0 if await self._asks() else misses + 1
        waiting.cancel()

    async def _asks(self) -> bool:
        try:
            return await asyncio.wait_for(self.service.ready(), 5)
        except Exception:  # noqa: BLE001 - a probe of any client may fail in any way while its server comes up
            return False

    async def stop(self) -> None:
        """End it: first politely, after its grace by force."""
        self._stopping = True
        if self.process is None or self.process.returncode is not None:
            self._show("stopped")
            return
        self._show("stopping")
        await self._end(self.service.stop)
        self._show("stopped")

    async def _end(self, number: int) -> None:
        assert self.process is not None  # noqa: S101 - both callers checked
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), self.service.grace)
        # What the service forked itself is in its session; nothing of it may stay.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()

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
            "restarts": self.restarts,
        }


class Supervisor:
    """All services of one state folder."""

    def __init__(self, services: list[Service], state: State, changed: Callable[[], None]) -> None:
        self._state, self._tell = state, changed
        self.runs = {service.name: Run(service, state, self._changed) for service in services}

    def rows(self) -> list[dict[str, Any]]:
        return [run.row() for run in self.runs.values()]

    async def run(self, until: asyncio.Event) -> None:
        """Keep everything running until *until* is set, then stop it in reverse order of needs."""
        keeping = [
            asyncio.create_task(run.keep([self.runs[need] for need in run.service.needs])) for run in self.runs.values()
        ]
        try:
            await until.wait()
        finally:
            await self._stop()
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)

    async def _stop(self) -> None:
        users = [run for run in self.runs.values() if run.service.needs]
        await asyncio.gather(*(run.stop() for run in users))
        await asyncio.gather(*(run.stop() for run in self.runs.values() if run not in users))

    def _changed(self) -> None:
        self._state.write_status(self.rows())
        self._tell()
