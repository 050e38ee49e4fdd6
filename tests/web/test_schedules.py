"""The schedules page while its engines are away: it says so, keeps what was entered, and the rest of it is there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lxml import html

from app.core.settings import settings
from app.db.session import transaction
from app.dev.state import free_ports
from app.engines import runs
from tests.web.conftest import Caller, Visitor, value

ENTERED = {"id": "nightly", "flow": "report_login_count", "cron": "0 12 * * *"}


@pytest.fixture(autouse=True)
def _away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporal and Airflow belong to the installation, and nothing listens where they should be."""
    temporal, airflow = free_ports(2)
    monkeypatch.setenv("DAMS_TEMPORAL__ADDRESS", f"127.0.0.1:{temporal}")
    monkeypatch.setenv("DAMS_AIRFLOW__URL", f"http://127.0.0.1:{airflow}")
    settings.cache_clear()


async def test_the_page_names_the_engines_that_are_down_and_shows_what_was(visitor: Callable[[str], Visitor]) -> None:
    async with transaction() as session:
        run_id = await runs.request(session, "airflow", "report_login_count", {}, external_id="one")
        assert run_id
        await runs.completed(session, run_id, {"message": "There are 7 users as of noon."})
    page = html.fromstring(visitor("ops").get("/schedules").text)
    alerts = [one.text_content() for one in page.xpath("//*[@role='alert']")]
    assert ["Temporal down" in alerts[0], "Airflow down" in alerts[1]] == [True, True]
    assert "There are 7 users as of noon." in page.text_content()


def test_without_airflow_the_page_says_how_to_switch_it_on(
    visitor: Callable[[str], Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAMS_AIRFLOW__URL", "")
    settings.cache_clear()
    assert "dams up --with airflow" in visitor("ops").get("/schedules").text


def test_a_wrong_field_keeps_what_was_entered_and_needs_no_engine(visitor: Callable[[str], Visitor]) -> None:
    wrong = ENTERED | {"id": "Not a name!", "cron": "whenever"}
    page = html.fromstring(visitor("ops").post("/schedules", 422, **wrong).text)
    assert {one.get("id") for one in page.xpath("//*[contains(@class, 'wrong-text')]")} == {"wrong-id", "wrong-cron"}
    assert page.xpath("string(//input[@id='f-cron']/@value)") == "whenever"


@pytest.mark.parametrize("act", ["pause", "resume", "run", "delete", "dags:pause", "dags:resume", "dags:run"])
async def test_nothing_happens_while_the_engine_is_away(visitor: Callable[[str], Visitor], act: str) -> None:
    kind, _, what = act.rpartition(":")
    ops = visitor("ops")
    before = await value("select max(id) from case_event")
    path = f"/schedules/dags/report_login_count/{what}" if kind else f"/schedules/nightly/{what}"
    assert f"{'Airflow' if kind else 'Temporal'} does not answer" in ops.post(path, 503).text
    assert await value("select max(id) from case_event") == before


def test_the_api_names_the_engine_that_is_away(caller: Callable[[str], Caller]) -> None:
    ops = caller("ops")
    for method, path, body in (
        ("GET", "/schedules", None),
        ("POST", "/schedules", ENTERED),
        ("POST", "/schedules/nightly/run", {}),
        ("DELETE", "/schedules/nightly", None),
    ):
        answer = ops.ask(method, path, **({} if body is None else {"json": body}))
        assert (answer.status_code, answer.get_json()["engine"]) == (503, "temporal"), path
    assert ops("POST", "/schedules", 422, json=ENTERED | {"flow": "none"})["errors"] == {
        "flow": "There is no such flow."
    }
    caller("patient")("GET", "/schedules", 403)


def test_a_dag_that_is_not_ours_is_not_found(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    visitor("ops").post("/schedules/dags/example/pause", 404)
