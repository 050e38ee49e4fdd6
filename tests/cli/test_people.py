"""`dams user`: accounts over the API, and directly where there is no administrator yet."""

from __future__ import annotations

from typing import get_args

import httpx
import pytest

from app.cli.people import ROLES
from app.db import people
from app.web.api.users import Role
from tests.cli.conftest import PEOPLE, TIMEOUT, CommandLine

pytestmark = pytest.mark.slow
NEW = "another-long-password"


def signs_in(dams: CommandLine, username: str, password: str = NEW) -> bool:
    body = {"username": username, "password": password}
    return httpx.post(f"{dams.url}/api/v1/token", json=body, timeout=TIMEOUT).status_code == 200


def test_command_api_and_database_know_the_same_roles() -> None:
    assert ROLES == people.ROLES == get_args(Role)


def test_an_account_lives_from_its_first_to_its_last_day(dams: CommandLine) -> None:
    dams.here("user", "add", "mara", "--role", "staff", "--name", "Mara Vale", "--password-stdin", stdin=f"{NEW}\n")
    assert signs_in(dams, "mara")
    assert "Mara Vale" in dams.here("user").out
    dams.here("user", "roles", "mara", "staff", "ops")
    assert "mara" in dams.here("user", "list", "--role", "ops").out
    dams.here("user", "password", "mara", DAMS_PASSWORD="yet-another-password")
    assert not signs_in(dams, "mara")
    assert signs_in(dams, "mara", "yet-another-password")
    dams.here("user", "disable", "mara")
    assert not signs_in(dams, "mara", "yet-another-password")
    dams.here("user", "enable", "mara")
    assert signs_in(dams, "mara", "yet-another-password")


def test_the_first_administrator_is_made_without_a_service(dams: CommandLine) -> None:
    database = dams.database.replace("postgresql://", "postgresql+asyncpg://")
    given = {"DAMS_DATABASE__URL": database, "DAMS_PASSWORD": NEW}
    dams("user", "add", "first", "--role", "admin", "--direct", **given)
    assert signs_in(dams, "first")
    dams("user", "password", "first", "--direct", **(given | {"DAMS_PASSWORD": "yet-another-password"}))
    assert signs_in(dams, "first", "yet-another-password")
    dams.here("user", "disable", "first")


def test_the_last_administrator_stays(dams: CommandLine) -> None:
    dams.here("user", "add", "second", "--role", "admin", DAMS_PASSWORD=NEW)
    dams.here("user", "disable", "second")
    admins = [u["username"] for u in dams.here("user", "--role", "admin", "--json").json() if not u["disabled_at"]]
    assert admins == ["admin"]
    assert "last administrator" in dams.here("user", "disable", "admin", code=1).err
    assert "last administrator" in dams.here("user", "roles", "admin", "staff", code=1).err
    assert "admin" in dams.here("user", "--role", "admin").out


def test_a_short_password_and_a_taken_name_are_refused(dams: CommandLine) -> None:
    assert "password: " in dams.here("user", "add", "x", "--role", "ops", DAMS_PASSWORD="short", code=1).err
    assert "is taken" in dams.here("user", "add", "ops", "--role", "ops", DAMS_PASSWORD=NEW, code=1).err


def test_only_an_administrator_sees_accounts(dams: CommandLine) -> None:
    for username in set(PEOPLE) - {"admin"}:
        assert "admin" in dams.here("user", "--as", username, code=1).err


def test_an_unknown_account_is_named(dams: CommandLine) -> None:
    for command in (["disable", "ghost"], ["enable", "ghost"], ["roles", "ghost", "ops"]):
        assert "'ghost'" in dams.here("user", *command, code=1).err


def test_a_database_that_does_not_answer_is_named(dams: CommandLine) -> None:
    given = {"DAMS_DATABASE__URL": "postgresql+asyncpg://dams@127.0.0.1:1/dams", "DAMS_PASSWORD": NEW}
    answer = dams("user", "add", "x", "--role", "admin", "--direct", code=3, **given)
    assert "127.0.0.1:1/dams" in answer.err
