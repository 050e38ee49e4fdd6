"""The report of accounts over the API: native where Airflow is off, refused by name where it is away."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.settings import settings
from app.db.session import transaction
from app.dev.state import free_ports
from app.engines import dags, health, relay
from tests.conftest import make_actor
from tests.web.conftest import Caller, Visitor, value

REPORT = "/login/dag/report/login/count"
VALUES = "/login/dag/xcom/values"


@pytest.fixture
def airflow_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow is on, and nothing listens where it should be."""
    (port,) = free_ports(1)
    monkeypatch.setenv("DAMS_AIRFLOW__URL", f"http://127.0.0.1:{port}")
    settings.cache_clear()
    health.forget()


def test_a_count_is_said_in_words(caller: Callable[[str], Caller]) -> None:
    ops = caller("ops")
    answer = ops.open("GET", "/login/report/count?login_count=7")
    assert answer.get_json()["message"].startswith("There are 7 users as of ")
    assert ops.open("GET", "/login/report/count?login_count=many").status_code == 422
    assert caller("patient").open("GET", "/login/report/count?login_count=7").status_code == 403


async def test_where_airflow_is_off_dams_makes_the_report_itself(caller: Callable[[str], Caller]) -> None:
    ops = caller("ops")
    first, second = (ops.open("POST", REPORT) for _ in range(2))
    run_id = first.get_json()["run_id"]
    assert (first.status_code, first.get_json()["engine"]) == (202, "temporal")
    assert second.get_json()["run_id"] != run_id
    assert first.headers["Location"] == f"{VALUES}?run_id={run_id}"
    assert ops.open("GET", first.headers["Location"]).status_code == 202
    async with transaction() as session:
        await session.execute(
            text("update engine_run set status = 'completed', result = :result where id = :id"),
            {"result": '{"message": "There are 7 users as of noon."}', "id": run_id},
        )
    done = ops.open("GET", first.headers["Location"])
    assert (done.status_code, done.get_json()["message"]) == (200, "There are 7 users as of noon.")
    async with transaction() as session:
        await session.execute(text("update engine_run set status = 'failed', error = 'count_login failed'"))
    failed = ops.open("GET", first.headers["Location"])
    assert (failed.status_code, failed.get_json()["detail"]) == (409, "The run is failed. count_login failed")


@pytest.mark.parametrize(("run_id", "status"), [("", 400), ("manual", 404), (f"{UUID(int=1)}", 404)])
def test_a_run_that_nobody_asked_for_is_not_found(caller: Callable[[str], Caller], run_id: str, status: int) -> None:
    assert caller("ops").open("GET", f"{VALUES}?run_id={run_id}").status_code == status


@pytest.mark.usefixtures("airflow_away")
async def test_with_airflow_away_the_call_names_it_and_the_rest_goes_on(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    ops = caller("ops")
    answer = ops.open("POST", REPORT)
    assert (answer.status_code, answer.get_json()["engine"]) == (503, "airflow")
    assert "Retry-After" in answer.headers
    assert await value("select count(*) from engine_run") == 0
    ready = ops.open("GET", "/readyz")
    assert (ready.status_code, ready.get_json()["engines"]["airflow"]) == (200, "down")
    assert ops.ask("GET", "/tasks").status_code == 200
    assert "airflow does not answer" in visitor("ops").get("/ops").text


@pytest.mark.usefixtures("app", "airflow_away")
async def test_what_was_accepted_waits_for_airflow_and_is_not_sent_once_it_is_called_off() -> None:
    actor = await make_actor("keeper", "ops")
    async with transaction() as session:
        run_id = await dags.trigger(session, "report_login_count", actor)
    for effect in await relay.claim(10):
        await relay.deliver(effect)
    waiting = "select state || ' ' || last_error from outbox where kind = 'dag-run'"
    assert await value(waiting) == "pending Airflow does not answer."
    async with transaction() as session:
        await session.execute(text("update engine_run set status = 'cancelled' where id = :id"), {"id": run_id})
        await session.execute(text("update outbox set next_at = now()"))
    for effect in await relay.claim(10):
        await relay.deliver(effect)
    assert await value("select state from outbox where kind = 'dag-run'") == "sent"
