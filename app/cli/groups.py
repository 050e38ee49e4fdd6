"""How commands are grouped: a misspelt one is met with the nearest, and a group's bare name lists."""

from __future__ import annotations

import difflib
from typing import Any

import click


class Commands(click.Group):
    """A group that suggests the nearest command for a misspelt one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" `{ctx.command_path} --help` lists the commands."
            raise click.UsageError(f"{error.message.rstrip('.')}.{hint}", ctx) from error


class ListFirst(Commands):
    """`dams tasks --mine` is `dams tasks list --mine`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks_help = bool(args) and args[0] in ("-h", "--help")
        if not args or (args[0].startswith("-") and not asks_help):
            args = ["list", *args]
        return super().parse_args(ctx, args)
