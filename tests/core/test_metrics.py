"""What Prometheus reads: true figures, under names that stay, and nothing of anybody's data."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from app.core.actor import Actor
from app.core.settings import ROOT, settings
from app.db.session import transaction
from app.engines import figures, health, heartbeat, outbox
from app.engines.spiff import instances, models
from app.engines.spiff.specs import BundleFile
from app.web.factory import create_app
from tests.serving import application

Sample = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture
def client(database_url: str) -> Iterator[FlaskClient]:
    figures.forget()
    yield application().test_client()
    figures.forget()


def scraped(client: FlaskClient) -> dict[Sample, float]:
    """Every sample by name and labels, as Prometheus' own parser reads them."""
    figures.forget()
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.get_data(as_text=True))
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def named(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())


async def change(sql: str) -> None:
    async with transaction() as session:
        await session.execute(text(sql))


async def test_the_figures_are_those_of_the_database(client: FlaskClient, staff: Actor) -> None:
    assert scraped(client)[named("dams_outbox_pending")] == 0
    async with transaction() as session:
        for number in range(3):
            await outbox.enqueue(session, "mail", str(number), {})
    await heartbeat.beat("relay")
    await change("update outbox set next_at = now() - interval '90 s' where key = '1'")
    await change("update outbox set state = 'sent' where key = '2'")
    await change("update worker_heartbeat set seen_at = now() - interval '40 s'")
    await change("insert into incident (n, element_id, code, message) values (1, '', 'dead-letter', 'x')")
    found = scraped(client)
    assert found[named("dams_database_up")] == 1
    assert found[named("dams_outbox_pending")] == 2
    assert 89 < found[named("dams_outbox_overdue_seconds")] < 200
    assert found[named("dams_timers_due")] == 0
    assert found[named("dams_incidents_open", code="dead-letter")] == 1
    assert 39 < found[named("dams_heartbeat_age_seconds", kind="relay")] < 200
    assert found[named("dams_workers_alive", kind="relay")] == 0
    await change("update incident set resolved_at = now()")
    await change("update worker_heartbeat set seen_at = now() + interval '1 minute'")
    found = scraped(client)
    assert named("dams_incidents_open", code="dead-letter") not in found
    assert found[named("dams_workers_alive", kind="relay")] == 1


def test_a_request_is_counted_by_its_route_and_status_and_an_unknown_address_under_one_name(
    client: FlaskClient,
) -> None:
    page = named("dams_http_request_seconds_count", method="GET", route="/healthz", status="200")
    stray = named("dams_http_request_seconds_count", method="unmatched", route="unmatched", status="404")
    before = scraped(client)
    for address in ("/healthz", "/healthz", "/nobody/ana.cruz@clinic.example", "/another"):
        client.get(address)
    after = scraped(client)
    assert after[page] - before.get(page, 0) == 2
    assert after[stray] - before.get(stray, 0) == 2
    assert not [key for key in after if "ana.cruz" in str(key)]


async def test_a_step_is_timed_and_nothing_that_was_entered_becomes_a_label(client: FlaskClient, staff: Actor) -> None:
    count = named("dams_step_seconds_count")
    before = scraped(client).get(count, 0)
    report = await models.check([BundleFile("a.bpmn", (ROOT / "bpmn/spiff/appointment.bpmn").read_bytes())])
    async with transaction() as session:
        await models.deploy(session, staff, report)
    async with transaction() as session:
        process = report.models[0].process_id
        instance = await instances.start(session, staff, process, {"secret": "canary-of-a-patient"})
    client.get(f"/instances/{instance.id}")
    after = scraped(client)
    assert after[count] > before
    assert not [key for key in after if "canary" in str(key) or str(instance.id) in str(key)]


def test_without_postgresql_the_page_answers_and_says_so(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_DATABASE__URL", "postgresql+asyncpg://dams@127.0.0.1:9/none")
    settings.cache_clear()
    health.forget()
    away = create_app().test_client()
    assert away.get("/healthz").status_code == 200  # or its supervisor would restart the web for nothing
    ready = away.get("/readyz")
    assert (ready.status_code, ready.json["engines"]["postgresql"]) == (503, "down")  # type: ignore[index]
    health.forget()
    found = scraped(away)
    assert found[named("dams_database_up")] == 0
    assert named("dams_outbox_pending") not in found


COUNT = (
    "from app.core.metrics import STEPS, collected; STEPS.observe(0.002); import prometheus_client as p; import sys; "
)
TELL = "sys.stdout.write(p.generate_latest(collected()).decode())"


def test_processes_that_share_a_folder_tell_their_sum(tmp_path: Path) -> None:
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}

    def run(code: str) -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout

    run(COUNT)
    assert "dams_step_seconds_count 2.0" in run(COUNT + TELL)
