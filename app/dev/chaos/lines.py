"""Network lines that can be cut: each leads one port to another through this process."""

from __future__ import annotations

import asyncio
from typing import cast


class Line:
    """All connections from one process to one server.

    A cut is silent, as on a broken network: what is sent goes nowhere, and who connects gets no word. With *reset*
    the connections that are open are also broken, so that answers on their way are lost.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self.is_cut = self.loses = False
        self._server: asyncio.Server | None = None
        self._ends: set[_End] = set()
        self._joining: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen. Port 0 is one that the kernel gives, which no server of this machine has been promised."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Near(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for end in list(self._ends):
            end.break_off()
        await asyncio.gather(*self._joining, return_exceptions=True)
        while self._ends:  # noqa: ASYNC110 - each leaves when the loop has told it that its connection is lost
            await asyncio.sleep(0)

    def cut(self, *, reset: bool = False) -> None:
        self.is_cut = True
        for end in list(self._ends):
            if reset:
                end.break_off()
            else:
                end.hold()

    def mend(self) -> None:
        """What was sent meanwhile arrives now, as a network that sends again would do it."""
        self.is_cut = False
        for end in list(self._ends):
            end.go_on()

    def lose(self) -> None:
        """The next answer is lost with its connection: what was asked for is done, and who asked hears nothing."""
        self.loses = True

    def add(self, end: _End) -> None:
        self._ends.add(end)

    def leave(self, end: _End) -> None:
        self._ends.discard(end)

    def join(self, near: _Near) -> None:
        """Connect to the server on behalf of who has connected here."""
        task = asyncio.create_task(self._join(near))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    async def _join(self, near: _Near) -> None:
        loop = asyncio.get_running_loop()
        try:
            _transport, far = await loop.create_connection(lambda: _Far(self), "127.0.0.1", self.target)
        except OSError:
            near.break_off()  # nobody listens there: who connected sees its connection end
            return
        far.other, near.other = near, far
        if near.transport is None or near.transport.is_closing():
            far.break_off()
            return
        if self.is_cut:
            return
        near.go_on()
        far.go_on()


class _End(asyncio.Protocol):
    """One side of a connection; what it hears it gives to `other`."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.other: _End | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._line.add(self)
        self.hold()

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool | None:
        if self.other is not None and self.other.transport is not None and self.other.transport.can_write_eof():
            self.other.transport.write_eof()
            return True
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.leave(self)
        if self.other is not None and self.other.transport is not None:
            if exc is None:
                self.other.transport.close()
            else:
                self.other.transport.abort()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.hold()

    def resume_writing(self) -> None:
        if self.other is not None and not self._line.is_cut:
            self.other.go_on()

    def hold(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()

    def go_on(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def break_off(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Far(_End):
    """The side of the server."""

    def data_received(self, data: bytes) -> None:
        if not self._line.loses:
            super().data_received(data)
            return
        self._line.loses = False
        self.break_off()
        if self.other is not None:
            self.other.break_off()


class _Near(_End):
    """The side of who connects: heard only when the server is reached."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self._line.is_cut:
            self._line.join(self)

    def go_on(self) -> None:
        if self.other is None and not self._line.is_cut:
            self._line.join(self)
        else:
            super().go_on()


Lines = dict[tuple[str, str], Line]
"""By the process that connects and the server that it reaches."""


def reaching(lines: Lines, part: str) -> list[Line]:
    """What a cut of *part* cuts: the lines to it where it is a server that others reach, else the lines from it."""
    to = [line for (_client, server), line in lines.items() if server == part]
    return to or [line for (client, _server), line in lines.items() if client == part]


async def reached(lines: Lines, client: str, server: str, target: int) -> Line:
    """The line from *client* to *server*, opened where there is none yet."""
    if (client, server) not in lines:
        lines[client, server] = Line(0, target)
        await lines[client, server].open()
    return lines[client, server]
