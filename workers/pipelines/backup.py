"""The backup of the three profile tables as a group: three CSV files written at the same time."""

from __future__ import annotations

from typing import Any

from celery import group
from celery.canvas import Signature
from pydantic import BaseModel

from app.clinic import reports
from workers.registry import pipeline
from workers.steps import Step
from workers.tasks import task


class Backup(BaseModel):
    """Nothing is asked for."""


@pipeline("backup", Backup, title="Backup of the profiles", roles=("admin",))
def backup(_: Backup) -> Signature:
    """Administrators, patients and doctors, each as a CSV file with all columns."""
    return group(generate_csv_admin.s(), generate_csv_patient.s(), generate_csv_doctor.s())


async def _written(step: Step, table: str) -> dict[str, Any]:
    name = reports.TABLES[table]
    rows = await reports.write_table(step.session, table, reports.folder(step.run_id) / name)
    return {"file": name, "rows": rows}


@task("generate_csv_admin")
async def generate_csv_admin(step: Step) -> dict[str, Any]:
    return await _written(step, "administrator")


@task("generate_csv_patient")
async def generate_csv_patient(step: Step) -> dict[str, Any]:
    return await _written(step, "patient")


@task("generate_csv_doctor")
async def generate_csv_doctor(step: Step) -> dict[str, Any]:
    return await _written(step, "doctor")
