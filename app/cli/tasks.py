"""Commands about people's tasks: the worklist, one task with its form, claim, release, complete."""

from __future__ import annotations

from typing import Any

import click

from app.cli import output
from app.cli.connection import Connection, connected
from app.cli.groups import ListFirst
from app.cli.instances import print_instance
from app.cli.variables import collect, variables_options

EXAMPLES = """
\b
Examples:
  dams tasks --mine
  dams tasks show 0190a1b2-…
  dams tasks complete 0190a1b2-… --var specialization=Cardiology
"""

task_argument = click.argument("task", type=click.UUID, metavar="ID")


@click.group(cls=ListFirst, epilog=EXAMPLES)
def tasks() -> None:
    """People's tasks; the bare command lists."""


@tasks.command("list")
@click.option("--mine", is_flag=True, help="Only those assigned to me.")
@click.option("--role", "candidate_role", help="Only those offered to this role or group.")
@click.option("--process", "process_id", help="Only of this process id.")
@click.option("--case", help="Only of this case.")
@click.option("--search", help="Text in case number, business key or variables.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many at most.")
@output.json_option
@connected
def list_tasks(connection: Connection, mine: bool, limit: int, as_json: bool, **filters: Any) -> None:
    """Open tasks, soonest due first."""
    found = connection.every("/tasks", limit, mine="true" if mine else None, **filters)
    if as_json:
        output.as_json(found)
        return
    output.rows(
        ("task", "name", "process", "case", "state", "who", "due"),
        [
            (
                row["id"],
                row["name"],
                row["process_id"],
                row["case"],
                row["state"],
                row["assignee"] or row["candidate_roles"],
                output.moment(row["due_at"]),
            )
            for row in found
        ],
        "no open task",
    )


@tasks.command("show")
@task_argument
@output.json_option
@connected
def show_task(connection: Connection, task: Any, as_json: bool) -> None:
    """One task with the fields of its form."""
    found = connection.call("GET", f"/tasks/{task}")
    if as_json:
        output.as_json(found)
        return
    output.members(
        [
            ("task", found["id"]),
            ("name", found["name"]),
            ("state", found["state"]),
            ("assignee", found["assignee"]),
            ("for", found["candidate_roles"]),
            ("case", found["case"]),
            ("instance", found["instance"]),
            ("due", output.moment(found["due_at"])),
        ]
    )
    click.echo()
    output.rows(("field", "label", "type", "needed", "value", "takes"), map(_field(found), found["form"]["fields"]), "")


def _field(task: dict[str, Any]) -> Any:
    """A row for each field: its value is the draft's, the instance's or the default, in this order."""

    def row(field: dict[str, Any]) -> tuple[Any, ...]:
        values = task["values"] | (task["draft"] or {})
        value = values.get(field["id"], field["default"])
        needed = "read only" if field["readonly"] else field["required"]
        return field["id"], field["label"], field["type"], needed, value, _takes(field)

    return row


def _takes(field: dict[str, Any]) -> str:
    if field["options"]:
        return " | ".join(option["id"] for option in field["options"])
    bounds = ("min", "max", "minlength", "maxlength", "pattern")
    return ", ".join(f"{name} {field[name]}" for name in bounds if field[name] is not None)


@tasks.command()
@task_argument
@output.json_option
@connected
def claim(connection: Connection, task: Any, as_json: bool) -> None:
    """Take a task."""
    print_instance(connection.call("POST", f"/tasks/{task}/claim"), as_json)


@tasks.command()
@task_argument
@output.json_option
@connected
def release(connection: Connection, task: Any, as_json: bool) -> None:
    """Give a task back to its group."""
    print_instance(connection.call("POST", f"/tasks/{task}/release"), as_json)


@tasks.command()
@task_argument
@variables_options
@click.option("--key", help="Idempotency key: the same key is the same completion.")
@output.json_option
@connected
def complete(
    connection: Connection, task: Any, pairs: tuple[str, ...], document: str | None, key: str | None, as_json: bool
) -> None:
    """Complete a task with the values of its form and show where the instance waits next."""
    fields = connection.call("GET", f"/tasks/{task}")["form"]["fields"] if pairs else []
    values = collect(pairs, document, {field["id"]: field["type"] for field in fields})
    headers = {"Idempotency-Key": key} if key else {}
    done = connection.call("POST", f"/tasks/{task}/complete", json={"variables": values}, headers=headers)
    print_instance(done, as_json)


commands = [tasks]
