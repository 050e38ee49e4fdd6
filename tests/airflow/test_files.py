"""DAG files: listed by Airflow, in relation to each other, and read again when they change, with nothing restarted."""

from __future__ import annotations

import json
import subprocess
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from app.dev import airflow as installation
from tests.airflow import server
from tests.airflow.conftest import DAG, SECONDS, Report, folder
from tests.conftest import cluster
from tests.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("airflow"), pytest.mark.timeout(3000)]
FILE = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag


@dag(schedule=None)
def fan_out():
    begin, end = EmptyOperator(task_id="begin"), EmptyOperator(task_id="end")
    sides = [EmptyOperator(task_id=name) for name in SIDES]
    begin >> sides
    end << sides


@dag(schedule=None)
def alone():
    EmptyOperator(task_id="only")


fan_out()
alone()
"""


def write(*sides: str) -> None:
    (server.dags(folder()) / "relations.py").write_text(FILE.replace("SIDES", repr(list(sides))))


def relations(report: Report) -> dict[str, set[str]]:
    """The tasks of the DAG as Airflow has read it, each with those that wait for it; none while it has not."""
    answer = report.airflow.get("/dags/fan_out/tasks")
    tasks = answer.json()["tasks"] if answer.is_success else []
    return {task["task_id"]: set(task["downstream_task_ids"]) for task in tasks}


def ran(report: Report) -> set[str]:
    """Run the DAG once; the tasks that the run consisted of."""
    run_id = str(uuid4())
    asked: dict[str, Any] = {"dag_run_id": run_id, "logical_date": None}
    report.airflow.post("/dags/fan_out/dagRuns", json=asked).raise_for_status()
    run = f"/dags/fan_out/dagRuns/{run_id}"
    wait_until(lambda: report.airflow.get(run).json()["state"] == "success", SECONDS)
    return {one["task_id"] for one in report.airflow.get(f"{run}/taskInstances").json()["task_instances"]}


def test_airflow_lists_the_reports_dag(report: Report, airflow: str) -> None:
    environment = server.environment(folder(), urlsplit(airflow).port or 0, cluster())
    command = installation.command("dags", "list", "--output", "json")
    listed = subprocess.run(command, env=environment, cwd=folder(), capture_output=True, text=True, check=True).stdout
    found = {one["dag_id"]: one for one in json.loads(listed[listed.index("[{") :])}
    assert found[DAG]["fileloc"].endswith("report_login_count.py")


def test_branches_fan_out_and_a_changed_file_is_what_the_next_run_runs(report: Report) -> None:
    write("left", "right")
    first = {"begin": {"left", "right"}, "left": {"end"}, "right": {"end"}, "end": set()}
    wait_until(lambda: relations(report) == first, SECONDS)
    assert report.airflow.get("/dags/alone").status_code == 200  # of the same file
    report.airflow.patch("/dags/fan_out", json={"is_paused": False}).raise_for_status()
    assert ran(report) == set(first)
    write("left", "middle", "right")
    wait_until(lambda: "middle" in relations(report), SECONDS)
    assert ran(report) == {*first, "middle"}
