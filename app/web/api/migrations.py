"""Moving running instances from one version of a process to another."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.db.session import reading, transaction
from app.engines import migrations
from app.web.api.contract import Group
from app.web.api.schemas import Request
from app.web.security import actor

group = Group("migrations")
blueprint = group.blueprint
MOVE = ("modeler", "ops", "admin")
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


class MigrationPlan(Request):
    """From which version to which; `elements` names those that have another id in the new one"""

    from_version: Version
    to_version: Version
    elements: dict[str, str] = Field(default_factory=dict, max_length=1000)


class MigrationStart(MigrationPlan):
    reason: str = Field(max_length=1000)


class MigrationObstacle(BaseModel):
    """Why a token cannot be moved: the element it stands on, what is wrong, what to do"""

    element_id: str
    message: str
    fix: str


class MigrationGroup(BaseModel):
    """Instances that stand on the same elements, of which some were tried in memory"""

    elements: list[str]
    running: int
    tried: int
    refused: int
    obstacles: list[MigrationObstacle]
    begins: list[str]
    ends: list[str]


class MigrationTrial(BaseModel):
    process_id: str
    from_version: int
    to_version: int
    elements: dict[str, str]
    running: int
    refused: int
    groups: list[MigrationGroup]


class MigrationRefusal(MigrationObstacle):
    instance_id: UUID
    case: str


class Migration(BaseModel):
    id: UUID
    process_id: str
    from_version: int
    to_version: int
    elements: dict[str, str]
    reason: str
    state: Literal["running", "completed", "stopped"]
    moved: int
    refused: int
    left: int
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    refusals: list[MigrationRefusal]


@group.operation(
    "POST",
    "/models/<process_id>/migrations/trial",
    roles=MOVE,
    body=MigrationPlan,
    answer=MigrationTrial,
    errors=(404, 409, 413, 422),
)
async def attempt(given: MigrationPlan, process_id: str) -> Any:
    """Try in memory what a migration would do; nothing is changed"""
    async with reading() as session:
        found = await migrations.attempt(session, process_id, given.from_version, given.to_version, given.elements)
    return {
        "process_id": found.process_id,
        "from_version": found.from_version,
        "to_version": found.to_version,
        "elements": found.elements,
        "running": found.running,
        "refused": found.refused,
        "groups": found.groups,
    }


@group.operation(
    "POST",
    "/models/<process_id>/migrations",
    roles=MOVE,
    body=MigrationStart,
    answer=Migration,
    status=202,
    errors=(404, 409, 413, 422),
)
async def begin(given: MigrationStart, process_id: str) -> Any:
    """Move the running instances of a version, in batches, while work goes on"""
    async with transaction() as session:
        own = await migrations.begin(
            session, actor(), process_id, given.from_version, given.to_version, given.elements, given.reason
        )
        return await migrations.find(session, own)


@group.operation("GET", "/migrations/<uuid:migration_id>", roles=MOVE, answer=Migration, errors=(404,))
async def show(_given: object, migration_id: UUID) -> Any:
    """How far a migration has come, and what it could not move"""
    async with reading() as session:
        return await migrations.find(session, migration_id)


@group.operation("POST", "/migrations/<uuid:migration_id>/stop", roles=MOVE, answer=Migration, errors=(404, 409))
async def stop(_given: object, migration_id: UUID) -> Any:
    """Leave what is not moved yet on its version"""
    async with transaction() as session:
        await migrations.stop(session, actor(), migration_id)
        return await migrations.find(session, migration_id)
