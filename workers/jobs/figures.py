"""A doctor's figures in a drawn process: Celery's chord counts, the process goes on with its result."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.core.errors import NotFound
from app.db.session import Session, transaction
from app.engines import pipelines
from workers.jobs import BpmnError, Job, job

WAITS = 45.0


class Doctor(BaseModel):
    docid: str = Field(min_length=1, max_length=12)


class Figures(BaseModel):
    message: str
    patients: int
    requests: int


@job("doctor_figures", Doctor, Figures, timeout=60, at_once=4)
async def doctor_figures(_session: Session, given: Doctor, job: Job) -> Figures:
    """Ask for the pipeline once, however often this job is handed out; a doctor whom nobody knows is `no-doctor`."""
    async with transaction() as session:
        run_id = await pipelines.start(session, "doctor-stats", {"docid": given.docid}, key=job.business_key)
    try:
        return Figures.model_validate(await pipelines.outcome(run_id, WAITS))
    except NotFound as error:
        raise BpmnError("no-doctor") from error
