"""The specification's calls for diagnoses: deploy their process to Zeebe, ask for an analysis, wait for it or not."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import request, url_for
from pydantic import BaseModel, Field

from app.core.actor import DESK
from app.core.settings import ROOT
from app.db.session import reading, transaction
from app.engines import deployments, instances
from app.engines.spiff import models
from app.engines.spiff.specs import BundleFile
from app.engines.zeebe import instances as zeebe
from app.web.api import schemas
from app.web.api.contract import Group, idempotency_key, reply
from app.web.api.models import DRAW, bundle
from app.web.security import actor

group = Group("diagnosis", prefix="")
blueprint = group.blueprint
PROCESS = "Process_Diagnostics"
SHIPPED = ROOT / "bpmn/zeebe/diagnostics.bpmn"
SECONDS = 10.0


class AnalysisRequest(schemas.Request):
    docid: str = Field(min_length=1, max_length=12)
    patientid: int = Field(ge=1, le=2**31 - 1)


class Analysis(BaseModel):
    result: list[str]
    instance: UUID


class Begun(BaseModel):
    id: UUID
    status: str
    case: str


class Deployed(BaseModel):
    """One process. `key` and `engine_version` are the broker's."""

    process_id: str
    name: str
    version: int
    engine: str
    changed: bool
    key: int | None
    engine_version: int | None


class DeployedFiles(BaseModel):
    data: list[Deployed]


@group.operation(
    "POST",
    "/diagnosis/bpmn/deploy",
    roles=DRAW,
    files=True,
    answer=DeployedFiles,
    status=201,
    errors=(409, 413, 422),
)
async def deploy(_given: object) -> Any:
    """Deploy the uploaded files, or the process that ships with DAMS where none is sent"""
    sent = request.mimetype == "multipart/form-data"
    files = bundle() if sent else [BundleFile(SHIPPED.name, SHIPPED.read_bytes())]
    report = await deployments.check(files)
    receipt, made = await deployments.deploy_with_keys(actor(), report, note="" if sent else "ships with DAMS")
    return DeployedFiles(
        data=[
            Deployed(
                process_id=model.process_id,
                name=model.name,
                version=model.version,
                engine=model.engine,
                changed=model.changed,
                key=made[model.process_id].key if model.process_id in made else None,
                engine_version=made[model.process_id].version if model.process_id in made else None,
            )
            for model in receipt.models
        ]
    )


@group.operation(
    "POST",
    "/diagnosis/analysis/text",
    roles=tuple(DESK),
    body=AnalysisRequest,
    answer=Analysis,
    status=201,
    errors=(404, 409, 413, 422),
)
async def analyse(given: AnalysisRequest) -> Any:
    """What was done about the diagnoses of a doctor's patient; waits for it up to ten seconds"""
    async with reading() as session:
        model = await models.find(session, PROCESS)
    run_id, result = await zeebe.result_of(actor(), model, given.model_dump(), "result", SECONDS)
    answer = reply(Analysis(result=result, instance=run_id), 201)
    answer.headers["Location"] = url_for("api_instances.show", instance_id=run_id)
    return answer


@group.operation(
    "POST",
    "/diagnosis/analysis/start",
    roles=tuple(DESK),
    body=AnalysisRequest,
    answer=Begun,
    status=202,
    errors=(404, 409, 413, 422),
    headers=("Idempotency-Key",),
)
async def begin(given: AnalysisRequest) -> Any:
    """Ask for an analysis and go on; its Location tells how it goes, and DELETE there cancels it"""
    async with transaction() as session:
        view = await instances.start(session, actor(), PROCESS, given.model_dump(), key=idempotency_key())
    answer = reply(Begun(id=view.id, status=view.status, case=view.case), 202)
    answer.headers["Location"] = url_for("api_instances.show", instance_id=view.id)
    return answer
