"""Functions that hear what happens to the tasks of a coded process: SpiffWorkflow's events, saved with their effects.

A listener runs in the transaction of the step that it hears of, once for each time the event is in the trace. It may
refuse the step with a `DamsError`; then nothing of the step is written.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from app.db.session import Session

HOMES = ("app.engines.spiff.payment",)
"""Modules that listen; importing them registers what they hear."""

Event = Literal["reached", "ready", "completed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Heard:
    """One event of one task. ``variables`` are the instance's after the step, amounts as text."""

    element_id: str
    event: str
    instance_id: UUID
    case_no: str
    actor_id: int | None
    variables: dict[str, Any]


Listener = Callable[[Session, Heard], Awaitable[None]]
_known: dict[tuple[str, str, str], Listener] = {}


def on(process_id: str, element_id: str, event: Event) -> Callable[[Listener], Listener]:
    """Register the one function that hears *event* of a task."""

    def register(function: Listener) -> Listener:
        if (process_id, element_id, event) in _known:
            raise RuntimeError(f"two listeners for {event} of {element_id}")
        _known[process_id, element_id, event] = function
        return function

    return register


async def tell(session: Session, process_id: str, happened: Iterable[Heard]) -> None:
    """Call who listens, in the order in which it happened."""
    for module in HOMES:
        importlib.import_module(module)
    for heard in happened:
        listener = _known.get((process_id, heard.element_id, heard.event))
        if listener is not None:
            await listener(session, heard)
