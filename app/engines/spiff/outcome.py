"""What a step of an instance is given and what it answers: the seam between the engine and the database.

Plain records only. Whoever reads them needs no SpiffWorkflow, and whoever makes them needs no database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Status = Literal["running", "completed", "failed"]
Happening = Literal["entered", "reached", "ready", "completed", "cancelled", "failed"]
"""`reached` and `ready` are what a coded process tells instead of `entered`."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one call may cost. Above ``steps`` or ``seconds`` the rest is left to a later call of ``proceed``."""

    steps: int = 10_000
    seconds: float = 2.0
    steps_between_waits: int = 100_000
    """Steps after which a flow that never waits for anything is an incident."""
    variable_bytes: int = 256 * 1024
    instance_bytes: int = 1024 * 1024
    call_depth: int = 50
    """Levels of call activities and sub-processes; a process that calls itself for ever ends here."""


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One thing that happened to an element of the uploaded file, in the order it happened."""

    element_id: str
    event: Happening


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A user or manual task somebody can do now. ``values`` is the data it sees, for the defaults of its form."""

    id: UUID
    element_id: str
    type: str
    values: dict[str, Any]
    assigned: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Whom the model's expressions name, by what they are to the task (see `assignment`)."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event the instance waits for. ``due_at`` is set, with its zone, for timers only."""

    kind: Literal["timer", "message", "signal", "conditional", "job"]
    element_id: str
    name: str
    due_at: datetime | None
    task_id: UUID
    given: dict[str, Any] | None = None
    """What a job is to be done with. ``name`` is its topic."""


@dataclass(frozen=True, slots=True)
class Incident:
    """An element that cannot go on. ``message`` names variables, never their values; ``line`` is 1-based or 0."""

    element_id: str
    task_id: UUID
    code: str
    message: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class NamedEvent:
    """A message or signal from outside. ``payload`` is merged into the data of whoever takes it.

    ``correlation`` must equal, pair by pair, the correlation properties or else the variables of who waits.
    """

    kind: str
    name: str
    payload: dict[str, Any] = field(default_factory=dict[str, Any])
    correlation: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class ThrownEvent:
    """A message or signal that the instance threw. A message appears only if nobody inside took it.

    The payload is empty unless the model names one: a throw must not carry all of a patient's data outside.
    """

    kind: Literal["message", "signal"]
    name: str
    payload: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Outcome:
    """An instance after one step. ``trace`` holds only what this step did; everything else is how it stands now."""

    state: bytes
    status: Status
    variables: dict[str, Any]
    trace: list[TraceEntry]
    open_tasks: list[OpenTask]
    waiting: list[Waiting]
    incidents: list[Incident]
    unfinished: bool
    events_out: list[ThrownEvent]
    steps: int
