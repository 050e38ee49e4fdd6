"""`dams test`: what CI runs and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
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
    ("import-linter", ["lint-imports"]),
)
TYPES = ("basedpyright", ["basedpyright", "--level", "error"])
"""It takes so long that it runs beside the first tests."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--fast", is_flag=True, help="Leave out the browser, the engines and what takes long.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(fast: bool, arguments: tuple[str, ...]) -> None:
    """Lint, check types and layers, then run the tests. ARGUMENTS go to pytest."""
    os.chdir(ROOT)
    with ThreadPoolExecutor(1) as beside:
        failed = [] if arguments else [name for name, command in CHECKS if not _passes(name, command)]
        types = None if arguments else beside.submit(_passes, *TYPES)
        if not fast:
            _prepare()
        code = _run(fast, arguments)
        if types is not None and not types.result():
            failed.append(TYPES[0])
    if failed:
        click.echo(f"failed beside the tests: {', '.join(failed)}", err=True)
    sys.exit(code or bool(failed))


def _run(fast: bool, arguments: tuple[str, ...]) -> int:
    options = ["-m", FAST] if fast else []
    parallel = [] if any(argument.startswith(("-n", "-k", "tests/")) for argument in arguments) else ["-n", "2"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *parallel, "--dist", "loadgroup", *options, *arguments],
        preexec_fn=partial(die_with_parent, signal.SIGINT),  # a job that CI cancels stops its servers too
        check=False,
    ).returncode


def _passes(name: str, command: list[str]) -> bool:
    began = time.monotonic()
    done = subprocess.run(
        [str(SCRIPTS / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        preexec_fn=die_with_parent,
        check=False,
    )
    result = "ok" if done.returncode == 0 else f"FAILED\n{(done.stdout + done.stderr).strip()}"
    click.echo(f"{name:<14} {time.monotonic() - began:5.1f} s  {result}")
    return done.returncode == 0


def _prepare() -> None:
    """What the browser tests need: the built front end and a Chromium."""
    from app.dev import chromium, frontend

    frontend.build(lambda note: click.echo(note) if note else None)
    os.environ["DAMS_BROWSER"] = chromium.find(click.echo)


commands = [test]
