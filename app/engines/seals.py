"""Seals the timeline: hash chains per case and over all, and a signed head in a file outside the database.

Rows are sealed a few seconds after their commit, in the order in which they are found, by one process at a time:
nobody's step waits for it. What was sealed cannot be changed or taken away unseen; the file shows that the chain itself
was not made anew. The signature is an HMAC with the service's secret key.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, LargeBinary, Text

from app.core.settings import settings
from app.db.session import Session, reading, transaction

EVERY_SECONDS = 5.0
HEADS = "timeline-heads.jsonl"
FIRST = b"\x00" * 32
"""What comes before the first event of a case, and before the first seal."""
LATE = 2_000
"""An event may become visible after so many that were numbered later."""

# The text of jsonb is one for equal values, so the same row has the same digest wherever it is read.
_DIGEST = """sha256(convert_to(jsonb_build_array(e.id, to_char(e.at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
    e.kind, e.case_no, e.instance_id, e.task_id, e.actor_id, e.data, e.trace)::text, 'UTF8'))"""
_LOCK = text("select pg_try_advisory_xact_lock(hashtext('dams.seals'))")
_NEXT = text(f"""
    select e.id, e.case_no, {_DIGEST} as digest from case_event e
    where e.id > (select coalesce(max(event_id), 0) from case_seal) - :late
    and not exists (select from case_seal s where s.event_id = e.id) order by e.id limit :limit
""")  # noqa: S608 - constants of this module
_LAST = text("""
    select distinct on (case_no) case_no, hash from case_seal where case_no = any(:cases) order by case_no, n desc
""").bindparams(bindparam("cases", type_=ARRAY(Text)))
_ADD = text("""
    insert into case_seal (event_id, case_no, hash, head)
    select * from unnest(:ids, :cases, :hashes, :heads) order by 1
""").bindparams(
    bindparam("ids", type_=ARRAY(BigInteger)),
    bindparam("cases", type_=ARRAY(Text)),
    bindparam("hashes", type_=ARRAY(LargeBinary)),
    bindparam("heads", type_=ARRAY(LargeBinary)),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How much of a timeline is sealed, and what does not fit: an event's number and why."""

    events: int
    sealed: int
    faults: list[tuple[int, str]]

    @property
    def intact(self) -> bool:
        return not self.faults


async def seal(limit: int = 1000) -> int:
    """Seal what is new; how many rows. 0 also where another process is at it."""
    async with transaction() as session:
        if not await session.scalar(_LOCK):
            return 0
        rows = (await session.execute(_NEXT, {"limit": limit, "late": LATE})).all()
        if not rows:
            return 0
        cases = sorted({row.case_no for row in rows if row.case_no is not None})
        last: dict[str, bytes] = {row.case_no: row.hash for row in await session.execute(_LAST, {"cases": cases})}
        head = await session.scalar(text("select head from case_seal order by n desc limit 1")) or FIRST
        hashes, heads = list[bytes](), list[bytes]()
        for row in rows:
            link = _link(last.get(row.case_no, FIRST), row.digest)
            if row.case_no is not None:
                last[row.case_no] = link
            head = _link(head, link)
            hashes.append(link)
            heads.append(head)
        given = {"ids": [row.id for row in rows], "cases": [row.case_no for row in rows]}
        await session.execute(_ADD, given | {"hashes": hashes, "heads": heads})
    return len(rows)


def _link(before: bytes, digest: bytes) -> bytes:
    return hashlib.sha256(before + digest).digest()


async def verify(session: Session, case: str | None = None) -> Verdict:
    """Compute the chain of a case, or of everything, anew and compare."""
    where = "where s.case_no = :case" if case else ""
    found = await session.execute(
        text(f"""select s.n, s.event_id, s.case_no, s.hash, s.head, {_DIGEST} as digest, e.id is null as gone
                 from case_seal s left join case_event e on e.id = s.event_id {where} order by s.n"""),  # noqa: S608
        {"case": case} if case else {},
    )
    last, head, faults, sealed = dict[str, bytes](), FIRST, list[tuple[int, str]](), 0
    for row in found:
        sealed += 1
        link = _link(last.get(row.case_no, FIRST), row.digest or b"")
        head = _link(head, row.hash)
        if row.gone:
            faults.append((row.event_id, "it was taken away"))
        elif link != row.hash:
            faults.append((row.event_id, "it, or the one before it, was changed"))
        elif not case and head != row.head:
            faults.append((row.event_id, "the chain over all cases was changed here"))
        if row.case_no is not None:
            last[row.case_no] = row.hash
        head = row.head
    count = text("select count(*) from case_event where cast(:case as text) is null or case_no = :case")
    return Verdict(await session.scalar(count, {"case": case}) or 0, sealed, faults)


async def sign() -> bool:
    """Write the newest head into the file, if it has moved. Raises :class:`OSError` where it cannot be written."""
    async with reading() as session:
        row = (await session.execute(text("select n, head from case_seal order by n desc limit 1"))).first()
    return row is not None and await asyncio.to_thread(_append, row.n, row.head)


def _append(n: int, head: bytes) -> bool:
    path = _path()
    if path.exists() and f'{{"n":{n},' in _end(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("ab") as file:
        file.write(orjson.dumps({"n": n, "head": head.hex(), "signature": _signature(n, head.hex())}) + b"\n")
    return True


async def verify_heads(session: Session) -> list[tuple[int, str]]:
    """What of the signed heads does not fit the database: the seal's number and why."""
    faults: list[tuple[int, str]] = []
    for one in await asyncio.to_thread(_kept):
        found = await session.scalar(text("select head from case_seal where n = :n"), {"n": one["n"]})
        if not hmac.compare_digest(one["signature"], _signature(one["n"], one["head"])):
            faults.append((one["n"], "its signature is not ours"))
        elif found is None or found.hex() != one["head"]:
            faults.append((one["n"], "the database has another chain"))
    return faults


def _end(path: Path) -> str:
    """The last lines of the file, which grows by one a minute."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1000))
        return file.read().decode()


def _kept() -> list[dict[str, Any]]:
    path = _path()
    return [orjson.loads(line) for line in path.read_bytes().splitlines() if line] if path.exists() else []


def _path() -> Path:
    return Path(settings().files.folder) / HEADS


def _signature(n: int, head: str) -> str:
    key = settings().security.secret_key.get_secret_value().encode()
    return hmac.new(key, f"timeline {n} {head}".encode(), hashlib.sha256).hexdigest()
