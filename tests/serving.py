"""The web as it runs in production: granian, a relay and a mail sink on a database with the demo clinic."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
from flask import Flask

from app.core.lifetime import VARIABLE
from app.core.settings import settings
from app.dev.state import free_ports
from app.web.factory import create_app
from tests.conftest import CHEAP_HASHES, PASSWORD, PASSWORD_OF_ALL, PATIENT, REDIS, SECRET, cluster, drop, running
from tests.days import MONDAYS
from tests.waiting import wait_until

API = "/api/v1"
APPOINTMENT = "Process_ApptDams01"


_weeks = itertools.count()


def visit() -> dict[str, dict[str, str]]:
    """What the four forms of an appointment are filled with, by field; another free slot and ticket at every call."""
    number = next(_weeks)
    day = MONDAYS[number % len(MONDAYS)]
    return {
        "Doctor's Specialization Form": {"specialization": "Cardiology"},
        "List Specialized Doctors": {"docid": "HSP-200"},
        "Doctor's Availability Form": {
            "date_scheduled": day.isoformat(),
            "time_scheduled": ("10:30", "09:30")[number // len(MONDAYS)],
        },
        "Patient Detail Form": {"patientid": "7", "ticketid": f"T-{100 + number}", "priority_level": "2"},
    }


def application() -> Flask:
    """The application as these settings make it, shared by the tests of a process: to compile its routes takes long.

    A test that changes it makes its own.
    """
    given = settings()
    return _made(given.web.model_dump_json() + given.security.secret_key.get_secret_value())


@cache
def _made(_settings: str) -> Flask:
    return create_app()


@dataclass(frozen=True)
class Served:
    """A running web: its address, the folder of the mail that its relay sends, and its database for asyncpg."""

    url: str
    mail: Path
    database: str
    environment: dict[str, str]
    """The settings of its processes, for further ones."""
    process: subprocess.Popen[bytes]

    async def rows(self, sql: str, *given: Any) -> list[Any]:
        """What the database of this web holds, to be held against what a page said."""
        connection = await asyncpg.connect(self.database)
        try:
            return await connection.fetch(sql, *given)
        finally:
            await connection.close()

    def call(self, method: str, path: str, user: str = "staff", **further: Any) -> Any:
        """What the JSON API answers *user*; for what a test needs before it begins."""
        with httpx.Client(base_url=self.url + API, timeout=150) as client:
            return client.request(method, path, headers=self.token(user), **further).raise_for_status().json()

    def token(self, user: str) -> dict[str, str]:
        """The header of a program that calls for *user*."""
        given = {"username": user, "password": PASSWORD_OF_ALL}
        answer = httpx.post(f"{self.url}{API}/token", json=given, timeout=150).raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def page(self, user: str, path: str) -> str:
        """A page as *user* gets it after signing in."""
        with httpx.Client(base_url=self.url, timeout=150, follow_redirects=True) as browser:
            token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/login").text)
            given = {"csrf_token": token[1] if token else "", "username": user, "password": PASSWORD_OF_ALL}
            browser.post("/login", data=given).raise_for_status()
            return browser.get(path).raise_for_status().text

    def start(self, process_id: str = APPOINTMENT, user: str = "staff", **body: Any) -> Any:
        return self.call("POST", f"/models/{process_id}/instances", user, json=body)

    def complete(self, task_id: str, user: str = "staff", **variables: Any) -> Any:
        return self.call("POST", f"/tasks/{task_id}/complete", user, json={"variables": variables})

    def at_last_form(self) -> str:
        """The task of an appointment's last form, with a slot held."""
        instance = self.start()
        for entries in list(visit().values())[:3]:
            instance = self.complete(instance["tasks"][0]["id"], **entries)
        return instance["tasks"][0]["id"]

    def deploy(self, content: bytes, name: str = "model.bpmn") -> Any:
        return self.call("POST", "/deployments", "modeler", files={"file": (name, content)})


def web_command(port: int) -> list[str]:
    """What Python is given to serve the web on *port*, with one worker."""
    given = {"interface": "rsgi", "loop": "uvloop", "host": "127.0.0.1", "port": str(port), "workers": "1"}
    given |= {"log-level": "warning"}
    options = [part for name, value in given.items() for part in (f"--{name}", value)]
    return [
        "-m",
        "app.web.serve",
        *options,
        "--no-ws",
        "--log-level",
        "warning",
        "--factory",
        "app.web.rsgi:application",
    ]


@contextlib.contextmanager
def serving(template: str, mail: Path, **further: str) -> Iterator[Served]:
    """A web of its own on a copy of *template*, from the first answer of `/readyz` on.

    *further* are settings of it and its relay.
    """
    server, name = cluster(), f"t_{uuid4().hex}"
    asyncio.run(server.create_database(name, template))
    web, smtp = free_ports(2)
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 32 + 72
    environment = {
        "DAMS_DATABASE__URL": server.serving_url(name),
        "DAMS_REDIS__URL": f"redis://:{PASSWORD}@127.0.0.1:{os.environ[REDIS]}/{number}",
        "DAMS_SECURITY__SECRET_KEY": SECRET,
        "DAMS_MAIL__PORT": str(smtp),
        "DAMS_MAIL__SINK": str(mail),
        "DAMS_WEB__DEMO": "true",
        "DAMS_WEB__SECURE_COOKIES": "false",
        "DAMS_WEB__TEST_CLOCK": "true",
        VARIABLE: "yes",  # a run that is killed leaves no worker of the web behind
        # The webs of a run count in one Redis, and their tests sign in as the same few people.
        "DAMS_SECURITY__SIGN_IN_TRIES": "1000",
        **CHEAP_HASHES,
        **PATIENT,
        **further,
    }
    with (
        running(["-m", "app.dev.smtp_sink", str(smtp), str(mail)], environment),
        running(web_command(web), environment) as process,
        running(["-m", "workers.relay"], environment),
    ):
        url = f"http://127.0.0.1:{web}"
        wait_until(lambda: _ready(url) or process.poll() is not None)
        assert process.poll() is None, f"the web ended with {process.returncode}"
        yield Served(url, mail, server.serving_url(name).replace("+asyncpg", ""), environment, process)
    asyncio.run(drop(name))


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=60).status_code == 200
    except httpx.TransportError:
        return False
