"""Instances of deployed models, whichever engine runs them: in process or Zeebe. The callers need not know which.

Each function finds the engine and calls it; what an instance means there is the engine's own business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.core.actor import Actor
from app.core.errors import Conflict, NotFound
from app.db.session import Session
from app.engines import paging
from app.engines.spiff import instances as spiff
from app.engines.spiff import lookup as people
from app.engines.spiff.instances import OtherEngine
from app.engines.spiff.records import InstanceRow, InstanceView, Page, TraceRow
from app.engines.zeebe import instances as zeebe
from app.engines.zeebe import lookup as machines


async def start(
    session: Session,
    actor: Actor,
    process_id: str,
    variables: Mapping[str, Any],
    *,
    version: int | None = None,
    business_key: str | None = None,
    case: str | None = None,
    key: str | None = None,
) -> InstanceView:
    """Start an instance of a model on the model's engine. The same *key* of the same person starts it only once.

    Raises:
        NotFound: no such model or version.
        Invalid: a key, a case number, a version or a variable's name that cannot be.
    """
    named = {"business_key": business_key, "case": case, "key": key}
    try:
        return await spiff.start(session, actor, process_id, variables, version=version, **named)
    except OtherEngine as other:
        run_id = await zeebe.start(session, actor, other.model, variables, **named)
    return await machines.view(session, actor, run_id)


async def view(session: Session, actor: Actor, instance_id: UUID) -> InstanceView:
    """One instance. Raises :class:`NotFound`: there is none, or not for this person."""
    try:
        return await people.view(session, actor, instance_id)
    except NotFound:
        return await machines.view(session, actor, instance_id)


async def trace(session: Session, actor: Actor, instance_id: UUID) -> list[TraceRow]:
    """What really ran, in order. Raises :class:`NotFound` as :func:`view` does."""
    try:
        return await people.trace(session, actor, instance_id)
    except NotFound:
        return await machines.trace(session, actor, instance_id)


async def search(session: Session, actor: Actor, *, limit: int = 50, **filters: Any) -> Page[InstanceRow]:
    """Instances of both engines, newest first: their ids sort by time. Filters as in the engines' own searches.

    Raises:
        BadRequest: the cursor or the variable cannot be read.
    """
    first = await people.search(session, actor, limit=limit, **filters)
    other = await machines.search(session, actor, limit=limit, **filters)
    rows = sorted([*first.items, *other.items], key=lambda row: row.id, reverse=True)
    limit = paging.shown(limit)
    more = first.next or other.next or len(rows) > limit
    return Page(rows[:limit], str(rows[:limit][-1].id) if more and rows else None)


async def cancel(session: Session, actor: Actor, instance_id: UUID, reason: str) -> None:
    """End an instance. Raises Invalid without a reason, NotFound, and Conflict if it has ended."""
    try:
        await spiff.cancel(session, actor, instance_id, reason)
    except NotFound:
        await zeebe.cancel(session, actor, instance_id, reason)


async def retry(
    session: Session, actor: Actor, instance_id: UUID, n: int, variables: Mapping[str, Any] | None = None
) -> InstanceView:
    """Run the element of incident *n* again, where the engine can with *variables* corrected first.

    Raises:
        NotFound: no such open incident.
        Conflict: variables for an instance of Zeebe.
    """
    try:
        return await spiff.retry(session, actor, instance_id, n, variables)
    except NotFound:
        view = await machines.view(session, actor, instance_id)
    if variables:
        raise Conflict("Variables of an instance on Zeebe are not corrected from here; cancel it and start it anew.")
    await zeebe.retry(session, actor, view.id, n)
    return await machines.view(session, actor, instance_id)
