"""The real command line as a process, against a real web on a database of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.clinic import accounts
from app.core.settings import ROOT
from app.db.session import make_engine
from app.dev.state import State, free_ports
from tests.conftest import PASSWORD, PATIENT, POSTGRES, REDIS, SECRET, TEMPLATE, cluster, drop, running, wait_for
from tests.drawing import field as field_
from tests.drawing import script, sequence, user_task
from tests.serving import web_command

SIGN_IN = "a-long-password"
TIMEOUT = 150
"""Seconds of a call: httpx gives up after five, which a busy machine needs for one password."""
PEOPLE = {"admin": ["admin"], "staff": ["staff"], "doctor": ["doctor"], "modeler": ["modeler"], "ops": ["ops"]}


@dataclass
class Answer:
    """What a command printed and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class CommandLine:
    """`dams …` with an environment, a home and a state folder of its own."""

    url: str
    database: str
    home: Path
    state: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def __call__(self, *arguments: str, code: int = 0, stdin: str = "", **environment: str) -> Answer:
        base = {name: value for name, value in os.environ.items() if not name.startswith("DAMS_")}
        own = {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config"), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            env=base | own | self.environment | environment,
            cwd=self.home,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        answer = Answer(done.returncode, done.stdout, done.stderr)
        assert answer.code == code, answer
        return answer

    def here(self, *arguments: str, code: int = 0, **rest: str) -> Answer:
        """A command about the service of the state folder."""
        return self(*arguments, "--state", str(self.state), code=code, DAMS_PG_URL=self.database, **rest)


@pytest.fixture(scope="session")
def service() -> Iterator[tuple[str, str]]:
    """The address of a running web and the address of its database."""
    server, name = cluster(), f"t_{uuid4().hex}"
    asyncio.run(server.create_database(name, TEMPLATE))
    asyncio.run(_people(server.url(name)))
    [port] = free_ports(1)
    settings = {
        "PYTHONPATH": str(ROOT),
        "DAMS_DATABASE__URL": server.url(name),
        "DAMS_REDIS__URL": f"redis://127.0.0.1:{os.environ[REDIS]}/0",
        "DAMS_SECURITY__SECRET_KEY": SECRET,
        "DAMS_WEB__DEMO": "true",
        "DAMS_WEB__SECURE_COOKIES": "false",
        **PATIENT,
    }
    url = f"http://127.0.0.1:{port}"
    with running(web_command(port), settings) as process:
        wait_for("the web", lambda: _serves(url), process)
        yield url, server.url(name)
    asyncio.run(drop(name))


async def _people(url: str) -> None:
    engine = make_engine(url)
    async with engine.begin() as session:
        for username, roles in PEOPLE.items():
            await accounts.create(session, username, SIGN_IN, roles)
    await engine.dispose()


async def _serves(url: str) -> bool:
    try:
        return await asyncio.to_thread(_status, f"{url}/healthz") == 200
    except OSError:
        return False


def _status(url: str) -> int:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own loopback address
        return answer.status


@pytest.fixture(scope="session")
def folder(service: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder on which the web runs, as `dams up` leaves it; its tokens are made once."""
    folder = tmp_path_factory.mktemp("state")
    folder.chmod(0o700)
    (folder / "secrets.json").write_text(json.dumps({"postgresql": PASSWORD, "secret_key": SECRET}))
    state = State(folder)
    state.prepare()
    state._write("ports", state.ports | {"postgresql": int(os.environ[POSTGRES])})
    assert state.lock()
    state.write_status([{"service": "web", "state": "up", "address": service[0], "seconds": 1.0, "note": ""}])
    return folder


@pytest.fixture
def dams(service: tuple[str, str], folder: Path, tmp_path: Path) -> CommandLine:
    """A command line with nobody signed in, in an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    return CommandLine(service[0], service[1].replace("+asyncpg", ""), home, folder)


@pytest.fixture
def process() -> str:
    """A process id of the test's own: the service is shared."""
    return f"Process_{uuid4().hex[:12]}"


@pytest.fixture
def visit(tmp_path: Path, process: str) -> Path:
    """Two forms and a script: the reason, then the answer that the script counts."""
    reason = user_task("Reason", field_("reason", required=True, label="Why"), field_("days", "long"), name="Say why")
    confirm = user_task("Confirm", field_("sure", "boolean"), name="Confirm")
    path = tmp_path / "visit.bpmn"
    path.write_bytes(sequence(process, reason, script("Count", "doubled = days * 2"), confirm))
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A model that reaches for the host."""
    path = tmp_path / "broken.bpmn"
    path.write_bytes(sequence("Process_Broken", script("Steal", "import os")))
    return path


def effect(database: str, state: str) -> str:
    """A row of the outbox, as a relay that tried and gave up leaves it."""
    return asyncio.run(_effect(database, state))


async def _effect(database: str, state: str) -> str:
    engine = make_engine(database.replace("postgresql://", "postgresql+asyncpg://"))
    number = uuid4()
    async with engine.begin() as session:
        await session.execute(
            text("""insert into outbox (id, kind, key, payload, state, attempts, last_error)
                    values (:id, 'mail', :key, '{}', :state, 8, 'no such mailbox')"""),
            {"id": number, "key": str(number), "state": state},
        )
    await engine.dispose()
    return str(number)
