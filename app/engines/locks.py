"""Who draws a model just now. A lock is one tab of a browser that says so again and again; it ends by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from app.clinic import audit
from app.core.actor import Actor
from app.core.errors import Conflict, Invalid
from app.db.session import Session
from app.engines.drafts import MAX_KEY

SECONDS = 45
"""How long a lock holds after its tab was heard of last; a tab says so every 15."""


@dataclass(frozen=True, slots=True)
class Lock:
    """*mine*: the tab that asked has it. Else *by* draws, since *since*; "" and None where nobody does."""

    mine: bool
    by: str = ""
    since: datetime | None = None


async def take(session: Session, actor: Actor, key: str, tab: UUID, *, by_force: bool = False) -> Lock:
    """Take or keep the lock of *key* unless another tab has it. Taken *by_force* all the same, that is written down."""
    if len(key) > MAX_KEY:
        raise Invalid({"key": f"A draft's key has up to {MAX_KEY} characters."})
    before = await holder(session, key)
    taken = await session.scalar(
        text("""insert into model_lock as l (key, login_id, tab) values (:key, :actor, :tab)
                on conflict (key) do update set login_id = excluded.login_id, tab = excluded.tab, seen_at = now(),
                  since = case when l.tab = excluded.tab then l.since else now() end
                where l.tab = excluded.tab or :by_force or l.seen_at < now() - :seconds * interval '1 second'
                returning true"""),
        {"key": key, "actor": actor.id, "tab": tab, "by_force": by_force, "seconds": SECONDS},
    )
    if not taken:
        return await of(session, key, tab)
    if by_force and before is not None and before[1] != tab:
        data = {"key": key, "from": before[0]}
        await audit.record(session, "model.draft-taken-over", actor_id=actor.id, data=data)
    return Lock(mine=True)


async def of(session: Session, key: str, tab: UUID | None = None) -> Lock:
    """The lock of *key* as *tab* sees it."""
    found = await holder(session, key)
    if found is None:
        return Lock(mine=False)
    return Lock(mine=found[1] == tab, by=found[0], since=found[2])


async def release(session: Session, key: str, tab: UUID) -> None:
    """The tab was closed."""
    await session.execute(text("delete from model_lock where key = :key and tab = :tab"), {"key": key, "tab": tab})


async def require(session: Session, key: str, tab: UUID | None = None) -> None:
    """Raise :class:`Conflict` if another tab draws *key*."""
    lock = await of(session, key, tab)
    if lock.by and not lock.mine:
        raise Conflict(
            f"{lock.by} is drawing this model. Yours is not lost: it is still in front of you.", locked_by=lock.by
        )


async def holder(session: Session, key: str) -> tuple[str, UUID, datetime] | None:
    """Who has the lock, in which tab and since when."""
    found = await session.execute(
        text("""select coalesce(nullif(p.display_name, ''), p.username) as name, l.tab, l.since
                from model_lock l join login p on p.id = l.login_id
                where l.key = :key and l.seen_at >= now() - :seconds * interval '1 second'"""),
        {"key": key, "seconds": SECONDS},
    )
    row = found.first()
    return (row.name, row.tab, row.since) if row else None
