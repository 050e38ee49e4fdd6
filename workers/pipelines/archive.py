"""An archive of the clinic's tables: a chain with a group inside. Open, write all tables at once, pack."""

from __future__ import annotations

import asyncio
from typing import Any

from celery import group
from celery.canvas import Signature
from pydantic import BaseModel

from app.clinic import reports
from workers.registry import pipeline
from workers.steps import Step
from workers.tasks import task

TABLES = ("administrator", "doctor", "patient", "appointment", "diagnosis", "payment", "request")


class Archive(BaseModel):
    """Nothing is asked for."""


@pipeline("archive", Archive, title="Archive of the clinic", roles=("admin",))
def archive(_: Archive) -> Signature:
    """Every table of the clinic as CSV, packed into one ZIP with the checksum of each."""
    return open_archive.s() | group(write_archive_table.si(table) for table in TABLES) | close_archive.s()


@task("open_archive")
async def open_archive(step: Step) -> str:
    reports.folder(step.run_id).mkdir(parents=True, exist_ok=True, mode=0o700)
    return str(step.run_id)


@task("write_archive_table")
async def write_archive_table(step: Step, table: str) -> int:
    if table not in TABLES:  # the name goes into a statement
        raise ValueError(table)
    return await reports.write_table(step.session, table, reports.folder(step.run_id) / f"{table}.csv")


@task("close_archive")
async def close_archive(step: Step, counts: list[int]) -> dict[str, Any]:
    name, files = await asyncio.to_thread(reports.archive, step.run_id, "archive.zip")
    return {"file": name, "tables": files, "rows": sum(counts)}
