"""Commands about instances: start one; the cases they belong to."""

from __future__ import annotations

from typing import Any

import click

from app.cli import output
from app.cli.connection import Connection, connected, part
from app.cli.groups import ListFirst
from app.cli.variables import collect, variables_options

STATUSES = ("running", "completed", "failed", "cancelled")

START_EXAMPLES = """
\b
Examples:
  dams start Process_Visit --var specialization=Cardiology --var priority=3
  dams start Process_Visit --variables @visit.json --case A-1042
  dams start Process_Visit --key nightly-2030-01-15     (started once, however often this runs)
"""


@click.command(epilog=START_EXAMPLES)
@click.argument("process_id")
@variables_options
@click.option("--case", help="The case it belongs to; a new one otherwise.")
@click.option("--business-key", help="Your own name for it.")
@click.option("--version", type=click.IntRange(1), help="Another version than the active one.")
@click.option("--key", help="Idempotency key: the same key starts it only once.")
@output.json_option
@connected
def start(
    connection: Connection,
    process_id: str,
    pairs: tuple[str, ...],
    document: str | None,
    case: str | None,
    business_key: str | None,
    version: int | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Start an instance of PROCESS_ID and show where it waits."""
    body = {"case": case, "business_key": business_key, "version": version}
    given = {name: value for name, value in body.items() if value is not None}
    instance = connection.call(
        "POST",
        f"/models/{part(process_id)}/instances",
        json=given | {"variables": collect(pairs, document)},
        headers={"Idempotency-Key": key} if key else {},
    )
    print_instance(instance, as_json)


def print_instance(instance: dict[str, Any], as_json: bool) -> None:
    """An instance after a step: what it is, and what is open on it."""
    if as_json:
        output.as_json(instance)
        return
    output.members(
        [
            ("instance", instance["id"]),
            ("process", f"{instance['process_id']} v{instance['version']}"),
            ("case", instance["case"]),
            ("status", instance["status"]),
            ("business key", instance["business_key"]),
        ]
    )
    for task in instance["tasks"]:
        who = f"claimed by {task['assignee']}" if task["assignee"] else f"for {', '.join(task['candidate_roles'])}"
        click.echo(f"task {task['id']}  {output.plain(task['name'])}  {output.plain(who)}")
    for wait in instance["waiting"]:
        click.echo(f"waits for {wait['kind']} {output.plain(wait['name'])} {output.moment(wait['due_at'])}".rstrip())
    for incident in instance["incidents"]:
        click.echo(f"incident {incident['n']} at {incident['element_id']}: {output.plain(incident['message'])}")


CASES_EXAMPLES = """
\b
Examples:
  dams cases --status failed
  dams cases show A-1042
"""


@click.group(cls=ListFirst, epilog=CASES_EXAMPLES)
def cases() -> None:
    """Cases and what happened to them; the bare command lists."""


@cases.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only cases with an instance in this state.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many at most.")
@output.json_option
@connected
def list_cases(connection: Connection, status: str | None, limit: int, as_json: bool) -> None:
    """Cases, newest first."""
    found = connection.every("/cases", limit, status=status)
    if as_json:
        output.as_json(found)
        return
    output.rows(
        ("case", "started", "instances", "running", "incidents", "processes", "business key"),
        [
            (
                row["case"],
                output.moment(row["started_at"]),
                row["instances"],
                row["running"],
                row["incidents"],
                row["process_ids"],
                row["business_key"],
            )
            for row in found
        ],
        "no case",
    )


@cases.command("show")
@click.argument("case")
@output.json_option
@connected
def show_case(connection: Connection, case: str, as_json: bool) -> None:
    """One case: its instances, then its timeline, oldest first."""
    found = connection.call("GET", f"/cases/{part(case)}")
    timeline = connection.call("GET", f"/cases/{part(case)}/timeline")
    if as_json:
        output.as_json(found | {"timeline": timeline})
        return
    output.rows(
        ("instance", "process", "status", "started", "ended", "incidents"),
        [
            (
                row["id"],
                f"{row['process_id']} v{row['version']}",
                row["status"],
                output.moment(row["started_at"]),
                output.moment(row["ended_at"]),
                row["incidents"],
            )
            for row in found["instances"]
        ],
        "no instance",
    )
    click.echo()
    output.rows(
        ("at", "what", "who", "details"),
        [
            (output.moment(row["at"]), row["kind"], row["actor_name"] or row["actor"], row["data"] or "")
            for row in timeline
        ],
        "nothing happened yet",
    )


commands = [start, cases]
