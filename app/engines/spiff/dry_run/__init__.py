"""The dry run: a model is walked with generated input, in memory, until each of its elements was reached.

`walk(model)` gives what was reached, what was not and why, and every way that ended in an incident.
`held(files, report)` plays the model's own test cases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from app.engines.spiff.dry_run.cases import Verdict, is_cases, run
from app.engines.spiff.dry_run.report import DryRun, Failure, Missed, Move
from app.engines.spiff.dry_run.walk import walk
from app.engines.spiff.specs import BundleFile, CheckReport, CompiledModel

__all__ = ["DryRun", "Failure", "Missed", "Move", "Verdict", "held", "is_cases", "of_report", "one", "run", "walk"]
SECONDS = 4.0
"""What one request may walk; the command line takes longer where it is asked to."""


async def one(model: CompiledModel, seconds: float = SECONDS) -> DryRun:
    """Walk a model in a thread, as if it began now."""
    return await asyncio.to_thread(walk, model, datetime.now(UTC), seconds=seconds)


async def held(files: Sequence[BundleFile], report: CheckReport) -> list[Verdict]:
    """Play the test cases among *files* on the models of the bundle."""
    wanted = [file for file in files if is_cases(file.name)]
    return await asyncio.to_thread(run, wanted, report.models, datetime.now(UTC)) if wanted and report.ok else []


async def of_report(report: CheckReport) -> list[DryRun]:
    """Walk every model of a bundle that DAMS itself runs; nothing for a bundle with an error."""
    walked = [model for model in report.models if model.engine == "spiff"] if report.ok else []
    return [await one(model, SECONDS / len(walked)) for model in walked]
