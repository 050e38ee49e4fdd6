"""Commands that keep a service's data and bring it back: backup, restore."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from app.cli import output
from app.cli.local import state_option

START_SECONDS = 60
file_argument = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
settings_option = click.option(
    "--settings", "by_settings", is_flag=True, help="The database of the settings instead of the state's own."
)
BACKUP_EXAMPLES = """
\b
Examples:
  dams backup tonight.tar                what `dams up` runs on this state
  dams backup tonight.tar --settings     the database that DAMS_DATABASE__OWNER_URL names
"""
RESTORE_EXAMPLES = """
\b
Examples:
  dams restore tonight.tar --state other     then: dams up --state other
  dams restore tonight.tar --settings        into the empty database that DAMS_DATABASE__OWNER_URL names
"""


@click.command(epilog=BACKUP_EXAMPLES)
@file_argument
@settings_option
@state_option
def backup(file: Path, by_settings: bool, folder: Path) -> None:
    """Write database and files into FILE, while the service runs. Keep it safe: patients' data are in it."""
    from app.dev import backups

    url, files = _of_settings() if by_settings else _of_state(folder)
    try:
        manifest = backups.save(url, files, file)
    except (RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from error
    _show(manifest | {"file": str(file), "bytes": file.stat().st_size})
    if not by_settings:
        click.echo(f"{folder / 'secrets.json'} is not in it; keep it in another place", err=True)


@click.command(epilog=RESTORE_EXAMPLES)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@settings_option
@state_option
def restore(file: Path, by_settings: bool, folder: Path) -> None:
    """Bring a backup back into an empty database. What engines had in hand is asked of them once more.

    A state with the secrets of the old one opens what was sealed for other engines: copy its secrets.json first.
    """
    from app.dev import backups

    try:
        if by_settings:
            manifest = backups.restore(*_of_settings(), file)
            _admit()
        else:
            with _server(folder) as url:
                manifest = backups.restore(url, folder / "files", file)
    except (RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from error
    _show(manifest)


def _show(manifest: dict[str, Any]) -> None:
    parts = manifest.pop("sha256")
    output.members({**manifest, "files": len(parts) - 1}.items())


def _of_settings() -> tuple[str, Path]:
    from app.core.settings import settings

    given = settings()
    return given.database.owner_url or given.database.url, Path(given.files.folder)


def _admit() -> None:
    """Let the role that serves work with what was restored."""
    from app.core.settings import settings
    from app.db.migrate import prepare

    prepare(settings().database)


def _of_state(folder: Path) -> tuple[str, Path]:
    from app.dev.service import owner_url
    from app.dev.state import State

    state = State(folder)
    if not folder.exists() or state.holder() is None:
        raise click.ClickException(f"nothing runs on {folder}: `dams up`, or name a database with --settings")
    return owner_url(state), folder / "files"


@contextmanager
def _server(folder: Path) -> Generator[str]:
    """The state's own PostgreSQL for the time of a restore, with an empty database; the state is made if need be."""
    from app.dev.service import embedded
    from app.dev.state import NotAState, State

    state = State(folder)
    try:
        state.prepare()
    except NotAState as error:
        raise click.ClickException(str(error)) from error
    if not state.lock():
        raise click.ClickException("DAMS runs on this state; `dams down` first")
    state.settle_ports()
    cluster = embedded(state)
    cluster.create()
    with state.log("postgresql").open("ab") as log:
        process = subprocess.Popen(cluster.command(), stdout=log, stderr=log, preexec_fn=cluster.become())
    try:
        deadline = time.monotonic() + START_SECONDS
        while not asyncio.run(cluster.answers()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException(f"PostgreSQL does not start; see {state.log('postgresql')}")
            time.sleep(0.1)
        asyncio.run(cluster.create_database())
        yield cluster.url()
    finally:
        process.terminate()
        process.wait(START_SECONDS)


commands = [backup, restore]
