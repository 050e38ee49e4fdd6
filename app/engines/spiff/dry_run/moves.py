"""One move made on an instance in memory: a start, a form, a job's answer or error, a message, a signal, a timer."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.engines.spiff import steps
from app.engines.spiff.blueprints import LoadedSpec
from app.engines.spiff.dry_run.report import Move
from app.engines.spiff.limits import bounds
from app.engines.spiff.outcome import NamedEvent, OpenTask, Outcome, Waiting


def begin(spec: LoadedSpec, move: Move, now: datetime) -> Outcome:
    """Start an instance by hand, or at the start event that *move* names. Raises :class:`Invalid` for bad variables."""
    at = None if move.kind == "start" else move.element_id
    return steps.start(spec, dict(move.given), bounds=bounds(), now=now, at=at)


def make(spec: LoadedSpec, before: Outcome, move: Move, at: OpenTask | Waiting, now: datetime) -> Outcome | None:
    """What comes of *move* at the task or event *at*; None where it leads nowhere, as an error that nothing catches.

    Raises:
        Invalid: a value that cannot be kept.
    """
    state, given, limits = before.state, dict(move.given), bounds()
    if isinstance(at, OpenTask):
        return steps.complete(spec, state, at.id, given, bounds=limits, now=now)
    match move.kind:
        case "job":
            return steps.answer(spec, state, at.task_id, given, bounds=limits, now=now)
        case "error":
            code, why = str(given.get("code", "")), str(given.get("message", "dry run"))
            return steps.refuse(spec, state, at.task_id, code, why, bounds=limits, now=now)
        case "message" | "signal":
            return steps.deliver(spec, state, NamedEvent(move.kind, at.name, given), bounds=limits, now=now)
        case _:
            return steps.proceed(spec, state, bounds=limits, now=now + timedelta(milliseconds=1))


def time_of(at: OpenTask | Waiting | None, now: datetime) -> datetime:
    """When it happens: a timer's own time, else *now*."""
    return max(now, at.due_at) if isinstance(at, Waiting) and at.due_at is not None else now
