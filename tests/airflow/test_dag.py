"""The DAG on a real Airflow: triggered and read through DAMS, fed by DAMS' own API, failing visibly, called off."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.airflow.conftest import DAG, SECONDS, Report
from tests.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("airflow"), pytest.mark.timeout(3000)]


def shared(report: Report, run_id: str) -> dict[str, Any]:
    """What the tasks of a run have shared, by key."""
    entries = report.airflow.get(f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/~/xcomEntries").json()["xcom_entries"]
    found = {}
    for one in entries:
        path = f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/{one['task_id']}/xcomEntries/{one['key']}"
        found[f"{one['task_id']}.{one['key']}"] = report.airflow.get(path).json()["value"]
    return found


def test_each_trigger_is_a_run_of_its_own_and_its_message_counts_the_accounts(report: Report) -> None:
    first = report.trigger()
    pending = report.values(first)
    if pending.status_code != 200:  # asked so late that it has ended
        assert (pending.status_code, pending.json()["message"]) == (202, "")
    second = report.trigger()
    assert first != second
    logins = len(report.web.get("/login/list/all").json()["records"])
    for run_id in (first, second):
        done = report.ended(run_id)
        assert done.status_code == 200, done.text
        assert done.json()["message"].startswith(f"There are {logins} users as of ")
        assert done.json()["engine"] == "airflow"
        in_airflow = report.airflow.get(f"/dags/{DAG}/dagRuns/{run_id}").json()
        assert (in_airflow["state"], in_airflow["run_type"]) == ("success", "manual")
    values = shared(report, first)
    assert values["count_login.records"] == logins == len(values["list_all_login.return_value"])
    assert all(isinstance(one, int) for one in values["list_all_login.return_value"])
    assert values["return_report.report_msg"] == report.values(first).json()["message"]


def test_a_task_that_is_refused_is_an_incident_and_its_retry_ends_the_run_well(report: Report) -> None:
    report.connect("not-the-password")
    try:
        run_id = report.trigger()
        failed = report.ended(run_id)
    finally:
        report.connect()
    assert failed.status_code == 409
    assert "list_all_login failed" in failed.json()["detail"]
    assert report.status(run_id) == "failed"
    report.press(f"/ops/incidents/{report.incident(run_id)}/retry")
    done = report.ended(run_id)
    assert (done.status_code, report.status(run_id)) == (200, "completed"), done.text


def test_a_run_is_called_off_in_airflow_too(report: Report) -> None:
    run_id = report.trigger()
    wait_until(lambda: report.status(run_id) == "running", SECONDS)
    report.press(f"/ops/runs/{run_id}/cancel", reason="not needed")
    run = f"/dags/{DAG}/dagRuns/{run_id}"
    wait_until(lambda: report.airflow.get(run).json()["state"] == "failed", SECONDS)
    assert report.status(run_id) == "cancelled"
    assert report.values(run_id).status_code == 409


def test_a_paused_dag_takes_nothing_and_says_so(report: Report) -> None:
    report.pause(True)
    try:
        assert report.ask().status_code == 409
    finally:
        report.pause(False)  # or every test behind this one waits for a run that does not begin
    report.press(f"/ops/runs/{report.trigger()}/cancel", reason="only asked for")


def test_on_the_page_a_dag_is_run_paused_and_resumed_and_who_did_it_is_written_down(report: Report) -> None:
    before = len(report.kept())
    for action in ("run", "pause", "resume"):
        report.press(f"/schedules/dags/{DAG}/{action}")
        paused = report.airflow.get(f"/dags/{DAG}").json()["is_paused"]
        assert paused == (action == "pause")
    kept = report.kept()[before:]
    assert kept == ["airflow.requested ops", "schedule.paused ops", "schedule.resumed ops"]
    assert report.ended(report.newest()).status_code == 200


def test_a_run_that_nobody_asked_for_is_not_found(report: Report) -> None:
    assert report.values("").status_code == 400
    assert report.values("manual").status_code == 404
    assert report.values(str(uuid4())).status_code == 404
