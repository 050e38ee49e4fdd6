"""Effects asked for in the transaction of their cause. The relay sends them; nothing is sent from here.

An effect is named by (kind, key), so asking twice is asking once. It is sent at least once, always with the same id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from app.clinic import audit
from app.core.actor import Actor
from app.core.errors import Invalid, NotFound
from app.core.ids import uuid7
from app.db.session import Session

_INSERT = text("""
    insert into outbox (id, kind, key, payload, case_no, instance_id)
    values (:id, :kind, :key, :payload, :case_no, :instance_id) on conflict (kind, key) do nothing returning id
""").bindparams(bindparam("payload", type_=JSONB))


async def enqueue(
    session: Session,
    kind: str,
    key: str,
    payload: dict[str, Any],
    *,
    case: str | None = None,
    instance_id: UUID | None = None,
) -> bool:
    """Ask for an effect when this transaction commits. False if the same (kind, key) was asked for before.

    *payload* holds ids rather than what they stand for: the sender looks up an address when it sends.
    """
    given = {"id": uuid7(), "kind": kind, "key": key, "payload": payload, "case_no": case, "instance_id": instance_id}
    return (await session.execute(_INSERT, given)).first() is not None


async def retry_dead(session: Session, actor: Actor, outbox_id: UUID) -> None:
    """Send a parked effect again and close its incident. Raises :class:`NotFound` if it is not parked."""
    actor.require("ops", "admin")
    done = await session.execute(
        text("""update outbox set state = 'pending', attempts = 0, next_at = now() where id = :id and state = 'dead'
                returning case_no"""),
        {"id": outbox_id},
    )
    row = done.first()
    if row is None:
        raise NotFound("No parked effect of this id.")
    await session.execute(
        text("""update incident set resolved_at = now(), resolved_by = :actor
                where outbox_id = :id and resolved_at is null"""),
        {"id": outbox_id, "actor": actor.id},
    )
    await session.execute(text("select pg_notify('outbox', '')"))
    await audit.record(session, "outbox.retried", actor_id=actor.id, case=row.case_no, data={"outbox": str(outbox_id)})


@dataclass(frozen=True, slots=True)
class Effect:
    """One row of the outbox as ops see it; its payload stays inside."""

    id: UUID
    kind: str
    key: str
    state: str
    attempts: int
    case: str | None
    instance_id: UUID | None
    last_error: str | None
    created_at: datetime
    next_at: datetime
    sent_at: datetime | None


_EFFECTS = """select id, kind, key, state, attempts, case_no as case, instance_id, last_error,
                     created_at, next_at, sent_at
              from outbox"""


async def listing(
    session: Session, *, state: str | None = None, kind: str | None = None, after: UUID | None = None, limit: int = 50
) -> list[Effect]:
    """Effects, newest first, from behind *after*."""
    given = {"state": state, "kind": kind, "after": after}
    where = [f"{'id < ' if name == 'after' else f'{name} = '}:{name}" for name, value in given.items() if value]
    sql = f"{_EFFECTS} where {' and '.join(where) or 'true'} order by id desc limit :limit"
    parameters = {name: value for name, value in given.items() if value} | {"limit": limit}
    return [Effect(**cast("dict[str, Any]", row)) for row in (await session.execute(text(sql), parameters)).mappings()]


async def show(session: Session, outbox_id: UUID) -> Effect:
    """One effect. Raises :class:`NotFound`."""
    row = (await session.execute(text(f"{_EFFECTS} where id = :id"), {"id": outbox_id})).mappings().first()
    if row is None:
        raise NotFound("No such effect.")
    return Effect(**cast("dict[str, Any]", row))


async def give_up(session: Session, actor: Actor, outbox_id: UUID, reason: str) -> None:
    """Leave a parked effect unsent for good and close its incident; the timeline keeps who and why.

    Raises:
        Invalid: no reason was given.
        NotFound: it is not parked.
    """
    actor.require("ops", "admin")
    if not reason.strip() or len(reason) > 1000:
        raise Invalid({"reason": "Say in up to 1,000 characters why."})
    row = (
        await session.execute(
            text("""update incident n set resolved_at = now(), resolved_by = :actor from outbox o
                    where o.id = :id and o.state = 'dead' and n.outbox_id = o.id and n.resolved_at is null
                    returning o.case_no, o.kind"""),
            {"id": outbox_id, "actor": actor.id},
        )
    ).first()
    if row is None:
        raise NotFound("No parked effect of this id.")
    data = {"outbox": str(outbox_id), "kind": row.kind, "reason": reason.strip()}
    await audit.record(session, "outbox.given-up", actor_id=actor.id, case=row.case_no, data=data)
