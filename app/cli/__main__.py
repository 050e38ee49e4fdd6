"""The entry point: gathers the commands and turns errors into a line and an exit code.

Exit codes: 0 done, 1 refused, 2 misused (`check`: errors found), 3 nothing answers there, 4 sign in first.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import click

import app.cli
from app.cli.groups import Commands
from app.core.errors import DamsError

EXAMPLES = """
\b
Examples:
  dams up                  start everything on this machine
  dams check visit.bpmn    say what is wrong with a model
  dams deploy visit.bpmn   make it the version that new instances start on
  dams tasks --mine        what waits for me
  dams test --fast         the inner loop of tests
"""


@click.group(cls=Commands, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
def dams() -> None:
    """DAMS: a clinic's processes, from the laptop to production.

    Commands about a service ask the one that runs on this checkout's state, or the one that --url or DAMS_URL names.
    They end with 0 when done, 1 when refused, 2 when misused, 3 when nothing answers there, 4 when nobody is signed in.
    """


def gather() -> click.Group:
    """Every command of every module in this package."""
    for module in pkgutil.iter_modules(app.cli.__path__, "app.cli."):
        if not module.name.endswith("__main__"):
            for command in getattr(importlib.import_module(module.name), "commands", ()):
                dams.add_command(command)
    return dams


def main() -> None:
    try:
        gather()(prog_name="dams")
    except DamsError as error:
        click.echo(f"dams: {error.title()}: {error.detail}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
