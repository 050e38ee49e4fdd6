"""`dams up`: the live table, the address to open, the demo users; and what a signal does."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from app.dev.service import Wanted
from app.dev.services import services
from app.dev.state import State, holder_of, taken
from app.dev.supervisor import Supervisor

USERS = ("admin", "staff", "doctor", "patient", "modeler", "ops")
GOOD = ("up", "done")
COLOURS = {
    "up": "green",
    "done": "green",
    "failed": "red",
    "silent": "red",
    "restarting": "red",
    "stopping": "yellow",
    "stopped": "dim",
    "waiting": "dim",
}


class AlreadyRunning(RuntimeError):
    """Another `dams up` runs on this state"""


class PortTaken(RuntimeError):
    """Something else listens on a port that DAMS needs"""


def table(rows: list[dict[str, Any]]) -> Table:
    """service · state · seconds · address, as `up` and `status` show it."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("service", "state", "seconds", "address", ""):
        shown.add_column(heading, justify="right" if heading == "seconds" else "left", overflow="fold")
    for row in rows:
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
        colour = COLOURS.get(row["state"], "cyan")
        shown.add_row(row["service"], f"[{colour}]{row['state']}[/]", seconds, row["address"], row["note"])
    return shown


def check_port(wanted: Wanted) -> None:
    """Raise :class:`PortTaken`, naming port and holder, before anything is started."""
    if taken(wanted.port):
        by = holder_of(wanted.port)
        raise PortTaken(f"port {wanted.port}, which the web needs, is taken by {by}; choose another with --port")


async def up(state: State, wanted: Wanted, console: Console) -> None:
    """Run until SIGINT or SIGTERM; a second one does not wait for anything.

    Raises :class:`AlreadyRunning`, :class:`PortTaken`, NotAState or NoSuchService before it starts anything.
    """
    state.prepare()
    if not state.lock():
        raise AlreadyRunning(f"DAMS is already running on {state.folder} (process {state.holder()})")
    state.end_remains()
    shutil.rmtree(state.folder / "metrics", ignore_errors=True)  # counted by processes that are no more
    check_port(wanted)
    for name, (old, new) in state.settle_ports().items():
        console.print(f"port {old} of {name} is taken by {holder_of(old)}; it moves to {new}", highlight=False)
    listed = services(state, wanted)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    view = _View(state, wanted, console)
    supervisor = Supervisor(listed, state, lambda: view.show(supervisor.rows()))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: supervisor.hurry() if stop.is_set() else stop.set())
    with view:
        await supervisor.run(stop)
    console.print("stopped")


class _View:
    """A table that is redrawn on a terminal, and lines of what changed where there is none."""

    def __init__(self, state: State, wanted: Wanted, console: Console) -> None:
        self._state, self._wanted, self._console = state, wanted, console
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
        self._told: dict[str, str] = {}
        self._greeted: set[str] = set()
        self._began = time.monotonic()

    def __enter__(self) -> None:
        if self._live:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, rows: list[dict[str, Any]]) -> None:
        if self._live:
            self._live.update(table(rows), refresh=True)
        else:
            self._lines(rows)
        states = {row["service"]: row["state"] for row in rows}
        if states.get("web") == "up" and "web" not in self._greeted:
            self._greeted.add("web")
            self._greet()
        if all(state in GOOD for state in states.values()) and "all" not in self._greeted:
            self._greeted.add("all")
            self._console.print(f"everything is up after {time.monotonic() - self._began:.1f} s; Ctrl-C stops it")

    def _lines(self, rows: list[dict[str, Any]]) -> None:
        width = max(len(row["service"]) for row in rows) + 1
        for row in rows:
            seconds = f" after {row['seconds']} s" if row["state"] in GOOD else ""
            line = f"{row['service']:<{width}}{row['state']}{seconds}  {row['note'] or row['address']}"
            if self._told.get(row["service"]) != line:
                self._told[row["service"]] = line
                self._console.print(line, highlight=False, markup=False, soft_wrap=True)
                sys.stdout.flush()

    def _greet(self) -> None:
        self._console.print(f"\n  open  [bold]http://127.0.0.1:{self._wanted.port}/[/]")
        if self._wanted.demo:
            self._console.print(f"  users {', '.join(USERS)}")
            password = self._state.show_demo_password()
            told = f"[bold]{password}[/] (shown this once)" if password else self._told_elsewhere()
            self._console.print(f"  password of each: {told}\n", highlight=False)

    @staticmethod
    def _told_elsewhere() -> str:
        return "that of DAMS_DEMO_PASSWORD" if os.environ.get("DAMS_DEMO_PASSWORD") else "as shown at the first start"
