"""The jobs of `bpmn/zeebe/diagnostics.bpmn`. Variable names are those of the specification."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

from pydantic import BaseModel, Field

from app.clinic import diagnoses
from app.db.session import Session
from workers.jobs import Job, job


class Asked(BaseModel):
    """Whose diagnoses: both are needed, so that nobody sees another's patients."""

    docid: str = Field(min_length=1)
    patientid: int


class Record(BaseModel):
    id: int
    docid: str
    patientid: int
    narrative: str
    resolution: str
    date_submitted: date


class Found(BaseModel):
    data: list[Record]


class Given(BaseModel):
    records: list[Record]


class Analysis(BaseModel):
    result: list[str]


@job("select_diagnosis", Asked, Found, timeout=10)
async def select_diagnosis(session: Session, given: Asked, _job: Job) -> Found:
    """The diagnoses of one doctor about one patient."""
    found = await diagnoses.of_patient(session, given.docid, given.patientid)
    return Found(data=[Record.model_validate(asdict(one)) for one in found])


@job("retrieve_analysis", Given, Analysis, timeout=10)
async def retrieve_analysis(_session: Session, given: Given, _job: Job) -> Analysis:
    """What was done, one sentence per diagnosis, in their order."""
    return Analysis(result=[record.resolution for record in given.records])
