"""What the web server loads: `python -m app.web.serve --interface rsgi --factory app.web.rsgi:application`.

Each request runs as a greenlet on the server's own event loop. Flask and the views that it calls stay as they are;
where one waits, the loop goes on with other requests, and no thread is woken to tell another that it may go on.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import signal
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

from flask import Flask
from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope  # pyright: ignore[reportPrivateImportUsage]
from sqlalchemy.util import await_, greenlet_spawn

from app.core.lifetime import die_with_parent_if_asked
from app.core.settings import settings
from app.web import changes
from app.web.factory import create_app

AT_ONCE = 32
"""Requests that one process works on together; more of them would only wait for the same few connections."""

_ALWAYS: WSGIEnvironment = {
    "SCRIPT_NAME": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}
EVENTS = "text/event-stream; charset=utf-8"
_WITHOUT_PREFIX = ("CONTENT_TYPE", "CONTENT_LENGTH")


class Turn:
    """One of the requests that are worked on. A stream of events, which mostly waits, gives it back as it begins."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free, self._taken = free, False

    async def __aenter__(self) -> None:
        await self._free.acquire()
        self._taken = True

    async def __aexit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        if self._taken:
            self._taken = False
            self._free.release()


class Application:
    """A WSGI application behind Granian's RSGI, which starts no thread for a request."""

    def __init__(self, answer: WSGIApplication, most_bytes: int) -> None:
        self._answer = answer
        self._most_bytes = most_bytes
        self._free = asyncio.Semaphore(AT_ONCE)

    def __rsgi_init__(self, _loop: asyncio.AbstractEventLoop) -> None:
        """A worker begins. The loop hears of a signal by its wakeup descriptor, so the server's own handler stays."""
        signal.signal(signal.SIGTERM, changes.end)

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request; a sender that is slow takes nobody's turn."""
        environ = _ALWAYS | _environ(scope)
        environ["wsgi.input"] = io.BytesIO(await self._body(environ, protocol))
        turn = Turn(self._free)
        async with turn:
            await greenlet_spawn(self._serve, environ, protocol, turn)

    async def _body(self, environ: WSGIEnvironment, protocol: HTTPProtocol) -> bytes:
        """What was sent, but no more than Flask needs to see that it is too much."""
        length = environ.get("CONTENT_LENGTH", "")
        if length.isdecimal():
            return await protocol() if 0 < int(length) <= self._most_bytes else b""
        if environ.pop("HTTP_TRANSFER_ENCODING", None) is None:
            return b""
        read = bytearray()
        async for chunk in protocol:
            read += chunk
            if len(read) > self._most_bytes:
                break
        environ["CONTENT_LENGTH"] = str(len(read))
        return bytes(read)

    def _serve(self, environ: WSGIEnvironment, protocol: HTTPProtocol, turn: Turn) -> None:
        said: list[tuple[int, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
            said.append((int(status[:3]), headers))

        body = self._answer(environ, start)
        (status, headers), parts = said[0], iter(body)
        try:
            if ("Content-Type", EVENTS) in headers:
                turn.end()
                _stream(protocol, status, headers, parts)
            else:
                _send(protocol, status, headers, parts)
        except ProtocolClosed:
            pass  # who asked has gone, which is no fault of anybody
        finally:
            if close := getattr(body, "close", None):
                close()


def _send(protocol: HTTPProtocol, status: int, headers: list[tuple[str, str]], parts: Iterator[bytes]) -> None:
    """One piece is sent at once; of more, each as it comes, so that a large file is never in memory."""
    first, second = next(parts, b""), next(parts, None)
    if second is None:
        protocol.response_bytes(status, headers, first)
        return
    _stream(protocol, status, headers, itertools.chain((first, second), parts))


def _stream(protocol: HTTPProtocol, status: int, headers: list[tuple[str, str]], parts: Iterable[bytes]) -> None:
    stream = protocol.response_stream(status, headers)
    for part in parts:
        await_(stream.send_bytes(part))


def _environ(scope: Scope) -> WSGIEnvironment:
    """The request as PEP 3333 has it. A name with an underscore could pass for another header, so it is left out."""
    host, _, port = scope.server.rpartition(":")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode().decode("latin-1"),  # it comes decoded; PEP 3333 wants bytes in a text
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "wsgi.url_scheme": scope.scheme,
    }
    for name, value in scope.headers.items():
        if "_" in name:
            continue
        key = name.upper().replace("-", "_")
        key = key if key in _WITHOUT_PREFIX else f"HTTP_{key}"
        known = environ.get(key)
        environ[key] = value if known is None else f"{known}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
    if scope.authority and "HTTP_HOST" not in environ:
        environ["HTTP_HOST"] = scope.authority  # HTTP/2 has no Host
    return environ


@cache
def made() -> Flask:
    """The application of this process and of those that it forks: to make it takes a third of a second."""
    return create_app()


def application() -> Application:
    """What a worker of the server serves."""
    die_with_parent_if_asked()
    return Application(made(), settings().web.max_body_bytes)
