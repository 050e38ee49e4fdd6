"""Effects that leave the database, for those who operate DAMS: what waits, what was parked, sending again."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.core.errors import BadRequest
from app.db.session import reading, transaction
from app.engines import outbox
from app.web.api.contract import Group
from app.web.api.schemas import Limit, Query
from app.web.security import actor

group = Group("outbox")
blueprint = group.blueprint
OPERATE = ("ops", "admin")

State = Literal["pending", "sent", "dead"]


class OutboxQuery(Query):
    state: State | None = None
    kind: str | None = Field(default=None, max_length=200)
    cursor: str | None = None
    limit: Limit = 50


class Effect(BaseModel):
    id: UUID
    kind: str
    key: str
    state: State
    attempts: int
    case: str | None
    instance_id: UUID | None
    last_error: str | None
    created_at: datetime
    next_at: datetime
    sent_at: datetime | None


class OutboxPage(BaseModel):
    items: list[Effect]
    next: str | None


@group.operation("GET", "/outbox", roles=OPERATE, query=OutboxQuery, answer=OutboxPage, errors=(422,))
async def listing(given: OutboxQuery) -> Any:
    """Effects, newest first"""
    try:
        after = UUID(given.cursor) if given.cursor else None
    except ValueError as error:
        raise BadRequest("cursor is not one that this list gave out") from error
    async with reading() as session:
        items = await outbox.listing(session, state=given.state, kind=given.kind, after=after, limit=given.limit + 1)
    more = len(items) > given.limit
    return {"items": items[: given.limit], "next": str(items[given.limit - 1].id) if more else None}


@group.operation("POST", "/outbox/<uuid:effect>/retry", roles=OPERATE, answer=Effect, errors=(404,))
async def retry(_given: object, effect: UUID) -> Any:
    """Send a parked effect again"""
    async with transaction() as session:
        await outbox.retry_dead(session, actor(), effect)
        return await outbox.show(session, effect)
