"""Dry runs: models are walked with generated entries before anybody deploys them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from app.db.session import reading
from app.engines.spiff import dry_run, models
from app.engines.spiff.dry_run import recording
from app.web.api.contract import Group
from app.web.api.models import DRAW, bundle
from app.web.api.schemas import Problem
from app.web.security import actor

group = Group("dry_runs")
blueprint = group.blueprint


class Move(BaseModel):
    """What was done from outside: a start, a form with its values, a job's answer, an event."""

    kind: Literal["start", "form", "job", "error", "message", "signal", "timer"]
    element_id: str
    given: dict[str, Any]


class DryRunFailure(BaseModel):
    element_id: str
    code: str
    message: str
    line: int
    moves: list[Move]


class MissedElement(BaseModel):
    element_id: str
    reason: str
    proved: bool


class DryRun(BaseModel):
    process_id: str
    coverage: float
    reached: list[str]
    missed: list[MissedElement]
    failures: list[DryRunFailure]
    unfilled: list[str]
    needs: list[str]
    ways: int
    ended: int
    steps: int
    seconds: float
    spent: bool


class CaseVerdict(BaseModel):
    """How a test case went; `said` is why it does not hold."""

    process_id: str
    name: str
    holds: bool
    said: str
    path: list[str]


class DryRunAnswer(BaseModel):
    ok: bool
    problems: list[Problem]
    models: list[DryRun]
    cases: list[CaseVerdict]


@group.operation("POST", "/dry-runs", roles=DRAW, files=True, answer=DryRunAnswer, errors=(413,))
async def walk(_given: object) -> dict[str, Any]:
    """Walk a bundle's models with generated entries and play its test cases; nothing is stored"""
    files = bundle()
    report = await models.check([file for file in files if not dry_run.is_cases(file.name)])
    held = [{**asdict(one), "holds": one.holds} for one in await dry_run.held(files, report)]
    walked = [one.as_dict() for one in await dry_run.of_report(report)]
    ok = report.ok and not any(one["failures"] or one["unfilled"] for one in walked)
    ok = ok and all(one["holds"] for one in held)
    return {"ok": ok, "problems": report.problems, "models": walked, "cases": held}


class RecordedCase(BaseModel):
    """A file of one test case, ready to be kept as `NAME.test.json`, and how it goes when it is played"""

    file: dict[str, Any]
    version: int
    holds: bool
    said: str


@group.operation("GET", "/instances/<uuid:instance_id>/test-case", answer=RecordedCase, errors=(404, 409))
async def record(_given: object, instance_id: UUID) -> dict[str, Any]:
    """Make a test case of an instance that has completed; its values are the real ones"""
    async with reading() as session:
        made = await recording.record(session, actor(), instance_id)
    return {
        "file": made.cases.model_dump(mode="json"),
        "version": made.version,
        "holds": made.verdict.holds,
        "said": made.verdict.said,
    }
