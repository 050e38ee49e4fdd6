"""Is what pipelines need there? One look at the database, one at the files, one at another server, at the same time."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import httpx
from celery import group
from celery.canvas import Signature
from pydantic import BaseModel
from sqlalchemy import text

from app.clinic import reports
from app.core.settings import settings
from workers.registry import pipeline
from workers.steps import Step
from workers.tasks import task

SECONDS = 5.0


class Nothing(BaseModel):
    """Nothing is asked for."""


@pipeline("inspection", Nothing, title="Inspection", roles=("admin", "ops"))
def inspection(_: Nothing) -> Signature:
    """Whether the database, the folder of files and the payment provider can be worked with."""
    return (
        group(inspect_database.s("appointment"), inspect_files.s(1_024), inspect_server.s("payments"))
        | report_inspection.s()
    )


@task("inspect_database")
async def inspect_database(step: Step, table: str) -> dict[str, Any]:
    """How many rows a table of the clinic has; *table* is one of the code's own names."""
    rows = await step.session.scalar(text(f"select count(*) from {table}"))  # noqa: S608 - see above
    return {"what": "database", "up": True, "detail": f"{rows} rows in {table}"}


@task("inspect_files")
async def inspect_files(step: Step, size: int) -> dict[str, Any]:
    """Write *size* bytes where reports are written, and take them away again."""
    folder = reports.folder(step.run_id)
    try:
        free = await asyncio.to_thread(_try_out, folder.parent, str(step.run_id), size)
    except OSError as error:
        return {"what": "files", "up": False, "detail": os.strerror(error.errno or 0)}
    return {"what": "files", "up": True, "detail": f"{free // 2**20} MiB free"}


def _try_out(folder: Path, name: str, size: int) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".{name}"
    probe.write_bytes(bytes(size))
    probe.unlink()
    return shutil.disk_usage(folder).free


@task("inspect_server")
async def inspect_server(step: Step, name: str) -> dict[str, Any]:  # noqa: ARG001 - no database
    """Whether a server of the settings answers; any answer will do."""
    try:
        async with httpx.AsyncClient(timeout=SECONDS) as client:
            answer = await client.get(settings().payment.url)
    except httpx.HTTPError as error:
        return {"what": name, "up": False, "detail": type(error).__name__}
    return {"what": name, "up": answer.status_code < 500, "detail": f"answers {answer.status_code}"}


@task("report_inspection")
async def report_inspection(step: Step, found: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG001 - no database
    """One line for each, in the order of the group."""
    return {one["what"]: f"{'up' if one['up'] else 'down'}, {one['detail']}" for one in found}
