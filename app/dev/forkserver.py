"""A process that has imported what ours need, and forks each of them: it begins where `python -m` would first import.

The supervisor starts it as `python -m app.dev.forkserver GROUPS` with a Unix socket as its standard input. GROUPS is a
JSON object: the modules that may be asked for, and what each imports; a name that ends with `.*` means all modules of
that package. They are imported in this order, and whoever is asked for before its turn is imported at once.

Each packet is a request, `{"argv": ["workers.relay"], "environment": {…}, "folder": "/", "name": "relay"}`, with a
descriptor for its output, and is answered with `{"pid": 12}` or `{"refused": "why"}`. `{"ended": 12, "status": 0}`
tells of an end, with the status of `subprocess`. Not forked is what reads the settings when it is imported, since those
of whoever is forked may be others, and what was changed on the disk since, since the new text would not be run.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from app.core.lifetime import die_with_parent
from app.core.settings import ROOT, settings

PACKET = 65_536
ONCE = "PROMETHEUS_MULTIPROC_DIR"
"""A variable that is read when `app.core.metrics` is imported."""


class Forkserver:
    """What was imported, and who was forked."""

    def __init__(self, line: socket.socket, groups: dict[str, list[str]]) -> None:
        self._line = line
        self._waiting = dict(groups)
        self._loaded: set[str] = set()
        self._files: dict[str, int] = {}
        self._children: set[int] = set()

    def serve(self) -> list[str] | None:
        """Answer until the supervisor is gone. Comes back in each child too, with what that is to run."""
        awake, wakes = self._wakened = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler nothing is written to the descriptor
        signal.set_wakeup_fd(wakes)
        while True:
            asked, _, _ = select.select([self._line, awake], [], [], 0 if self._waiting else None)
            if awake in asked:
                os.read(awake, PACKET)
                self._tell_ends()
            if self._line in asked:
                packet, descriptors, _, _ = socket.recv_fds(self._line, PACKET, 1)
                if not packet:
                    return None
                if (argv := self.answer(json.loads(packet), descriptors[0])) is not None:
                    return argv
            elif self._waiting:
                self.load(next(iter(self._waiting)))

    def load(self, main: str) -> None:
        """Import what *main* needs. One that fails is left to `python -m`, whose log then says why."""
        try:
            for name in self._waiting.pop(main):
                package = importlib.import_module(name.removesuffix(".*"))
                if name.endswith(".*"):
                    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
                        importlib.import_module(found.name)
            if settings.cache_info().currsize:
                settings.cache_clear()
                raise RuntimeError(f"what {main} imports reads the settings")  # noqa: TRY301 - shown like the others
        except Exception:  # noqa: BLE001 - a module may fail in any way; it is shown, and whoever needs it says so again
            traceback.print_exc()
        else:
            self._loaded.add(main)
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if path and path.startswith(f"{ROOT}{os.sep}") and path not in self._files:
                self._files[path] = _changed_at(path)
        gc.collect()
        gc.freeze()  # a collection in a child would write to, and so copy, every page of what is shared

    def answer(self, request: dict[str, Any], output: int) -> list[str] | None:
        """Fork, or say why not. Gives what is to run in the child, None in this process."""
        main = request["argv"][0]
        if main in self._waiting:
            self.load(main)
        if reason := self._refuses(main, request["environment"]):
            return self._refuse(main, reason, output)
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # no memory or no process left just now: those that run must not die with this one
            return self._refuse(main, str(error), output)
        if pid == 0:
            self._line.detach()  # its descriptor is the standard input, which becomes another
            for descriptor in self._wakened:
                os.close(descriptor)
            _become(request, output, parent)
            return list(request["argv"])
        os.close(output)
        self._children.add(pid)
        self._say({"pid": pid})
        return None

    def _refuse(self, main: str, reason: str, output: int) -> None:
        """It is executed then, which takes longer: the log says why."""
        os.close(output)
        sys.stderr.write(f"{main} is not forked: {reason}\n")
        sys.stderr.flush()
        self._say({"refused": reason})

    def _refuses(self, main: str, environment: dict[str, str]) -> str:
        if main not in self._loaded:
            return f"{main} was not imported"
        if environment.get(ONCE) != os.environ.get(ONCE):
            return f"{ONCE} is another"
        if changed := [path for path, at in self._files.items() if _changed_at(path) != at]:
            return f"{Path(changed[0]).relative_to(ROOT)} has changed"
        if threading.active_count() > 1:
            return "a module started a thread when it was imported, which a fork would lose"
        return ""

    def _tell_ends(self) -> None:
        for child in sorted(self._children):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                self._children.remove(pid)
                self._say({"ended": pid, "status": os.waitstatus_to_exitcode(status)})

    def _say(self, what: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the supervisor is gone, and so is everything before long
            self._line.send(json.dumps(what).encode())


def _changed_at(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - some hundred files at every start
    except OSError:
        return 0


def _become(request: dict[str, Any], output: int, parent: int) -> None:
    """What `subprocess` does between fork and exec: a session, a folder, output, signals, and dying with the parent."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, wanted in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, wanted)
    os.close(nothing)
    os.close(output)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    die_with_parent()
    if os.getppid() != parent:  # it died before the kernel was asked to tell of its death
        os._exit(1)
    # `ps` and `top` show this name; the command line stays that of the forkserver.
    Path("/proc/self/comm").write_text(f"dams-{request['name']}"[:15])


def run(argv: list[str]) -> None:
    """Do what `python -m` does with *argv*, whose module is executed as `__main__`, anew where it was imported."""
    sys.modules.pop(argv[0], None)
    sys.argv = argv
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    given = Forkserver(socket.socket(fileno=0), json.loads(sys.argv[1])).serve()
    if given is not None:
        run(given)
