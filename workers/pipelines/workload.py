"""Booked hours per doctor and day: a chained task that spawns a `starmap` over doctors and days."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from celery.canvas import Signature
from pydantic import BaseModel, Field

from app.clinic import reports, statistics
from workers.registry import pipeline
from workers.steps import Step
from workers.tasks import task


class Period(BaseModel):
    first: date = Field(title="First day")
    days: int = Field(7, title="Days", ge=1, le=31)


@pipeline("workload", Period, title="Workload of the doctors", roles=("admin", "staff"))
def workload(given: Period) -> Signature:
    """How many appointments and hours each doctor has on each day of a period, as a CSV file."""
    return list_pairs.s(given.first.isoformat(), given.days) | write_workload.s()


@task("list_pairs")
async def list_pairs(step: Step, first: str, days: int) -> Any:
    """Gives its place to a starmap: who works here is known only now."""
    begins = date.fromisoformat(first)
    on = [(begins + timedelta(days=number)).isoformat() for number in range(days)]
    return count_booked.starmap([(docid, day) for docid in await statistics.doctors(step.session) for day in on])


@task("count_booked")
async def count_booked(step: Step, docid: str, day: str) -> list[Any]:
    count, hours = await statistics.booked(step.session, docid, date.fromisoformat(day))
    return [docid, day, count, str(hours)]


@task("write_workload")
async def write_workload(step: Step, rows: list[list[Any]]) -> dict[str, Any]:
    path = reports.folder(step.run_id) / "workload.csv"
    written = await reports.write(path, ("docid", "day", "appointments", "hours"), reports.listed(rows))
    return {"file": path.name, "rows": written, "appointments": sum(row[2] for row in rows)}
