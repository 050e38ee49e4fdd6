"""`dams test`: what CI runs and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import time
from functools import partial
from pathlib import Path

import click

from app.core.lifetime import die_with_parent
from app.core.root import ROOT

SCRIPTS = Path(sysconfig.get_path("scripts"))
FAST = "not engine and not browser and not slow"
CHECKS = (
    ("ruff check", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("basedpyright", ["basedpyright", "--level", "error"]),
    ("import-linter", ["lint-imports"]),
)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--fast", is_flag=True, help="Leave out the browser, the engines and what takes long.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(fast: bool, arguments: tuple[str, ...]) -> None:
    """Lint, check types and layers, then run the tests. ARGUMENTS go to pytest."""
    os.chdir(ROOT)
    failed = [] if arguments else [name for name, command in CHECKS if not _passes(name, command)]
    if not fast:
        _prepare()
    options = ["-m", FAST] if fast else []
    parallel = [] if any(argument.startswith(("-n", "-k", "tests/")) for argument in arguments) else ["-n", "2"]
    code = subprocess.run(
        [sys.executable, "-m", "pytest", *parallel, "--dist", "loadgroup", *options, *arguments],
        preexec_fn=partial(die_with_parent, signal.SIGINT),  # a job that CI cancels stops its servers too
        check=False,
    ).returncode
    if failed:
        click.echo(f"failed before the tests: {', '.join(failed)}", err=True)
    sys.exit(code or bool(failed))


def _passes(name: str, command: list[str]) -> bool:
    began = time.monotonic()
    done = subprocess.run([str(SCRIPTS / command[0]), *command[1:]], capture_output=True, text=True, check=False)
    click.echo(f"{name:<14} {'ok' if done.returncode == 0 else 'FAILED'}  {time.monotonic() - began:.1f} s")
    if done.returncode:
        click.echo((done.stdout + done.stderr).strip())
    return done.returncode == 0


def _prepare() -> None:
    """What the browser tests need: the built front end and a Chromium."""
    from app.dev import chromium, frontend

    frontend.build(lambda note: click.echo(note) if note else None)
    os.environ["DAMS_BROWSER"] = chromium.find(click.echo)


commands = [test]
