"""The supervisor's side of the forkserver: it asks for a process and hears of its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import IO

from app.core.lifetime import die_with_parent
from app.core.settings import ROOT
from app.dev.forkserver import PACKET
from app.dev.service import Service

MODULE = "app.dev.forkserver"
SECONDS = 60.0
"""So long a fork may take; the first waits for its imports."""


class Forked:
    """A process that was forked; has what the supervisor uses of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout: None = None
        self._ended = asyncio.Event()

    async def wait(self) -> int | None:
        """The exit status, negative for a signal, when it has ended."""
        await self._ended.wait()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError when it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def end(self, status: int) -> None:
        """It has ended."""
        self.returncode = status
        self._ended.set()


class Forks:
    """One forkserver, started at the first :meth:`begin` and again when it is gone."""

    def __init__(
        self, groups: Mapping[str, tuple[str, ...]], environment: Mapping[str, str], log: Callable[[], IO[bytes]]
    ) -> None:
        self._groups, self._environment, self._log = dict(groups), dict(environment), log
        self._line: socket.socket | None = None
        self._server: asyncio.subprocess.Process | None = None
        self._forked: dict[int, Forked] = {}
        self._answer: asyncio.Future[Forked | None] | None = None
        self._asking = asyncio.Lock()

    def command(self) -> list[str]:
        """The command line of the forkserver, and so of each process that it forks."""
        return [sys.executable, "-m", MODULE, json.dumps(self._groups)]

    def forks(self, command: list[str]) -> bool:
        """Whether *command* is one of those that it may be asked for."""
        return command[:2] == [sys.executable, "-m"] and command[2] in self._groups

    async def begin(self) -> None:
        """Start the forkserver, which imports from now on."""
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other, self._log() as log:
            self._server = await asyncio.create_subprocess_exec(
                *self.command(),
                env=os.environ | self._environment,
                cwd=ROOT,
                stdin=other.fileno(),
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
                start_new_session=True,
            )
        own.setblocking(False)
        self._line = own
        asyncio.get_running_loop().add_reader(own, self._heard, own)

    async def fork(self, service: Service, output: IO[bytes]) -> Forked | None:
        """A process that does what its command says, or None when it has to be started in the ordinary way."""
        async with self._asking:
            if self._line is None:
                await self.begin()
            assert self._line is not None  # noqa: S101 - begin made it
            request = {
                "argv": service.command[2:],
                "environment": os.environ | service.environment,
                "folder": str(service.folder),
                "name": service.name,
            }
            self._answer = asyncio.get_running_loop().create_future()
            try:
                socket.send_fds(self._line, [json.dumps(request).encode()], [output.fileno()])
                return await asyncio.wait_for(self._answer, SECONDS)
            except (OSError, TimeoutError):
                self.end()  # what is still forked dies with it, and is started again
                return None
            finally:
                self._answer = None

    def _heard(self, line: socket.socket) -> None:
        try:
            packet = line.recv(PACKET)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._gone(line)
            return
        said = json.loads(packet)
        if "ended" in said:
            self._forked.pop(said["ended"]).end(said["status"])
            return
        made = None
        if pid := said.get("pid"):
            made = self._forked[pid] = Forked(pid)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(made)

    def _gone(self, line: socket.socket) -> None:
        """Everything that it forked asked the kernel to die with it."""
        asyncio.get_running_loop().remove_reader(line)
        line.close()
        if self._line is line:
            self._line = None
        for one in self._forked.values():
            one.end(-signal.SIGKILL)
        self._forked.clear()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def end(self) -> None:
        """End it, and with it whatever it forked and was not stopped before."""
        if self._line is not None:
            self._gone(self._line)
        if self._server is not None and self._server.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._server.kill()

    async def ended(self) -> None:
        """:meth:`end`, and until it is gone."""
        self.end()
        if self._server is not None:
            await self._server.wait()
