"""What the store hands to pages, API and CLI: plain records with exactly the members of the API's contract."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows and the cursor of the next ones; `next` is None on the last page."""

    items: list[T]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class DeployedModel:
    process_id: str
    name: str
    version: int
    engine: str
    sha256: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    id: UUID
    models: list[DeployedModel]


@dataclass(frozen=True, slots=True)
class ModelRow:
    process_id: str
    name: str
    version: int
    engine: str
    active: bool
    running: int
    deployed_at: datetime
    deployed_by: str
    file: str
    sha256: str
    note: str
    problems: list[dict[str, Any]]
    retired: bool


@dataclass(frozen=True, slots=True)
class TaskRef:
    id: UUID
    element_id: str
    name: str
    state: str
    assignee: str | None
    candidate_roles: list[str]
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class InstanceView:
    id: UUID
    process_id: str
    name: str
    version: int
    engine: str
    status: str
    case: str
    business_key: str | None
    variables: dict[str, Any]
    started_at: datetime
    ended_at: datetime | None
    tasks: list[TaskRef] = field(default_factory=list[TaskRef])
    waiting: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    incidents: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass(frozen=True, slots=True)
class InstanceRow:
    id: UUID
    process_id: str
    name: str
    version: int
    engine: str
    status: str
    case: str
    business_key: str | None
    started_at: datetime
    ended_at: datetime | None
    incidents: int


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case by its instances; what other engines do for it is in its timeline."""

    case: str
    business_key: str | None
    started_at: datetime
    instances: int
    running: int
    incidents: int
    process_ids: list[str]


@dataclass(frozen=True, slots=True)
class TraceRow:
    seq: int
    element_id: str
    element_type: str
    name: str
    event: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TaskRow:
    id: UUID
    instance_id: UUID
    process_id: str
    process_name: str
    case: str
    element_id: str
    name: str
    type: str
    state: str
    assignee: str | None
    assignee_name: str | None
    candidate_roles: list[str]
    due_at: datetime | None
    priority: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task with its form. `may_complete` is False for a finished task and for one somebody else claimed."""

    row: TaskRow
    model_id: int
    form: list[dict[str, Any]]
    form_data: dict[str, Any]
    draft: dict[str, Any] | None
    instance_status: str
    documentation: str
    closed_by: str | None
    closed_at: datetime | None
    mine: bool
    may_complete: bool


@dataclass(frozen=True, slots=True)
class EventRow:
    id: int
    at: datetime
    kind: str
    case: str | None
    instance_id: UUID | None
    task_id: UUID | None
    actor: str | None
    actor_name: str | None
    data: dict[str, Any]
