"""A clinic with every engine that the patient journey needs: web, relay, mail, Zeebe, Temporal, Celery, payments.

Servers are the run's; the processes of DAMS are this folder's own. A Zeebe worker takes the jobs of its types whoever
made them, so these tests are of Zeebe's group.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.dev.state import free_ports
from tests.conftest import PASSWORD, REDIS, RUN, running
from tests.days import MONDAYS
from tests.serving import Served, serving
from tests.temporal import server as temporal_server
from tests.temporal.conftest import namespace
from tests.waiting import wait_until
from tests.zeebe import server as zeebe_server

PROCESS = "Process_JourneyDams01"
ROOT = Path(__file__).resolve().parents[2]
WORKERS = ("workers.celery_worker", "workers.zeebe", "temporal.worker")
WAITING = "select count(*) from engine_run where status in ('requested', 'running')"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).is_relative_to(ROOT / "tests/journey"):
            for mark in (pytest.mark.xdist_group("zeebe"), pytest.mark.engine, pytest.mark.timeout(900)):
                item.add_marker(mark)


_visits = count()


@dataclass(frozen=True)
class Clinic:
    """The running clinic and where its payments stand."""

    web: Served
    payments: str

    def rows(self, sql: str, *given: Any) -> list[Any]:
        return asyncio.run(self.web.rows(sql, *given))

    def value(self, sql: str, *given: Any) -> Any:
        return self.rows(sql, *given)[0][0]

    def view(self, instance: Any) -> Any:
        return self.web.call("GET", f"/instances/{instance['id']}")

    def timeline(self, case: str) -> list[Any]:
        return self.web.call("GET", f"/cases/{case}/timeline")

    def charges(self, *reference: str) -> list[Any]:
        """What the payment provider did for these payments, by its own ledger."""
        entries = httpx.get(f"{self.payments}/ledger", timeout=60).json()["entries"]
        return [entry for entry in entries if entry["reference"] in reference]

    def mails(self, word: str) -> list[str]:
        """The mails that have arrived and hold this word: to whom, and the subject."""
        texts = [path.read_text() for path in self.web.mail.iterdir()]
        return [" ".join(re.findall(r"^(?:To|Subject): .*$", text, re.MULTILINE)) for text in texts if word in text]

    def waits_for(self, instance: Any, element: str) -> Any:
        """Until the instance has an open task at *element*; that task. Fails at once when it has ended."""

        def there() -> Any:
            view = self.view(instance)
            assert view["status"] == "running", view
            return next((task for task in view["tasks"] if task["element_id"] == element), None)

        return wait_until(there)

    def book(self, ticket: str = "") -> tuple[Any, str]:
        """A journey whose visit is booked, and its ticket."""
        number = next(_visits)
        ticket = ticket or f"J-{number:03}"
        view = self.web.start(PROCESS)
        for given in (
            {"specialization": "Cardiology", "docid": "HSP-200"},
            {"date_scheduled": MONDAYS[number].isoformat(), "time_scheduled": "10:30"},
            {"patientid": 7, "ticketid": ticket, "priority_level": 2},
        ):
            view = self.web.complete(view["tasks"][0]["id"], **given)
        return view, ticket

    def arrives(self, view: Any, ticket: str) -> Any:
        """The desk says that the patient is here, and Temporal's workflow that waits for it ends; the next task."""
        with httpx.Client(base_url=self.web.url, timeout=150) as client:
            token = self.web.token("staff")
            answer = client.post("/appointment/arrival", headers=token, json={"ticketid": ticket})
        assert answer.status_code == 202, answer.text
        return self.waits_for(view, "Activity_Diagnosis")


@pytest.fixture(scope="module")
def clinic(clinic_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16 + 16
    redis_url = f"redis://:{PASSWORD}@127.0.0.1:{os.environ[REDIS]}/{number}"
    payments_port = free_ports(1)[0]
    temporal = asyncio.run(temporal_server.address(Path(os.environ[RUN]) / "temporal"))
    further = {
        "DAMS_TEMPORAL__ADDRESS": temporal,
        "DAMS_TEMPORAL__NAMESPACE": asyncio.run(namespace(temporal)),
        "DAMS_ZEEBE__ADDRESS": zeebe_server.address(Path(os.environ[RUN]) / "zeebe"),
        "DAMS_TEMPORAL__CALL_SECONDS": "100",  # the tests share a small machine
        "DAMS_ZEEBE__CALL_SECONDS": "100",
        "DAMS_ZEEBE__STALE_SECONDS": "240",
        "DAMS_MAIL__ANSWER_SECONDS": "60",
        "DAMS_CELERY__BROKER_URL": redis_url,
        "DAMS_CELERY__RESULT_BACKEND": redis_url,
        "DAMS_PAYMENT__URL": f"http://127.0.0.1:{payments_port}",
        "DAMS_FILES__FOLDER": str(tmp_path_factory.mktemp("files")),
    }
    ledger = tmp_path_factory.mktemp("payments")
    with serving(clinic_template, tmp_path_factory.mktemp("mail"), **further) as web, ExitStack() as stack:
        payments = ["-m", "app.dev.payment_sink", str(payments_port), str(ledger)]
        stack.enter_context(running(payments, {}))
        for module in WORKERS:
            stack.enter_context(running(["-m", module], web.environment))
        made = Clinic(web, further["DAMS_PAYMENT__URL"])
        seen = "select count(distinct kind) from worker_heartbeat where kind in ('celery', 'zeebe-worker', $1)"
        wait_until(lambda: made.value(seen, "temporal-worker") == len(WORKERS))
        wait_until(lambda: made.value("select count(*) from pipeline where name = 'doctor-stats'"))
        deployed = httpx.post(f"{web.url}/diagnosis/bpmn/deploy", headers=web.token("modeler"), timeout=300)
        assert deployed.status_code == 201, deployed.text
        yield made
        sys.stdout.write(f"runs that were open at the end: {made.value(WAITING)}\n")
