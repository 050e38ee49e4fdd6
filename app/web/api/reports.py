"""The specification's reports: the backup of the profiles as three CSV files, and a doctor's figures."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from flask import Response, send_file, url_for
from pydantic import BaseModel, ConfigDict, Field

from app.clinic import audit, reports
from app.core.errors import BadRequest, NotFound
from app.db.session import reading, transaction
from app.engines import pipelines, runs
from app.engines.runs import Run
from app.web.api.contract import Group, idempotency_key, reply
from app.web.security import actor

group = Group("reports", prefix="")
blueprint = group.blueprint


class File(BaseModel):
    name: str
    rows: int
    href: str


class Backup(BaseModel):
    id: UUID
    status: str
    done: int
    total: int | None
    message: str
    files: list[File]
    error: str | None


class Figures(BaseModel):
    message: str
    docid: str
    patients: int
    requests: int


class DoctorQuery(BaseModel):
    model_config = ConfigDict(extra="ignore")

    docid: str = Field(default="", max_length=200)


@group.operation(
    "POST",
    "/admin/reports/create",
    roles=("admin",),
    answer=Backup,
    status=202,
    errors=(409,),
    headers=("Idempotency-Key",),
)
async def create(_given: object) -> Response:
    """Write the three backups at the same time; Location says where they will be"""
    person = actor()
    async with transaction() as session:
        run_id = await pipelines.start(session, "backup", {}, started_by=person.id, key=idempotency_key())
        run = await runs.get(session, run_id)
    answer = reply(_told(run), 202)
    answer.headers["Location"] = url_for("api_reports.state", run_id=run_id)
    return answer


@group.operation("GET", "/admin/reports/<uuid:run_id>", roles=("admin",), answer=Backup, errors=(404,))
async def state(_given: object, run_id: UUID) -> Any:
    """How far a backup is, and its files"""
    async with reading() as session:
        return _told(await runs.get(session, run_id))


@group.operation("GET", "/admin/reports/<uuid:run_id>/<name>", roles=("admin",), answer="csv", errors=(404,))
async def download(_given: object, run_id: UUID, name: str) -> Response:
    """One file of a backup"""
    async with transaction() as session:
        run = await runs.get(session, run_id)
        if run is None or run.name != "backup":
            raise NotFound("There is no such backup.")
        path = reports.open_file(run_id, name)
        await audit.record(session, "report.downloaded", actor_id=actor().id, data={"run": str(run_id), "file": name})
    return send_file(path, mimetype="text/csv", as_attachment=True, download_name=name)


@group.operation(
    "GET", "/admin/doc/stats", roles=("admin", "staff", "doctor"), query=DoctorQuery, answer=Figures, errors=(404, 422)
)
async def stats(given: DoctorQuery) -> Any:
    """How many different patients a doctor has, and how many laboratory requests"""
    if not given.docid.strip():
        raise BadRequest("Say which doctor: ?docid=HSP-200")
    if not re.fullmatch(r"[A-Za-z0-9-]{1,12}", given.docid):
        raise NotFound("There is no doctor with this id.")
    return await pipelines.call("doctor-stats", {"docid": given.docid}, started_by=actor().id)


def _told(run: Run | None) -> dict[str, Any]:
    if run is None or run.name != "backup":
        raise NotFound("There is no such backup.")
    files = run.result if run.status == "completed" else []
    links = [
        {**one, "name": one["file"], "href": url_for("api_reports.download", run_id=run.id, name=one["file"])}
        for one in files
    ]
    message = "done backup" if run.status == "completed" else run.status
    shared = {"id": run.id, "status": run.status, "done": run.done, "total": run.total, "error": run.error}
    return shared | {"message": message, "files": links}
