"""Signs of life of the processes beside the web: each writes a row every two seconds and takes it away when it ends.

A process is judged by what it last did, not by being there: a worker whose poll has stopped writes no sign either.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from app.db.session import Session, transaction

EVERY_SECONDS, SILENT_SECONDS = 2.0, 8.0

_BEAT = text("""
    insert into worker_heartbeat (name, kind, pid, data) values (:name, :kind, :pid, :data)
    on conflict (name) do update set seen_at = now(), pid = excluded.pid, data = excluded.data
""").bindparams(bindparam("data", type_=JSONB))


@dataclass(frozen=True, slots=True)
class Sign:
    """A process's last sign of life; `alive` if it is younger than :data:`SILENT_SECONDS`."""

    name: str
    kind: str
    pid: int
    started_at: datetime
    seen_at: datetime
    alive: bool
    data: dict[str, Any]


def own_name(kind: str, *, parent: bool = False) -> str:
    """This process among all of its kind; with *parent*, the one that forked it."""
    return f"{kind}@{socket.gethostname()}:{os.getppid() if parent else os.getpid()}"


async def beat(kind: str, data: dict[str, Any] | None = None) -> None:
    """This process lives. *data* says what it serves, e.g. its job types. Signs a day old go."""
    async with transaction() as session:
        await session.execute(text("delete from worker_heartbeat where seen_at < now() - interval '1 day'"))
        given = {"name": own_name(kind), "kind": kind, "pid": os.getpid(), "data": data or {}}
        await session.execute(_BEAT, given)


async def rest(kind: str) -> None:
    """This process ends as it should: no sign of life stands for it any longer."""
    async with transaction() as session:
        await session.execute(text("delete from worker_heartbeat where name = :name"), {"name": own_name(kind)})


async def signs(session: Session) -> list[Sign]:
    """Every process that has said anything in the last day, by kind and name."""
    rows = await session.execute(
        text("""select name, kind, pid, started_at, seen_at, data,
                       seen_at > now() - make_interval(secs => :silent) as alive
                from worker_heartbeat order by kind, name"""),
        {"silent": SILENT_SECONDS},
    )
    return [Sign(r.name, r.kind, r.pid, r.started_at, r.seen_at, r.alive, r.data) for r in rows]
