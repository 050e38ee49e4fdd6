"""A doctor's figures as a chord: two counts at the same time, then a sentence from both."""

from __future__ import annotations

from typing import Any

from celery import chord
from celery.canvas import Signature
from pydantic import BaseModel, Field

from app.clinic import statistics
from workers.registry import pipeline
from workers.steps import Step
from workers.tasks import task


class Doctor(BaseModel):
    docid: str = Field(title="Doctor's id", max_length=12, pattern=r"[A-Za-z0-9-]+", examples=["HSP-200"])


@pipeline("doctor-stats", Doctor, title="Figures of a doctor", roles=("admin", "staff", "doctor"), answers=True)
def doctor_stats(given: Doctor) -> Signature:
    """How many different patients a doctor has, and how many laboratory requests."""
    return chord(
        [count_patients_doctor.s(given.docid), count_request_doctor.s(given.docid)],
        create_doctor_stats.s(given.docid),
    )


@task("count_patients_doctor")
async def count_patients_doctor(step: Step, docid: str) -> int:
    return await statistics.patients_of(step.session, docid)


@task("count_request_doctor")
async def count_request_doctor(step: Step, docid: str) -> int:
    return await statistics.requests_of(step.session, docid)


@task("create_doctor_stats")
async def create_doctor_stats(step: Step, counts: list[int], docid: str) -> dict[str, Any]:  # noqa: ARG001 - no database
    """*counts* stand in the order of the chord's header."""
    patients, requests = counts
    sentence = (
        f"Doctor {docid} has {patients} patient{'s' * (patients != 1)} and {requests} request{'s' * (requests != 1)}."
    )
    return {"message": sentence, "docid": docid, "patients": patients, "requests": requests}
