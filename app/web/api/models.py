"""Checking, deploying and reading models."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from app.core.errors import BadRequest
from app.db.session import reading, transaction
from app.engines import deployments, drafts
from app.engines.spiff import models
from app.engines.spiff.coded import compiling
from app.engines.spiff.specs import BundleFile
from app.web.api import schemas
from app.web.api.contract import Group
from app.web.security import actor

group = Group("models")
blueprint = group.blueprint
DRAW = ("modeler", "admin")
MAX_FILES = 20
MOST = 2**31 - 1
"""The column's largest number: a larger one in an address names no version and is no error of the database."""


def bundle() -> list[BundleFile]:
    """The uploaded files. Raises :class:`BadRequest` where there are none."""
    if request.mimetype != "multipart/form-data":
        raise BadRequest("Send the files as multipart/form-data, each as `file`.")
    files = request.files.getlist("file")
    if not 1 <= len(files) <= MAX_FILES or not all(file.filename for file in files):
        raise BadRequest(f"Send from 1 to {MAX_FILES} files, each as `file` with its name.")
    return [BundleFile((file.filename or "")[:200], file.read()) for file in files]


@group.operation("POST", "/checks", roles=DRAW, files=True, answer=schemas.CheckAnswer, errors=(413,))
async def check(_given: object) -> dict[str, Any]:
    """Check files as one bundle; nothing is stored"""
    report = await deployments.check(bundle())
    found = [{"process_id": m.process_id, "name": m.name, "engine": m.engine} for m in report.models]
    ok = not any(problem.severity == "error" for problem in report.problems)
    return {"ok": ok, "problems": report.problems, "models": found}


@group.operation(
    "POST", "/deployments", roles=DRAW, files=True, answer=schemas.Deployment, status=201, errors=(409, 413, 422)
)
async def deploy(_given: object) -> dict[str, Any]:
    """Deploy files as one bundle: a new version of each process, or nothing"""
    engine = request.form.get("engine", "auto")
    if engine not in deployments.ENGINES:
        raise BadRequest("engine is auto, spiff or zeebe.")
    activate = request.form.get("activate", "true").lower()
    if activate not in ("true", "false"):
        raise BadRequest("activate is true or false.")
    note = request.form.get("note", "")
    if len(note) > 2000:
        raise BadRequest("note has up to 2,000 characters.")
    files = bundle()
    report = await deployments.check(files, engine)
    receipt = await deployments.deploy(actor(), report, activate=activate == "true", note=note)
    async with transaction() as session:
        await drafts.keep_tables(session, actor(), files)
    return {"id": receipt.id, "models": receipt.models, "problems": report.problems}


@group.operation("GET", "/models", answer=schemas.Models)
async def listing(_given: object) -> dict[str, Any]:
    """Every process with its active version"""
    async with reading() as session:
        return {"items": await models.listing(session)}


@group.operation(
    "GET", "/models/<process_id>", query=schemas.VersionQuery, answer=schemas.ModelDetail, errors=(404, 422)
)
async def show(given: schemas.VersionQuery, process_id: str) -> dict[str, Any]:
    """One model with its elements and versions"""
    async with reading() as session:
        rows = await models.versions(session, process_id)
        wanted = given.version or next((row.version for row in rows if row.active), rows[0].version)
        model = await models.find(session, process_id, wanted)
    versions = [{name: getattr(row, name) for name in schemas.ModelVersion.model_fields} for row in rows]
    shown = {name: getattr(model, name) for name in ("process_id", "name", "version", "engine", "sha256", "file")}
    active = next(row.active for row in rows if row.version == wanted)
    elements = list(model.elements.values())
    return {**shown, "active": active, "elements": elements, "problems": model.problems, "versions": versions}


@group.operation("GET", "/models/<process_id>/xml", query=schemas.VersionQuery, answer="model", errors=(404, 422))
async def xml(given: schemas.VersionQuery, process_id: str) -> Response:
    """The file as it was uploaded"""
    async with reading() as session:
        model = await models.find(session, process_id, given.version)
    kind = "application/json" if compiling.is_coded(model.file) else "application/xml"
    return Response(model.xml, content_type=kind)


@group.operation("POST", "/models/<process_id>/retire", roles=DRAW, answer=schemas.Models, errors=(404,))
async def retire(_given: object, process_id: str) -> dict[str, Any]:
    """Let nobody start a process any more; what runs goes on"""
    async with transaction() as session:
        await models.retire(session, actor(), process_id)
        return {"items": [row for row in await models.listing(session) if row.process_id == process_id]}


@group.operation(
    "POST", "/models/<process_id>/versions/<int:version>/activate", roles=DRAW, answer=schemas.Models, errors=(404, 409)
)
async def activate(_given: object, process_id: str, version: int) -> dict[str, Any]:
    """Start new instances on an earlier or retired version; what runs stays on its own"""
    async with transaction() as session:
        await models.activate(session, actor(), process_id, min(version, MOST))
        return {"items": [row for row in await models.listing(session) if row.process_id == process_id]}
