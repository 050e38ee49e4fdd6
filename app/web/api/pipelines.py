"""Pipelines on Celery: what may be started, starting, following, cancelling and trying again."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response, send_file, url_for
from pydantic import BaseModel, Field

from app.clinic import audit, reports
from app.db.session import reading, transaction
from app.engines import control, inputs, pipelines
from app.engines.runs import Run
from app.web.api import schemas
from app.web.api.contract import Group, idempotency_key, reply
from app.web.security import actor

group = Group("pipelines")
blueprint = group.blueprint


class Pipeline(BaseModel):
    name: str
    title: str
    description: str
    input_schema: dict[str, Any]
    roles: list[str]


class Pipelines(BaseModel):
    items: list[Pipeline]


class RunRequest(schemas.Request):
    input: schemas.Variables = Field(default_factory=dict)


class Step(BaseModel):
    step: str
    task: str
    state: str
    attempts: int
    result: Any
    error: dict[str, Any] | None
    began_at: datetime
    ended_at: datetime | None


class RunRow(BaseModel):
    id: UUID
    name: str
    status: str
    done: int
    total: int | None
    result: Any
    error: str | None
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class RunDetail(RunRow):
    steps: list[Step]


class Runs(BaseModel):
    items: list[RunRow]


class RunQuery(schemas.Query):
    name: schemas.Name | None = None


def told(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in RunRow.model_fields}


@group.operation("GET", "/pipelines", answer=Pipelines)
async def listing(_given: object) -> Any:
    """The pipelines that you may start, each with the JSON Schema of its input"""
    async with reading() as session:
        return {"items": await pipelines.offered(session, actor())}


@group.operation(
    "POST",
    "/pipelines/<name>/runs",
    body=RunRequest,
    answer=RunRow,
    status=202,
    errors=(404, 409, 413, 422),
    headers=("Idempotency-Key",),
)
async def start(given: RunRequest, name: str) -> Response:
    """Start a pipeline; Location says where its run is"""
    person = actor()
    async with transaction() as session:
        found = await pipelines.find(session, person, name)
        entered = inputs.check(found.input_schema, given.input)
        run_id = await pipelines.start(session, name, entered, started_by=person.id, key=idempotency_key())
        run = await pipelines.seen(session, person, run_id)
    answer = reply(told(run), 202)
    answer.headers["Location"] = url_for("api_pipelines.show", run_id=run_id)
    return answer


@group.operation("GET", "/pipelines/runs", query=RunQuery, answer=Runs, errors=(422,))
async def recent(given: RunQuery) -> Any:
    """The newest runs that you may see"""
    async with reading() as session:
        return {"items": [told(run) for run in await pipelines.recent(session, actor(), given.name)]}


@group.operation("GET", "/pipelines/runs/<uuid:run_id>", answer=RunDetail, errors=(404,))
async def show(_given: object, run_id: UUID) -> Any:
    """One run with its steps"""
    async with reading() as session:
        run = await pipelines.seen(session, actor(), run_id)
        return told(run) | {"steps": await pipelines.steps(session, run_id)}


@group.operation(
    "DELETE",
    "/pipelines/runs/<uuid:run_id>",
    body=schemas.Cancel,
    answer=RunRow,
    status=202,
    errors=(404, 409, 413, 422),
)
async def cancel(given: schemas.Cancel, run_id: UUID) -> Any:
    """Cancel a run; what it began is undone"""
    async with transaction() as session:
        await pipelines.cancel(session, actor(), run_id, given.reason)
        return told(await pipelines.seen(session, actor(), run_id))


@group.operation(
    "POST", "/pipelines/runs/<uuid:run_id>/retry", roles=("ops", "admin"), answer=RunRow, errors=(404, 409)
)
async def retry(_given: object, run_id: UUID) -> Any:
    """Run again what failed; finished steps keep their results"""
    async with transaction() as session:
        await pipelines.seen(session, actor(), run_id)
        await control.retry(session, actor(), run_id)
        return told(await pipelines.seen(session, actor(), run_id))


@group.operation("GET", "/pipelines/runs/<uuid:run_id>/files/<name>", answer="csv", errors=(404,))
async def download(_given: object, run_id: UUID, name: str) -> Response:
    """A file that a run made"""
    async with transaction() as session:
        await pipelines.seen(session, actor(), run_id)
        path = reports.open_file(run_id, name)
        await audit.record(session, "report.downloaded", actor_id=actor().id, data={"run": str(run_id), "file": name})
    return send_file(path, as_attachment=True, download_name=name)
