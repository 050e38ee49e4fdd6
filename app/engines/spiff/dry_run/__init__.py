"""The dry run: a model is walked with generated input, in memory, until each of its elements was reached.

`walk(model)` gives what was reached, what was not and why, and every way that ended in an incident.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from app.engines.spiff.dry_run.report import DryRun, Failure, Missed, Move
from app.engines.spiff.dry_run.walk import walk
from app.engines.spiff.specs import CheckReport, CompiledModel

__all__ = ["DryRun", "Failure", "Missed", "Move", "of_report", "one", "walk"]
SECONDS = 4.0
"""What one request may walk; the command line takes longer where it is asked to."""


async def one(model: CompiledModel, seconds: float = SECONDS) -> DryRun:
    """Walk a model in a thread, as if it began now."""
    return await asyncio.to_thread(walk, model, datetime.now(UTC), seconds=seconds)


async def of_report(report: CheckReport) -> list[DryRun]:
    """Walk every model of a bundle that DAMS itself runs; nothing for a bundle with an error."""
    walked = [model for model in report.models if model.engine == "spiff"] if report.ok else []
    return [await one(model, SECONDS / len(walked)) for model in walked]
