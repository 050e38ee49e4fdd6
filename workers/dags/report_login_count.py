"""The daily report of how many accounts there are, made over DAMS' own API. Runs in Airflow's environment.

The named connection `dams` holds address, user and password of the service; nothing secret stands in here, and what
the tasks share are numbers of accounts, never their names.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import httpx
import pendulum
from airflow.sdk import BaseHook, dag, task
from airflow.sdk.exceptions import AirflowFailException

CONNECTION = "dams"
ZONE = os.environ.get("DAMS_CLINIC__TIME_ZONE", "UTC")
"""The clinic's: noon is noon there."""
SECONDS = 20


def call(path: str, **query: str | int) -> dict[str, Any]:
    """GET *path* of the service as JSON. Any status but 200 fails the task: trying again may help."""
    where = BaseHook.get_connection(CONNECTION)
    address = f"{where.conn_type or 'http'}://{where.host}:{where.port}{(where.extra_dejson or {}).get('prefix', '')}"
    with httpx.Client(base_url=address, timeout=SECONDS) as client:
        signed_in = client.post("/api/v1/token", json={"username": where.login, "password": where.password})
        check(signed_in)
        token = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
        try:
            answer = client.get(path, params=query, headers=token)
            check(answer)
            return answer.json()
        finally:
            client.delete("/api/v1/token", headers=token)


def check(answer: httpx.Response) -> None:
    """The response check: what was asked for, or the task has failed."""
    if answer.status_code != httpx.codes.OK:
        raise RuntimeError(f"{answer.request.url.path} answered {answer.status_code}")


@dag(
    description="How many accounts there are, reported every noon",
    schedule="0 12 * * *",
    start_date=pendulum.datetime(2023, 12, 27, tz=ZONE),
    catchup=False,
    default_args={"execution_timeout": timedelta(minutes=2)},
    tags=["dams"],
)
def report_login_count() -> None:
    """list_all_login → count_login → report_count → return_report"""

    @task
    def list_all_login() -> list[int]:
        return [record["id"] for record in call("/login/list/all")["records"]]

    @task
    def count_login(accounts: list[int], ti: Any = None) -> None:
        if not accounts:
            raise AirflowFailException("there is nothing to count")
        ti.xcom_push(key="records", value=len(accounts))

    @task
    def report_count(ti: Any = None) -> str:
        counted = ti.xcom_pull(task_ids="count_login", key="records")
        return call("/login/report/count", login_count=counted)["message"]

    @task
    def return_report(message: str, ti: Any = None) -> None:
        ti.xcom_push(key="report_msg", value=message)

    counted = count_login(list_all_login())
    reported = report_count()
    counted >> reported
    return_report(reported)


report_login_count()
