"""Stamps on signatures: which run they belong to and which step of it they are, the same each time they are built."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery.canvas import Signature, StampingVisitor

from workers.steps import Key

MAPS = ("celery.map", "celery.starmap")


class _Steps(StampingVisitor):
    """Numbers the signatures in the order in which Celery visits them, and counts what will be done."""

    def __init__(self, run_id: UUID, prefix: str = "") -> None:
        self._run, self._prefix = str(run_id), prefix
        self._number = self.total = 0

    def on_signature(self, sig: Any, **_: Any) -> dict[str, Any]:
        self._number += 1
        if not str(sig["task"]).startswith(("dams.", "celery.accumulate")):  # what ends the run is no step of it
            self.total += len(sig["kwargs"]["it"]) if sig["task"] in MAPS else 1
        return {"run": self._run, "step": f"{self._prefix}{self._number}"}


def stamped(signature: Signature, run_id: UUID) -> int:
    """Stamp a whole canvas in place; the number of steps that it has."""
    visitor = _Steps(run_id)
    signature.stamp(visitor)
    return visitor.total


def continued(signature: Signature, key: Key) -> int:
    """Stamp what takes a step's place: its steps are parts of that one. Gives how many they are."""
    visitor = _Steps(key.run, f"{key.step}.")
    if key.of_run:
        signature.stamp(visitor)
    return visitor.total


def single(stamp: Any) -> str:
    """A stamp's value; Celery makes lists where stamps meet, of which the last is the innermost."""
    return str(stamp[-1] if isinstance(stamp, list | tuple) else stamp)
