"""Commands against a service that is named: sign-in, tokens, refusals, nothing there."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import pytest

from app.cli.__main__ import gather
from app.core.settings import ROOT
from app.dev.state import free_ports
from tests.cli.conftest import SIGN_IN, TIMEOUT, CommandLine


def logins(dams: CommandLine) -> Path:
    return dams.home / ".config/dams/logins.json"


def test_login_keeps_a_token_that_only_its_owner_can_read(dams: CommandLine) -> None:
    answer = dams("login", "--url", dams.url, "--username", "staff", "--password-stdin", stdin=f"{SIGN_IN}\n")
    assert answer.out == f"signed in to {dams.url} as staff (staff)\n"
    assert stat.S_IMODE(logins(dams).stat().st_mode) == 0o600
    assert stat.S_IMODE(logins(dams).parent.stat().st_mode) == 0o700
    assert SIGN_IN not in logins(dams).read_text()
    dams("tasks", "--url", f"{dams.url}/")


@pytest.mark.slow
def test_logout_ends_the_token_at_the_service_too(dams: CommandLine) -> None:
    dams("login", "--url", dams.url, "--username", "staff", DAMS_PASSWORD=SIGN_IN)
    token = logins(dams).read_text().split('"token": "')[1].split('"')[0]
    dams("logout", "--url", dams.url)
    assert token not in logins(dams).read_text()
    assert "unknown, expired or revoked" in dams("tasks", "--url", dams.url, code=4, DAMS_TOKEN=token).err


@pytest.mark.slow
def test_a_wrong_password_is_one_readable_line_and_keeps_nothing(dams: CommandLine) -> None:
    answer = dams("login", "--url", dams.url, "--username", "nobody", "--password-stdin", stdin="wrong\n", code=4)
    assert answer.err == "dams: Sign in first\n  The user name or the password is not right.\n"
    assert not logins(dams).exists()


@pytest.mark.slow
def test_a_password_is_asked_for_on_a_terminal_and_not_shown(dams: CommandLine) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "login", "--url", dams.url, "--username", "ops"],
        env=os.environ | {"XDG_CONFIG_HOME": str(dams.home / ".config"), "PYTHONPATH": str(ROOT)},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    seen = b""
    while b"Password:" not in seen:
        seen += os.read(leader, 1000)
    os.write(leader, f"{SIGN_IN}\n".encode())
    while b"signed in" not in seen:
        seen += os.read(leader, 1000)
    assert process.wait(120) == 0
    os.close(leader)
    assert SIGN_IN.encode() not in seen


@pytest.mark.slow
def test_without_a_terminal_the_ways_to_give_a_password_are_named(dams: CommandLine) -> None:
    answer = dams("login", "--url", dams.url, "--username", "ops", code=2)
    assert "--password-stdin" in answer.err
    assert "DAMS_PASSWORD" in answer.err


def test_a_service_without_a_token_says_how_to_sign_in(dams: CommandLine) -> None:
    assert f"dams login --url {dams.url}" in dams("tasks", "--url", dams.url, code=4).err


def test_a_service_that_does_not_answer_is_named(dams: CommandLine) -> None:
    [port] = free_ports(1)
    answer = dams("tasks", "--url", f"http://127.0.0.1:{port}", code=3, DAMS_TOKEN="x")
    assert answer.err.startswith(f"dams: http://127.0.0.1:{port} does not answer")
    assert "Traceback" not in answer.err


@pytest.mark.slow
def test_an_address_that_is_none_is_a_misuse(dams: CommandLine) -> None:
    assert "no http or https address" in dams("tasks", "--url", "dams.example", code=2).err


@pytest.mark.slow
def test_dams_url_and_dams_token_serve_a_pipeline(dams: CommandLine) -> None:
    token = httpx.post(
        f"{dams.url}/api/v1/token", json={"username": "ops", "password": SIGN_IN}, timeout=TIMEOUT
    ).json()
    environment = {"DAMS_URL": dams.url, "DAMS_TOKEN": token["access_token"]}
    assert isinstance(dams("outbox", "--json", **environment).json(), list)


def test_a_misspelt_command_is_met_with_the_nearest(dams: CommandLine) -> None:
    assert "Did you mean 'tasks'?" in dams("taks", code=2).err
    assert "Did you mean 'complete'?" in dams("tasks", "compleet", code=2).err


def test_every_command_has_help_and_says_what_it_does() -> None:
    for path, command in every_command(gather(), ()):
        text = command.get_help(click.Context(command, info_name=" ".join(path)))
        assert text.startswith("Usage: "), path
        assert len(text.splitlines()[2].strip()) > 10, path


def every_command(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
