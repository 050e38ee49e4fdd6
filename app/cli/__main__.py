"""The entry point: gathers the commands and turns errors into a line and an exit code."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from typing import Any

import click

import app.cli
from app.core.errors import DamsError

EXAMPLES = """
\b
Examples:
  dams up                  start everything on this machine
  dams check visit.bpmn    say what is wrong with a model
  dams test --fast         the inner loop of tests
"""


class Commands(click.Group):
    """A group that suggests the nearest command for a misspelt one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " `dams --help` lists the commands."
            raise click.UsageError(f"{error.message.rstrip('.')}.{hint}", ctx) from error


@click.group(cls=Commands, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
def dams() -> None:
    """DAMS: a clinic's processes, from the laptop to production."""


def gather() -> click.Group:
    """Every command of every module in this package."""
    for module in pkgutil.iter_modules(app.cli.__path__, "app.cli."):
        if not module.name.endswith("__main__"):
            for command in importlib.import_module(module.name).commands:
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
