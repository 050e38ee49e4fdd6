"""Whether the timeline is as it was written: its seals computed anew, the signed heads held against them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from app.db.session import reading
from app.engines import seals
from app.web.api.contract import Group
from app.web.api.schemas import Query

group = Group("timeline")
blueprint = group.blueprint


class VerificationQuery(Query):
    case: str | None = Field(default=None, max_length=200)


class SealFault(BaseModel):
    """An event of the timeline that does not fit its seal"""

    event_id: int
    why: str


class HeadFault(BaseModel):
    """A signed head that does not fit the database, by the number of its seal"""

    n: int
    why: str


class Verification(BaseModel):
    ok: bool
    events: int
    sealed: int
    faults: list[SealFault]
    heads: list[HeadFault]


@group.operation(
    "GET", "/timeline/verification", roles=("ops", "admin"), query=VerificationQuery, answer=Verification, errors=(422,)
)
async def verify(given: VerificationQuery) -> dict[str, Any]:
    """Compute the seals of a case, or of the whole timeline, anew; of the whole also the signed heads"""
    async with reading() as session:
        found = await seals.verify(session, given.case)
        heads = [] if given.case else await seals.verify_heads(session)
    return {
        "ok": found.intact and not heads,
        "events": found.events,
        "sealed": found.sealed,
        "faults": [{"event_id": event, "why": why} for event, why in found.faults],
        "heads": [{"n": n, "why": why} for n, why in heads],
    }
