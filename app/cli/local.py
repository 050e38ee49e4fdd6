"""Commands about the servers of this machine: up, down, status, reset, migrate, seed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import click

from app.core.root import ROOT

state_option = click.option(
    "--state", "folder", type=click.Path(path_type=Path), default=ROOT / ".dams", help="Where servers keep their data."
)


class Scale(click.ParamType[tuple[str, int]]):
    """`kind=n`, e.g. `relay=2`."""

    name = "kind=n"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        kind, _, number = value.partition("=")
        if not kind or not number.isdecimal() or not 0 <= int(number) <= 64:
            self.fail(f"{value!r} is not like relay=2 (0 to 64)", param, ctx)
        return kind, int(number)


@click.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="The web's port.")
@click.option("--web-workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Processes of the web.")
@click.option("--scale", multiple=True, type=Scale(), help="So many processes of a kind of worker, e.g. relay=2.")
@click.option("--with", "extra", multiple=True, metavar="SERVICE", help="Also start this optional service.")
@click.option("--no-web-build", is_flag=True, help="Do not build the front end: diagrams are drawn plainly.")
@click.option("--test-clock", is_flag=True, help="Let POST /api/v1/clock move the service's time (demo only).")
@state_option
def up(
    port: int,
    web_workers: int,
    scale: tuple[tuple[str, int], ...],
    extra: tuple[str, ...],
    no_web_build: bool,
    test_clock: bool,
    folder: Path,
) -> None:
    """Start every server and the web, and keep them running until Ctrl-C."""
    from rich.console import Console

    from app.dev.service import Wanted
    from app.dev.services import NoSuchService
    from app.dev.state import NotAState, State
    from app.dev.up import AlreadyRunning, PortTaken
    from app.dev.up import up as run

    wanted = Wanted(
        port=port,
        web_workers=web_workers,
        front_end=not no_web_build,
        test_clock=test_clock,
        scale=dict(scale),
        extra=extra,
    )
    try:
        asyncio.run(run(State(folder), wanted, Console()))
    except (AlreadyRunning, PortTaken, NotAState, NoSuchService) as error:
        raise SystemExit(f"dams: {error}") from error
    except PermissionError as error:
        raise SystemExit(f"dams: {error.filename} cannot be written by this user; see --state") from error


@click.command()
@state_option
def down(folder: Path) -> None:
    """Stop what `dams up` started on this state."""
    from app.dev.state import State

    pid = State(folder).holder() if folder.exists() else None
    if pid is None:
        click.echo("nothing runs on this state")
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while State(folder).holder() is not None:
        if time.monotonic() > deadline:
            raise SystemExit(f"dams: process {pid} is still stopping after a minute")
        time.sleep(0.1)
    click.echo("stopped")


@click.command()
@state_option
def status(folder: Path) -> None:
    """Show the table of services. Exit code 0: all up, 1: something is not, 3: nothing runs."""
    from rich.console import Console

    from app.dev.state import State
    from app.dev.up import GOOD, table

    state = State(folder)
    if not folder.exists() or state.holder() is None:
        click.echo("nothing runs on this state")
        sys.exit(3)
    rows = state.status()
    Console().print(table(rows))
    sys.exit(0 if rows and all(row["state"] in GOOD for row in rows) else 1)


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@state_option
def reset(yes: bool, folder: Path) -> None:
    """Delete the state: database, queues, logs, secrets. Asks first."""
    from app.dev.state import State

    if not folder.exists():
        click.echo("there is no state to delete")
        return
    state = State(folder)
    if not state.exists():
        raise SystemExit(f"dams: {folder} is not a state of DAMS; nothing was deleted")
    if not state.lock():  # held until the end, so that no `dams up` begins in what is being deleted
        raise SystemExit("dams: DAMS runs on this state; `dams down` first")
    if not yes:
        click.confirm(f"Delete {folder} with all its data?", abort=True)
    state.end_remains()
    shutil.rmtree(folder)
    click.echo("deleted")


@click.command()
def migrate() -> None:
    """Bring the database of the settings to the newest schema, as its owner where one is set."""
    from app.core.settings import settings
    from app.db.migrate import prepare

    prepare(settings().database)
    click.echo("the schema is the newest")


SEED_EXAMPLES = """
\b
Examples:
  DAMS_DEMO_PASSWORD=… dams seed         the demo clinic, into the database of the settings
  dams seed --journeys 50                50 patients, from the booking to the mail that closes their case
"""


@click.command(epilog=SEED_EXAMPLES)
@click.option("--journeys", type=click.IntRange(1, 10_000), help="Run so many patient journeys on a running service.")
@click.option("--at-once", default=8, show_default=True, type=click.IntRange(1, 64), help="How many are under way.")
@click.option("--url", envvar="DAMS_URL", help="Another service, e.g. https://dams.example (or DAMS_URL).")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@state_option
def seed(journeys: int | None, at_once: int, url: str | None, as_json: bool, folder: Path) -> None:
    """Fill the database of the settings with the demo clinic; with --journeys have patients treated.

    Both may be run again: what is there stays, and each journey takes a new ticket and a time that is free.
    """
    if journeys is not None:
        _journeys(journeys, at_once, url, folder, as_json)
        return
    from app.dev.seed import seed as run

    password = os.environ.get("DAMS_DEMO_PASSWORD")
    if not password:
        raise SystemExit("dams: set DAMS_DEMO_PASSWORD to the password that the demo users shall have")
    asyncio.run(run(password))
    click.echo("seeded")


def _journeys(number: int, at_once: int, url: str | None, folder: Path, as_json: bool) -> None:
    """Exit code 1 where a journey is not closed; its case number says where to look."""
    from app.cli import connection, output
    from app.dev import journeys
    from app.dev.state import State

    service = connection.remote(url) if url else connection.local(State(folder), connection.ADMIN)
    service.call("GET", f"/models/{journeys.PROCESS}")  # also renews a token that has ended

    def tell(seen: journeys.Seen) -> None:
        ended = seen.closed + len(seen.stuck)
        if sys.stderr.isatty() or ended == number or ended % max(1, number // 10) == 0:
            click.echo(f"{seen.closed} of {number} closed", err=True, nl=not sys.stderr.isatty() or ended == number)
            click.echo("\r" if sys.stderr.isatty() and ended < number else "", err=True, nl=False)

    try:
        seen, seconds = journeys.play(service.url, service.token, number, at_once, tell)
    except journeys.Failed as error:
        raise click.ClickException(str(error)) from error
    figures = seen.figures(seconds) | {"at_once": at_once}
    if as_json:
        output.as_json(figures | {"stuck": seen.stuck})
    else:
        output.members((name.replace("_", " "), value) for name, value in figures.items())
    for line in seen.stuck:
        click.echo(f"not closed: {line}", err=True)
    if seen.stuck:
        sys.exit(1)


commands = [up, down, status, reset, migrate, seed]
