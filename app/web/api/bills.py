"""Bills of visits: asked for, then followed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import Response, url_for
from pydantic import BaseModel, Field

from app.db.session import transaction
from app.engines import bills
from app.web.api.contract import Group, idempotency_key, reply
from app.web.security import actor

group = Group("bills")
blueprint = group.blueprint


class BillRequest(BaseModel):
    """Amounts in the clinic's currency, in cents, best as text: `"80.00"`."""

    ticketid: str = Field(min_length=1, max_length=20)
    charge: Decimal = Field(gt=0)
    discount: Decimal = Field(Decimal(0), ge=0)


class Bill(BaseModel):
    id: UUID
    status: str
    state: str
    error: str | None


@group.operation(
    "POST",
    "/bills",
    roles=bills.CASHIERS,
    body=BillRequest,
    answer=Bill,
    status=202,
    errors=(409, 422),
    headers=("Idempotency-Key",),
)
async def ask(given: BillRequest) -> Response:
    """Bill a visit, charge it and release the patient; if a step fails all is given back"""
    async with transaction() as session:
        key = idempotency_key()
        bill_id = await bills.ask(session, actor(), given.ticketid, given.charge, given.discount, key=key)
        answer = reply(await bills.bill(session, actor(), bill_id), 202)
    answer.headers["Location"] = url_for("api_bills.show", bill_id=bill_id)
    return answer


@group.operation("GET", "/bills/<uuid:bill_id>", roles=(*bills.CASHIERS, "ops"), answer=Bill, errors=(404,))
async def show(_given: object, bill_id: UUID) -> Any:
    """How far a bill is"""
    async with transaction() as session:
        return await bills.bill(session, actor(), bill_id)
