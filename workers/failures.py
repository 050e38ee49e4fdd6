"""The end of a run that cannot go on: the step's reason, the run's incident and what must be undone, at once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.core.errors import DamsError
from app.db.session import Session, transaction
from app.engines import pipelines, runs
from workers import registry, steps
from workers.steps import Key


class TryAgain(Exception):
    """A step that failed for now"""

    def __init__(self, code: str, attempts: int) -> None:
        super().__init__(code)
        self.code, self.attempts = code, attempts


async def write(key: Key, task: str, code: str, detail: str, errors: dict[str, str] | None = None) -> None:
    """The step *task* failed for good. A step that has ended before changes nothing."""
    async with transaction() as session:
        reason: dict[str, Any] = {"code": code, "detail": detail} | ({"errors": errors} if errors else {})
        if await steps.failed(session, key, reason) and key.of_run:
            await end(session, key.run, code, f"{task}: {detail}")


async def end(session: Session, run_id: UUID, code: str, error: str) -> None:
    """The run failed: an incident, unless the cause is what was asked for; then its pipeline undoes what it did."""
    run = await runs.get(session, run_id)
    known = registry.pipelines.get(run.name) if run else None
    quiet = known is not None and (code == "invalid" or known.answers) and _askers_fault(code)
    if run is None or not await runs.failed(session, run_id, code, error, incident=not quiet):
        return
    await undo(session, run_id)


async def undo(session: Session, run_id: UUID) -> None:
    """What the run's pipeline does to leave nothing half-done. Doing it twice is doing it once."""
    run = await runs.get(session, run_id)
    known = registry.pipelines.get(run.name) if run else None
    if run is not None and known is not None:
        if known.undo is not None:
            await known.undo(session, run, await pipelines.results(session, run_id))
        if known.private and known.answers:  # nobody runs it again
            await pipelines.forget_input(session, run_id)


def _askers_fault(code: str) -> bool:
    """A refused request is an answer, not an incident."""
    return any(one.code == code and one.status < 500 for one in DamsError.__subclasses__())
