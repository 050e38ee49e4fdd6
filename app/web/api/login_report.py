"""The specification's report of how many accounts there are: made by Airflow's DAG, or by DAMS where Airflow is off."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response, url_for
from pydantic import BaseModel, ConfigDict, Field

from app.clinic import local_time
from app.core.errors import BadRequest, Conflict, NotFound
from app.db.session import reading, transaction
from app.engines import airflow, dags, flows, runs
from app.engines.runs import Run
from app.web.api.contract import Group, reply
from app.web.security import actor

group = Group("login_report", prefix="")
blueprint = group.blueprint
NAME = "report_login_count"
KEEPERS = ("ops", "admin")


class LoginReportQuery(BaseModel):
    model_config = ConfigDict(extra="ignore")

    login_count: int = Field(ge=0, le=2**31 - 1)


class LoginReport(BaseModel):
    message: str


class LoginReportRun(BaseModel):
    model_config = ConfigDict(extra="ignore")

    run_id: str = Field(default="", max_length=100)


class Report(BaseModel):
    run_id: UUID
    engine: str
    dag_id: str
    status: str
    requested_at: datetime
    message: str


@group.operation("GET", "/login/report/count", roles=KEEPERS, query=LoginReportQuery, answer=LoginReport, errors=(422,))
async def say(given: LoginReportQuery) -> Any:
    """A count in words, as of now on the clinic's clock"""
    now = datetime.now(local_time.zone())
    return {"message": f"There are {given.login_count} users as of {now:%Y-%m-%d %H:%M}."}


@group.operation("POST", "/login/dag/report/login/count", roles=KEEPERS, answer=Report, status=202, errors=(404, 409))
async def trigger(_given: object) -> Response:
    """Have the report made; each time is a run of its own, and Location says where its message will be"""
    if airflow.is_on():
        await dags.ready(NAME)
    async with transaction() as session:
        make = dags.trigger if airflow.is_on() else flows.trigger
        run_id = await make(session, NAME, actor())
        run = await runs.get(session, run_id)
    return _told(run, 202)


@group.operation(
    "GET", "/login/dag/xcom/values", roles=KEEPERS, query=LoginReportRun, answer=Report, errors=(202, 404, 409, 422)
)
async def values(given: LoginReportRun) -> Response:
    """The message of a run: 202 while it is being made, 409 with the reason if it could not be"""
    run = await _found(given.run_id)
    if run.status in ("failed", "cancelled"):
        raise Conflict(f"The run is {run.status}. {run.error or ''}".strip(), run_id=str(run.id))
    return _told(run, 200 if run.status == "completed" else 202)


async def _found(spelt: str) -> Run:
    if not spelt:
        raise BadRequest("Say which run: ?run_id=…")
    try:
        run_id = UUID(spelt)
    except ValueError as error:
        raise NotFound("There is no such run.") from error
    async with reading() as session:
        run = await runs.get(session, run_id)
    if run is None or run.name != NAME:
        raise NotFound("There is no such run.")
    return await dags.follow(run_id) if run.engine == airflow.ENGINE else run


def _told(run: Run | None, status: int) -> Response:
    assert run is not None  # noqa: S101 - it was found or made just now
    message = str((run.result or {}).get("message", ""))
    report = {"run_id": run.id, "engine": run.engine, "dag_id": run.name, "status": run.status, "message": message}
    answer = reply(report | {"requested_at": run.requested_at}, status)
    if status == 202:
        answer.headers["Location"] = url_for("api_login_report.values", run_id=run.id)
        answer.headers["Retry-After"] = "2"
    return answer
