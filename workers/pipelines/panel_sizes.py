"""Patients per doctor: a chained task that spawns a `map` over the doctors."""

from __future__ import annotations

from typing import Any

from celery.canvas import Signature
from pydantic import BaseModel

from app.clinic import reports, statistics
from workers.registry import pipeline
from workers.steps import Step
from workers.tasks import task


class Nothing(BaseModel):
    """Nothing is asked for."""


@pipeline("panel-sizes", Nothing, title="Patients per doctor", roles=("admin", "staff", "doctor"))
def panel_sizes(_: Nothing) -> Signature:
    """How many different patients each doctor has, as a CSV file."""
    return list_doctors.s() | write_panels.s()


@task("list_doctors")
async def list_doctors(step: Step) -> Any:
    return count_panel.map(await statistics.doctors(step.session))


@task("count_panel")
async def count_panel(step: Step, docid: str) -> list[Any]:
    return [docid, await statistics.patients_of(step.session, docid)]


@task("write_panels")
async def write_panels(step: Step, rows: list[list[Any]]) -> dict[str, Any]:
    path = reports.folder(step.run_id) / "panel_sizes.csv"
    written = await reports.write(path, ("docid", "patients"), reports.listed(rows))
    return {"file": path.name, "rows": written, "patients": sum(row[1] for row in rows)}
