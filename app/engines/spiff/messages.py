"""Messages and signals from outside: find who waits, deliver, keep an early message until its time is over.

A message goes to one instance, the one that has waited longest; a signal goes to all that wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB

from app.clinic import audit
from app.core.actor import Actor
from app.core.errors import Conflict, Invalid
from app.core.ids import uuid7
from app.db.session import Session
from app.engines.spiff import models, saving, starts, statements, steps
from app.engines.spiff.limits import bounds
from app.engines.spiff.outcome import NamedEvent
from app.engines.spiff.saving import Change
from app.engines.spiff.values import entered

MAX_TTL = 30 * 86_400
SENDERS = ("doctor", "staff", "admin", "ops")


@dataclass(frozen=True, slots=True)
class Delivery:
    """How many instances took an event, and whether it was kept for one that comes later."""

    delivered: int
    stored: bool


async def publish(
    session: Session,
    actor: Actor | None,
    name: str,
    correlation: Mapping[str, Any],
    variables: Mapping[str, Any],
    ttl: int = 0,
) -> Delivery:
    """Deliver a message to the instance that waits for *name* and whose data equals each pair of *correlation*.

    `case` and `business_key` may stand in *correlation* beside names of variables. Where nobody waits for it, it
    starts a process that has a start event of that name; without one it is kept *ttl* seconds. Raises
    :class:`Invalid` for a name or a time that cannot be.
    """
    if actor is not None:
        actor.require(*SENDERS)
    _check(name, ttl)
    for instance_id in await _waiting(session, "message", name, correlation):
        if await deliver(session, actor, instance_id, "message", name, variables):
            await take_kept(session, instance_id)
            return Delivery(1, False)
    for start in (await starts.named(session, "message", name))[:1]:
        await begin(session, actor, start.model_id, start.element_id, variables, business_key=_text(correlation))
        return Delivery(1, False)
    if ttl:
        await _keep(session, actor, name, correlation, variables, ttl)
    await _record(session, "message.published", actor, name, int(bool(ttl)))
    return Delivery(0, bool(ttl))


async def broadcast(session: Session, actor: Actor | None, name: str, variables: Mapping[str, Any]) -> Delivery:
    """Deliver a signal to every instance that waits for it, and start every process that begins with it.

    It is never kept: a signal nobody hears is gone.
    """
    if actor is not None:
        actor.require(*SENDERS)
    _check(name, 0)
    found = await _waiting(session, "signal", name, {})
    taken = [one for one in found if await deliver(session, actor, one, "signal", name, variables)]
    for instance_id in taken:
        await take_kept(session, instance_id)
    begun = await starts.named(session, "signal", name)
    for start in begun:
        await begin(session, actor, start.model_id, start.element_id, variables)
    count = len(taken) + len(begun)
    await _record(session, "signal.broadcast", actor, name, count)
    return Delivery(count, False)


async def begin(
    session: Session,
    actor: Actor | None,
    model_id: int,
    element_id: str,
    variables: Mapping[str, Any],
    *,
    business_key: str | None = None,
) -> UUID:
    """Start an instance at one of its start events, as a message, a signal or a time does.

    Raises:
        Invalid: a variable that cannot be kept, by name.
    """
    model = await models.by_id(session, model_id)
    clock = (await session.execute(text("select dams_now() as now, nextval('case_number') as number"))).one()
    outcome = await asyncio.to_thread(
        lambda: steps.start(model.spec, dict(variables), bounds=bounds(), now=clock.now, at=element_id)
    )
    instance_id, who = uuid7(), actor.id if actor else None
    change = Change("instance.started", who, {"start": element_id, **entered(variables)}, case_no=f"A-{clock.number}")
    row = {"model_id": model.id, "business_key": business_key, "started_by": who, "start_key": None}
    await saving.insert(session, model, instance_id, outcome, change, clock.now, row)
    if outcome.waiting:
        await take_kept(session, instance_id)
    return instance_id


def _text(correlation: Mapping[str, Any]) -> str | None:
    """The business key that a message gives the instance it starts."""
    key = correlation.get("business_key")
    return key if isinstance(key, str) and key.strip() and len(key) <= 200 and key.isprintable() else None


async def deliver(
    session: Session, actor: Actor | None, instance_id: UUID, kind: str, name: str, variables: Mapping[str, Any]
) -> bool:
    """Hand one event to one instance. False if it has stopped waiting since it was found, or waits for another key."""
    row = await statements.load(session, statements.LOAD, instance_id)
    if row is None or not any(item["kind"] == kind and item["name"] == name for item in row.waiting):
        return False
    model = await models.by_id(session, row.model_id)
    event = NamedEvent(kind=kind, name=name, payload=dict(variables), correlation={})
    try:
        outcome = await asyncio.to_thread(
            lambda: steps.deliver(model.spec, row.state, event, bounds=bounds(), now=row.now)
        )
    except Conflict:  # its conversation has other correlation keys
        return False
    change = Change(f"{kind}.received", actor.id if actor else None, {"name": name, **entered(variables)})
    await saving.update(session, model, row, outcome, change)
    return True


async def take_kept(session: Session, instance_id: UUID) -> bool:
    """The early messages that an instance waits for by now, one after another. True if there was one.

    Failure prevented: a step that nobody asked for (an event, a job's answer) leads to a wait for what is kept.
    """
    took = False
    while names := await _waited_for(session, instance_id):
        if not await _take_oldest(session, instance_id, names):
            break
        took = True
    return took


async def _waited_for(session: Session, instance_id: UUID) -> list[str]:
    rows = await session.execute(
        text("""select distinct w ->> 'name' as name from instance i, jsonb_array_elements(i.waiting) w
                where i.id = :id and i.status = 'running' and w ->> 'kind' = 'message'"""),
        {"id": instance_id},
    )
    return [row.name for row in rows]


async def _take_oldest(session: Session, instance_id: UUID, names: list[str]) -> bool:
    """The oldest message kept for the instance, once; one of another conversation stays."""
    rows = await session.execute(
        text("""select m.id, m.name, m.variables from buffered_message m join instance i on i.id = :id
                where m.name = any(:names) and m.expires_at > dams_now()
                  and (i.variables || jsonb_build_object('case', i.case_no, 'business_key', i.business_key))
                      @> m.correlation
                order by m.created_at for update of m skip locked limit 100""").columns(variables=JSONB),
        {"id": instance_id, "names": names},
    )
    for kept in rows.all():
        if await deliver(session, None, instance_id, "message", kept.name, kept.variables):
            await session.execute(text("delete from buffered_message where id = :id"), {"id": kept.id})
            return True
    return False


async def _waiting(session: Session, kind: str, name: str, correlation: Mapping[str, Any]) -> list[UUID]:
    rows = await session.execute(
        text("""select id from instance
                where waiting <> '[]'::jsonb and waiting @> cast(:waits as jsonb) and status = 'running'
                  and (variables || jsonb_build_object('case', case_no, 'business_key', business_key))
                      @> cast(:correlation as jsonb)
                order by id"""),
        {"waits": _dumps([{"kind": kind, "name": name}]), "correlation": _dumps(dict(correlation))},
    )
    return [row.id for row in rows]


async def _keep(
    session: Session,
    actor: Actor | None,
    name: str,
    correlation: Mapping[str, Any],
    variables: Mapping[str, Any],
    ttl: int,
) -> None:
    await session.execute(text("delete from buffered_message where expires_at < dams_now()"))
    await session.execute(
        text("""insert into buffered_message (id, name, correlation, variables, published_by, expires_at)
                values (gen_random_uuid(), :name, cast(:correlation as jsonb), cast(:variables as jsonb), :actor,
                        dams_now() + make_interval(secs => :ttl))"""),
        {
            "name": name,
            "correlation": _dumps(dict(correlation)),
            "variables": _dumps(dict(variables)),
            "actor": actor.id if actor else None,
            "ttl": ttl,
        },
    )


async def _record(session: Session, kind: str, actor: Actor | None, name: str, count: int) -> None:
    await audit.record(session, kind, actor_id=actor.id if actor else None, data={"name": name, "count": count})


def _check(name: str, ttl: int) -> None:
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise Invalid({"name": "Give the name that the model uses, up to 200 characters."})
    if not 0 <= ttl <= MAX_TTL:
        raise Invalid({"ttl": f"Seconds from 0 to {MAX_TTL}."})


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()
