"""Commands about people: signing in to a service, and its accounts. No password is ever an argument."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from app.cli import output
from app.cli.connection import Connection, Unreachable, address, connected, logins_file, part, read, write
from app.cli.groups import ListFirst

ROLES = ("patient", "doctor", "staff", "modeler", "ops", "admin")
PASSWORD = "DAMS_PASSWORD"  # noqa: S105 - the name of a variable

stdin_option = click.option(
    "--password-stdin", is_flag=True, help=f"Read it from standard input ({PASSWORD} works too)."
)

direct_option = click.option(
    "--direct", is_flag=True, help="Write to the database of the settings: for an installation without administrator."
)


def ask_password(from_stdin: bool, *, twice: bool = False) -> str:
    """A password from standard input, the environment or the terminal: arguments show in every process list."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if given := os.environ.get(PASSWORD):
        return given
    if not sys.stdin.isatty():
        raise click.UsageError(f"there is no terminal to ask on: use --password-stdin or set {PASSWORD}")
    return click.prompt("Password", hide_input=True, confirmation_prompt=twice, err=True)


@click.command()
@click.option("--url", envvar="DAMS_URL", required=True, help="The service, e.g. https://dams.example (or DAMS_URL).")
@click.option("--username", prompt="User name", help="Who signs in; asked for otherwise.")
@stdin_option
def login(url: str, username: str, password_stdin: bool) -> None:
    """Sign in to a service and keep its token in your configuration folder, readable by you only."""
    connection = Connection(address(url), "")
    body = {"username": username, "password": ask_password(password_stdin)}
    answer = connection.call("POST", "/token", json=body)
    kept = {"username": username, "token": answer["access_token"]}
    write(logins_file(), read(logins_file()) | {connection.url: kept})
    click.echo(f"signed in to {connection.url} as {username} ({', '.join(answer['roles'])})")


@click.command()
@click.option("--url", envvar="DAMS_URL", required=True, help="The service (or DAMS_URL).")
def logout(url: str) -> None:
    """End the token that `dams login` keeps for a service and forget it."""
    url, known = address(url), read(logins_file())
    kept = known.pop(url, None)
    if kept is None:
        click.echo(f"nobody is signed in to {url}")
        return
    write(logins_file(), known)  # forgotten here even if the service cannot be asked
    Connection(url, kept["token"]).call("DELETE", "/token")
    click.echo(f"signed out of {url}")


USER_EXAMPLES = """
\b
Examples:
  dams user --role doctor
  dams user add mara --role staff --name "Mara Vale"      (asks for the password)
  dams user add root --role admin --direct                (the first one of an installation)
  dams user roles mara staff ops
"""


@click.group(cls=ListFirst, epilog=USER_EXAMPLES)
def user() -> None:
    """Accounts; the bare command lists."""


@user.command("list")
@click.option("--role", type=click.Choice(ROLES), help="Only those with this role.")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1), help="How many at most.")
@output.json_option
@connected
def list_users(connection: Connection, role: str | None, limit: int, as_json: bool) -> None:
    """Accounts by user name."""
    found = connection.every("/users", limit, role=role)
    if as_json:
        output.as_json(found)
        return
    output.rows(
        ("user", "name", "roles", "mail", "state"),
        [
            (u["username"], u["display_name"], u["roles"], u["email"], "closed" if u["disabled_at"] else "open")
            for u in found
        ],
        "no account",
    )


def _direct(change: Callable[..., Any]) -> None:
    """Run *change* on the database of the settings: an installation without administrator has nobody to ask."""
    from sqlalchemy.exc import DBAPIError

    from app.core.settings import settings
    from app.db.session import dispose, transaction

    async def run() -> None:
        async with transaction() as session:
            await change(session)
        await dispose()

    try:
        asyncio.run(run())
    except (OSError, TimeoutError, DBAPIError) as error:
        place = settings().database.url.rpartition("@")[2]
        raise Unreachable(f"the database at {place} cannot be used ({type(error).__name__})") from error


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(ROLES), help="May be repeated.")
@click.option("--name", "display_name", default="", help="How people see them.")
@click.option("--email", default="", help="Where their mail goes.")
@direct_option
@stdin_option
@connected
def add(connection: Connection | None, name: str, direct: bool, password_stdin: bool, **given: Any) -> None:  # noqa: ARG001 - told by the connection
    """Add an account."""
    password = ask_password(password_stdin, twice=True)
    if connection is not None:
        connection.call("POST", "/users", json={"username": name, "password": password, **given})
    else:
        from app.clinic import accounts

        _direct(lambda session: accounts.create(session, name, password, **given))
    click.echo(f"added {name} ({', '.join(given['roles'])})")


@user.command("password")
@click.argument("name")
@direct_option
@stdin_option
@connected
def set_password(connection: Connection | None, name: str, direct: bool, password_stdin: bool) -> None:  # noqa: ARG001 - told by the connection
    """Give an account another password; it is signed out everywhere."""
    password = ask_password(password_stdin, twice=True)
    if connection is not None:
        connection.call("PUT", f"/users/{part(name)}/password", json={"password": password})
    else:
        from app.clinic import accounts, directory

        async def change(session: Any) -> None:
            await accounts.set_password(session, await directory.number(session, name), password)

        _direct(change)
    click.echo(f"{name} has another password and is signed out everywhere")


@user.command("roles")
@click.argument("name")
@click.argument("roles", nargs=-1, required=True, type=click.Choice(ROLES))
@connected
def set_roles(connection: Connection, name: str, roles: tuple[str, ...]) -> None:
    """Replace an account's roles with ROLES."""
    connection.call("PUT", f"/users/{part(name)}/roles", json={"roles": list(roles)})
    click.echo(f"{name} is now {', '.join(roles)}")


@user.command()
@click.argument("name")
@connected
def disable(connection: Connection, name: str) -> None:
    """Close an account and sign it out everywhere; what it did stays in the timeline."""
    connection.call("POST", f"/users/{part(name)}/disable")
    click.echo(f"{name} is closed")


@user.command()
@click.argument("name")
@connected
def enable(connection: Connection, name: str) -> None:
    """Let a closed account sign in again."""
    connection.call("POST", f"/users/{part(name)}/enable")
    click.echo(f"{name} is open")


commands = [login, logout, user]
