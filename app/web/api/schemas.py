"""The shapes of requests and answers. Requests are checked with them; answers are documented by them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Variables = dict[str, Any]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Limit = Annotated[int, Field(ge=1, le=200)]


class Request(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class Query(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Credentials(Request):
    username: str = Field(max_length=200)
    password: str = Field(max_length=1000)


class Token(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the scheme's name
    expires_in: int
    roles: list[str]


class Problem(BaseModel):
    file: str
    line: int
    element_type: str
    element_id: str
    element_name: str
    rule: str
    severity: Literal["error", "warning"]
    message: str
    fix: str


class CheckedModel(BaseModel):
    process_id: str
    name: str
    engine: str


class CheckAnswer(BaseModel):
    ok: bool
    problems: list[Problem]
    models: list[CheckedModel]


class DeployedModel(BaseModel):
    process_id: str
    name: str
    version: int
    engine: str
    sha256: str
    changed: bool


class Deployment(BaseModel):
    id: UUID
    models: list[DeployedModel]
    problems: list[Problem]


class ModelRow(BaseModel):
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
    problems: list[Problem]


class Models(BaseModel):
    items: list[ModelRow]


class Element(BaseModel):
    id: str
    type: str
    name: str
    line: int
    lane: str
    parent: str


class ModelVersion(BaseModel):
    version: int
    active: bool
    running: int
    deployed_at: datetime
    deployed_by: str


class ModelDetail(BaseModel):
    process_id: str
    name: str
    version: int
    engine: str
    active: bool
    sha256: str
    file: str
    elements: list[Element]
    problems: list[Problem]
    versions: list[ModelVersion]


class VersionQuery(Query):
    version: int | None = Field(default=None, ge=1, le=2**31 - 1)


class Start(Request):
    variables: Variables = Field(default_factory=dict)
    business_key: Name | None = None
    case: Name | None = None
    version: int | None = Field(default=None, ge=1, le=2**31 - 1)


class TaskRef(BaseModel):
    id: UUID
    element_id: str
    name: str
    state: Literal["ready", "claimed"]
    assignee: str | None
    candidate_roles: list[str]
    due_at: datetime | None


class Waiting(BaseModel):
    kind: Literal["timer", "message", "signal", "conditional", "job"]
    element_id: str
    name: str
    due_at: datetime | None


class Incident(BaseModel):
    n: int
    element_id: str
    name: str
    code: str
    message: str
    line: int
    created_at: datetime


InstanceStatus = Literal["running", "completed", "failed", "cancelled"]


class Instance(BaseModel):
    id: UUID
    process_id: str
    name: str
    version: int
    engine: str
    status: InstanceStatus
    case: str
    business_key: str | None
    variables: Variables
    started_at: datetime
    ended_at: datetime | None
    tasks: list[TaskRef]
    waiting: list[Waiting]
    incidents: list[Incident]


class InstanceRow(BaseModel):
    id: UUID
    process_id: str
    name: str
    version: int
    engine: str
    status: InstanceStatus
    case: str
    business_key: str | None
    started_at: datetime
    ended_at: datetime | None
    incidents: int


class InstancePage(BaseModel):
    items: list[InstanceRow]
    next: str | None


class TraceRow(BaseModel):
    seq: int
    element_id: str
    element_type: str
    name: str
    event: Literal["entered", "completed", "cancelled", "failed"]
    at: datetime


class InstanceQuery(Query):
    process_id: str | None = None
    status: InstanceStatus | None = None
    case: str | None = None
    business_key: str | None = None
    variable: str | None = None
    element: str | None = None
    cursor: str | None = None
    limit: Limit = 50


class Cancel(Request):
    reason: str = Field(min_length=1, max_length=1000)


class Correction(Request):
    variables: Variables = Field(default_factory=dict)


class TaskQuery(Query):
    mine: bool = False
    candidate_role: str | None = None
    state: Literal["ready", "claimed", "completed", "cancelled"] | None = None
    name: str | None = Field(default=None, max_length=200)
    process_id: str | None = None
    case: str | None = None
    due_before: datetime | None = None
    search: str | None = Field(default=None, max_length=200)
    cursor: str | None = None
    limit: Limit = 50


class TaskRow(BaseModel):
    id: UUID
    instance_id: UUID
    process_id: str
    process_name: str
    case: str
    element_id: str
    name: str
    type: str
    state: Literal["ready", "claimed", "completed", "cancelled"]
    assignee: str | None
    assignee_name: str | None
    candidate_roles: list[str]
    due_at: datetime | None
    priority: int
    created_at: datetime


class TaskPage(BaseModel):
    items: list[TaskRow]
    next: str | None


class Option(BaseModel):
    id: str
    name: str


class Lookup(BaseModel):
    """Where a field's options come from; with `more` there are others, to be searched for"""

    name: str
    more: bool
    depends_on: list[str]
    missing: list[str]


class FormField(BaseModel):
    id: str
    label: str
    type: Literal["string", "long", "double", "money", "boolean", "date", "enum"]
    required: bool
    readonly: bool
    default: Any
    options: list[Option]
    min: float | int | None
    max: float | int | None
    minlength: int | None
    maxlength: int | None
    pattern: str | None
    lookup: Lookup | None


class Form(BaseModel):
    fields: list[FormField]


class Task(BaseModel):
    id: UUID
    instance: UUID
    element_id: str
    name: str
    type: str
    state: Literal["ready", "claimed", "completed", "cancelled"]
    assignee: str | None
    candidate_roles: list[str]
    due_at: datetime | None
    priority: int
    case: str
    form: Form
    values: Variables
    draft: Variables | None


class Values(Request):
    variables: Variables = Field(default_factory=dict)


class Message(Request):
    name: Name
    correlation: Variables = Field(default_factory=dict)
    variables: Variables = Field(default_factory=dict)
    ttl: int = Field(default=0, ge=0, le=30 * 86_400)


class Signal(Request):
    name: Name
    variables: Variables = Field(default_factory=dict)


class Delivery(BaseModel):
    delivered: int
    stored: bool


class Advance(BaseModel):
    advance: timedelta


class Clock(BaseModel):
    now: datetime
    fired: int


class Case(BaseModel):
    case: str
    instances: list[InstanceRow]


class TimelineRow(BaseModel):
    id: int
    at: datetime
    kind: str
    case: str | None
    instance_id: UUID | None
    task_id: UUID | None
    actor: str | None
    actor_name: str | None
    data: Variables


class CaseQuery(Query):
    status: InstanceStatus | None = None
    cursor: str | None = None
    limit: Limit = 50


class CaseRow(BaseModel):
    case: str
    business_key: str | None
    started_at: datetime
    instances: int
    running: int
    incidents: int
    process_ids: list[str]


class CasePage(BaseModel):
    items: list[CaseRow]
    next: str | None


class Revoked(BaseModel):
    revoked: bool


class ProblemDocument(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    problems: list[Problem] | None = None
    errors: dict[str, str] | None = None
