"""Drafts of models: what the editor saves, checks and holds while somebody draws."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.core.errors import NotFound
from app.db.session import reading, transaction
from app.engines import deployments, drafts, locks, names
from app.web.api import schemas
from app.web.api.contract import Group
from app.web.security import actor
from app.web.sketch import Sketch

group = Group("drafts")
blueprint = group.blueprint
DRAW = ("modeler", "admin")
Revision = Field(ge=0, le=2**31 - 2)


class DraftRow(BaseModel):
    key: str
    engine: Literal["spiff", "zeebe", "dmn"]
    file: str
    name: str
    base_version: int | None
    revision: int
    saved_at: datetime
    saved_by: str


class Drafts(BaseModel):
    items: list[DraftRow]


class DraftDetail(DraftRow):
    xml: str


class DraftText(schemas.Request):
    xml: str
    file: schemas.Name
    engine: Literal["spiff", "zeebe", "dmn"] = "spiff"
    name: str = Field(default="", max_length=200)
    base_version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    revision: int = Revision
    """The revision that was read; 0 for a new draft."""
    tab: str | None = Field(default=None, max_length=36)
    """The tab that holds the lock, where one does."""


class DraftSaved(BaseModel):
    revision: int
    saved_at: datetime


class DraftRevision(schemas.Query):
    revision: int = Revision


class DraftCheck(schemas.Request):
    xml: str
    file: schemas.Name


class OutlineStep(BaseModel):
    id: str
    name: str
    kind: str
    leads_to: list[str]


class DraftVerdict(BaseModel):
    ok: bool
    problems: list[schemas.Problem]
    outline: list[OutlineStep]


class LockAsked(BaseModel):
    tab: UUID
    by_force: bool = False


class LockSaid(BaseModel):
    mine: bool
    by: str
    since: datetime | None


class Tab(BaseModel):
    tab: UUID


class OfferedName(BaseModel):
    name: str
    says: str


class OfferedNames(BaseModel):
    functions: list[OfferedName]
    lookups: list[OfferedName]
    effects: list[OfferedName]
    topics: list[OfferedName]
    job_types: list[OfferedName]
    decisions: list[OfferedName]


@group.operation("GET", "/names", roles=DRAW, answer=OfferedNames)
async def offered(_given: object) -> Any:
    """What a model may name: functions, look-ups, effects, topics, job types of running workers, decisions"""
    async with reading() as session:
        return await names.offered(session)


@group.operation("GET", "/drafts", roles=DRAW, answer=Drafts)
async def listing(_given: object) -> dict[str, Any]:
    """Every draft that is not deployed"""
    async with reading() as session:
        return {"items": await drafts.listing(session)}


@group.operation("GET", "/drafts/<key>", roles=DRAW, answer=DraftDetail, errors=(404,))
async def show(_given: object, key: str) -> Any:
    """One draft with its text"""
    async with reading() as session:
        found = await drafts.find(session, key)
    if found is None or not found.open:
        raise NotFound("There is no such draft.")
    return found


@group.operation("PUT", "/drafts/<key>", roles=DRAW, body=DraftText, answer=DraftSaved, errors=(404, 409, 413, 422))
async def save(given: DraftText, key: str) -> Any:
    """Save a draft, valid or not; 409 if somebody else saved it since"""
    text = drafts.Text(given.engine, given.file, given.name, given.xml, given.base_version)
    async with transaction() as session:
        await locks.require(session, key, _tab(given.tab))
        await drafts.save(session, actor(), key, text, given.revision)
        return await drafts.find(session, key)


@group.operation("DELETE", "/drafts/<key>", roles=DRAW, query=DraftRevision, answer=DraftSaved, errors=(404, 409, 422))
async def discard(given: DraftRevision, key: str) -> Any:
    """Put a draft away; it can be restored"""
    async with transaction() as session:
        await drafts.discard(session, actor(), key, given.revision)
        return await drafts.find(session, key)


@group.operation(
    "POST", "/drafts/<key>/restore", roles=DRAW, query=DraftRevision, answer=DraftSaved, errors=(404, 409, 422)
)
async def restore(given: DraftRevision, key: str) -> Any:
    """Bring a discarded draft back"""
    async with transaction() as session:
        await drafts.restore(session, actor(), key, given.revision)
        return await drafts.find(session, key)


@group.operation("POST", "/drafts/checks", roles=DRAW, body=DraftCheck, answer=DraftVerdict, errors=(413, 422))
async def check(given: DraftCheck) -> dict[str, Any]:
    """Check a text with the tables that it names; nothing is stored"""
    async with reading() as session:
        further = [] if given.file.endswith(".dmn") else await drafts.tables(session, given.xml)
    report = await deployments.check(drafts.bundle(given.file, given.xml, further))
    shown = OutlineStep.model_fields
    steps = [{name: getattr(step, name) for name in shown} for step in Sketch(given.xml).steps]
    return {"ok": report.ok, "problems": report.problems, "outline": steps}


@group.operation("POST", "/drafts/<key>/lock", roles=DRAW, body=LockAsked, answer=LockSaid, errors=(422,))
async def lock(given: LockAsked, key: str) -> Any:
    """Say that a tab draws this model, or take it over from another; to be said again every 15 seconds"""
    async with transaction() as session:
        return await locks.take(session, actor(), key, given.tab, by_force=given.by_force)


@group.operation("DELETE", "/drafts/<key>/lock", roles=DRAW, body=Tab, answer=LockSaid, errors=(422,))
async def unlock(given: Tab, key: str) -> Any:
    """Say that a tab draws no longer"""
    async with transaction() as session:
        await locks.release(session, key, given.tab)
        return await locks.of(session, key, given.tab)


def _tab(given: str | None) -> UUID | None:
    try:
        return UUID(given) if given else None
    except ValueError:
        return None
