"""Commands about the outbox: effects on their way out, those that were parked, sending them again."""

from __future__ import annotations

from typing import Any

import click

from app.cli import output
from app.cli.connection import Connection, connected
from app.cli.groups import ListFirst

EXAMPLES = """
\b
Examples:
  dams outbox --dead
  dams outbox retry 0190a1b2-…
  dams outbox retry --all
"""


@click.group(cls=ListFirst, epilog=EXAMPLES)
def outbox() -> None:
    """Effects that leave the database; the bare command lists."""


@outbox.command("list")
@click.option("--status", type=click.Choice(("pending", "sent", "dead")), help="Only in this state.")
@click.option("--dead", is_flag=True, help="Only those that were given up: --status dead.")
@click.option("--kind", help="Only of this kind, e.g. mail.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many at most.")
@output.json_option
@connected
def list_effects(
    connection: Connection, status: str | None, dead: bool, kind: str | None, limit: int, as_json: bool
) -> None:
    """Effects, newest first."""
    found = connection.every("/outbox", limit, state="dead" if dead else status, kind=kind)
    if as_json:
        output.as_json(found)
        return
    output.rows(
        ("effect", "kind", "state", "tries", "case", "asked for", "last error"),
        [
            (
                row["id"],
                row["kind"],
                row["state"],
                row["attempts"],
                row["case"],
                output.moment(row["created_at"]),
                row["last_error"],
            )
            for row in found
        ],
        "no effect",
    )


@outbox.command()
@click.argument("effects", nargs=-1, type=click.UUID, metavar="[ID]…")
@click.option("--all", "every", is_flag=True, help="Every parked one.")
@connected
def retry(connection: Connection, effects: tuple[Any, ...], every: bool) -> None:
    """Send parked effects again; each keeps its key, so the receiver sees whether it had it already."""
    if bool(effects) == every:
        raise click.UsageError("name effects, or say --all")
    chosen = [row["id"] for row in connection.every("/outbox", 100_000, state="dead")] if every else effects
    for effect in chosen:
        connection.call("POST", f"/outbox/{effect}/retry")
    click.echo(f"{len(chosen)} sent again")


commands = [outbox]
