"""The run's Airflow, and a web and relay of this module that it calls and that call it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import httpx
import pytest
from lxml import html

from app.dev.airflow import ACCOUNT, SERVICE
from app.engines.dags import DAGS
from tests.airflow import server
from tests.conftest import PASSWORD_OF_ALL, RUN
from tests.serving import Served, serving
from tests.waiting import wait_until

(DAG,) = DAGS
REPORT = "/login/dag/report/login/count"
BUSY = (503, 504)
SECONDS = 900.0
"""A run is four processes one after the other, each of which imports Airflow."""


@dataclass(frozen=True)
class Report:
    """Calls of the web as one user, and of Airflow as its administrator."""

    served: Served
    airflow: httpx.Client
    web: httpx.Client

    def ask(self) -> httpx.Response:
        """Ask for the report, again while a busy Airflow gives no answer."""
        return wait_until(lambda: (answer := self.web.post(REPORT)).status_code not in BUSY and answer, SECONDS)

    def trigger(self) -> str:
        answer = self.ask()
        assert answer.status_code == 202, answer.text
        return str(answer.json()["run_id"])

    def pause(self, paused: bool) -> None:
        self.airflow.patch(f"/dags/{DAG}", json={"is_paused": paused}).raise_for_status()

    def values(self, run_id: str) -> httpx.Response:
        given = {"run_id": run_id}
        return wait_until(
            lambda: (answer := self.web.get("/login/dag/xcom/values", params=given)).status_code not in BUSY and answer,
            SECONDS,
        )

    def ended(self, run_id: str) -> httpx.Response:
        """The answer once the run is no longer under way."""
        return wait_until(lambda: (answer := self.values(run_id)).status_code != 202 and answer, SECONDS)

    def press(self, path: str, **fields: str) -> httpx.Response:
        """Send a form as somebody with a browser, again while a busy Airflow gives no answer."""
        with httpx.Client(base_url=self.served.url, timeout=150) as browser:
            for where, form in (("/login", {"username": "ops", "password": PASSWORD_OF_ALL}), (path, fields)):
                page = html.fromstring(browser.get("/login" if where == "/login" else "/ops").text)
                token = page.xpath("string(//input[@name='csrf_token']/@value)")
                post = partial(browser.post, where, data={"csrf_token": token, **form})
                answer = wait_until(lambda post=post: (got := post()).status_code not in BUSY and got, SECONDS)
                assert answer.status_code == 303, answer.text
            return answer

    def incident(self, run_id: str) -> int:
        """The open incident of a run, as the ops page shows it."""
        (found,) = wait_until(
            lambda: self._database("select id from incident where run_id = $1 and resolved_at is null", run_id)
        )
        return int(found)

    def kept(self) -> list[str]:
        """What the timeline says was done with DAGs, and by whom, newest last."""
        sql = """select concat_ws(' ', e.kind, l.username) from case_event e join login l on l.id = e.actor_id
                 where e.kind like 'schedule.%' or e.kind = 'airflow.requested' order by e.id"""
        return [str(one) for one in self._database(sql)]

    def newest(self) -> str:
        """The run that was asked for last."""
        sql = "select id from engine_run where engine = 'airflow' order by requested_at desc limit 1"
        return str(self._database(sql)[0])

    def status(self, run_id: str) -> str:
        (found,) = self._database("select status from engine_run where id = $1", run_id)
        return str(found)

    def _database(self, sql: str, *runs: str) -> list[Any]:
        async def asked() -> list[Any]:
            connection = await asyncpg.connect(self.served.database)
            try:
                return [row[0] for row in await connection.fetch(sql, *map(UUID, runs))]
            finally:
                await connection.close()

        return asyncio.run(asked())

    def connect(self, password: str = PASSWORD_OF_ALL) -> None:
        """Store in Airflow how its tasks reach the web."""
        where = urlsplit(self.served.url)
        given = {"connection_id": "dams", "conn_type": "http", "host": where.hostname, "port": where.port}
        given |= {"login": ACCOUNT, "password": password}
        self.airflow.delete("/connections/dams")
        self.airflow.post("/connections", json=given).raise_for_status()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Its environment is made while other tests run, where any of these does."""
    runs = RUN in os.environ and not session.config.option.collectonly
    if runs and any(item.path.parent == Path(__file__).parent for item in session.items):
        (folder() / "foreseen").touch()


def folder() -> Path:
    """The data of the run's Airflow."""
    return Path(os.environ[RUN]) / "airflow"


@pytest.fixture(scope="package")
def airflow() -> Iterator[str]:
    """Ended with its last test: its processes take a tenth of a core from every other."""
    yield server.address(folder())
    (folder() / "done").touch()


@pytest.fixture(scope="module")
def report(airflow: str, clinic_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    """The web with an account for Airflow, and a DAG that is not paused."""
    given = {"DAMS_AIRFLOW__URL": airflow, "DAMS_AIRFLOW__PASSWORD": server.SECRETS[SERVICE]}
    given |= {"DAMS_AIRFLOW__CALL_SECONDS": "50", "DAMS_WEB__VIEW_TIMEOUT_SECONDS": "120"}  # a busy machine
    with serving(clinic_template, tmp_path_factory.mktemp("mail"), **given) as served, server.admin(airflow) as client:
        body = {"username": ACCOUNT, "password": PASSWORD_OF_ALL, "roles": ["ops"]}
        served.call("POST", "/users", "admin", json=body)
        secret = {"username": "ops", "password": PASSWORD_OF_ALL}
        token = httpx.post(f"{served.url}/api/v1/token", json=secret).raise_for_status().json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=served.url, headers=headers, timeout=150) as web:
            made = Report(served, client, web)
            made.connect()
            made.pause(False)
            yield made
