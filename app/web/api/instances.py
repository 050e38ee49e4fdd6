"""Starting, reading, cancelling and mending instances; cases; the clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.core.errors import NotFound
from app.core.settings import settings
from app.db.session import reading, transaction
from app.engines import instances, paging
from app.engines.spiff import clock, reset, single, timeline
from app.engines.spiff import lookup as people
from app.web.api import schemas
from app.web.api.contract import Group, idempotency_key
from app.web.security import actor

group = Group("instances")
blueprint = group.blueprint
MEND = ("ops", "admin")


class InstanceTask(BaseModel):
    """A task of people in an instance; `id` and times are null while it is `future`"""

    id: UUID | None
    element_id: str
    name: str
    state: Literal["ready", "claimed", "completed", "cancelled", "future"]
    assignee: str | None
    ended_by: str | None
    created_at: datetime | None
    claimed_at: datetime | None
    ended_at: datetime | None


@group.operation(
    "POST",
    "/models/<process_id>/instances",
    body=schemas.Start,
    answer=schemas.Instance,
    status=201,
    errors=(404, 409, 413, 422),
    headers=("Idempotency-Key",),
)
async def start(given: schemas.Start, process_id: str) -> Any:
    """Start an instance; the same Idempotency-Key starts it once"""
    named = (given.version, given.business_key, given.case, idempotency_key())
    if named == (None,) * 4 and (view := await single.start(actor(), process_id, given.variables)):
        return view
    async with transaction() as session:
        return await instances.start(
            session,
            actor(),
            process_id,
            given.variables,
            version=given.version,
            business_key=given.business_key,
            case=given.case,
            key=idempotency_key(),
        )


@group.operation("GET", "/instances", query=schemas.InstanceQuery, answer=schemas.InstancePage, errors=(422,))
async def search(given: schemas.InstanceQuery) -> Any:
    """Instances, newest first"""
    async with reading() as session:
        return await instances.search(session, actor(), **given.model_dump())


@group.operation("GET", "/instances/<uuid:instance_id>", answer=schemas.Instance, errors=(404,))
async def show(_given: object, instance_id: UUID) -> Any:
    """One instance with its open tasks, waits and incidents"""
    async with reading() as session:
        return await instances.view(session, actor(), instance_id)


@group.operation("GET", "/instances/<uuid:instance_id>/trace", answer=list[schemas.TraceRow], errors=(404,))
async def trace(_given: object, instance_id: UUID) -> Any:
    """What really ran, in order"""
    async with reading() as session:
        return await instances.trace(session, actor(), instance_id)


@group.operation("GET", "/instances/<uuid:instance_id>/tasks", answer=list[InstanceTask], errors=(404,))
async def tasks(_given: object, instance_id: UUID) -> Any:
    """Every task of people in an instance, with its state and times; `future` is what it has not come to"""
    async with reading() as session:
        return await people.steps(session, actor(), instance_id)


@group.operation(
    "DELETE",
    "/instances/<uuid:instance_id>",
    body=schemas.Cancel,
    answer=schemas.Instance,
    status=202,
    errors=(404, 409, 413, 422),
)
async def cancel(given: schemas.Cancel, instance_id: UUID) -> Any:
    """Cancel an instance, with a reason"""
    async with transaction() as session:
        await instances.cancel(session, actor(), instance_id, given.reason)
        return await instances.view(session, actor(), instance_id)


@group.operation(
    "POST",
    "/instances/<uuid:instance_id>/incidents/<int:n>/retry",
    roles=MEND,
    answer=schemas.Instance,
    errors=(404, 409),
)
async def retry(_given: object, instance_id: UUID, n: int) -> Any:
    """Run the element of an incident again"""
    async with transaction() as session:
        return await instances.retry(session, actor(), instance_id, n)


@group.operation(
    "POST",
    "/instances/<uuid:instance_id>/incidents/<int:n>/resolve",
    roles=MEND,
    body=schemas.Correction,
    answer=schemas.Instance,
    errors=(404, 409, 413, 422),
)
async def resolve(given: schemas.Correction, instance_id: UUID, n: int) -> Any:
    """Correct variables, then run the element of an incident again"""
    async with transaction() as session:
        return await instances.retry(session, actor(), instance_id, n, given.variables)


class OutsideEffect(BaseModel):
    """Something that was done outside after a point and stays done"""

    at: datetime
    what: Literal["run", "sent", "event"]
    name: str


class EarlierPoint(BaseModel):
    """A point to go back to: after which event, what was open then, what was done outside since"""

    event_id: int
    at: datetime
    kind: str
    element_id: str
    open: list[str]
    since: list[OutsideEffect]


class BackTo(schemas.Request):
    to: int
    reason: str = Field(max_length=1000)


@group.operation(
    "GET", "/instances/<uuid:instance_id>/points", roles=MEND, answer=list[EarlierPoint], errors=(404, 409)
)
async def points(_given: object, instance_id: UUID) -> Any:
    """The points that an instance can go back to, newest first"""
    async with reading() as session:
        return (await reset.stops(session, actor(), instance_id))[2]


@group.operation(
    "POST",
    "/instances/<uuid:instance_id>/reset",
    roles=MEND,
    body=BackTo,
    answer=schemas.Instance,
    errors=(404, 409, 413, 422),
)
async def go_back(given: BackTo, instance_id: UUID) -> Any:
    """Put a running instance into the state it had after an event; what was done outside stays done"""
    async with transaction() as session:
        return await reset.go_back(session, actor(), instance_id, given.to, given.reason)


@group.operation(
    "POST",
    "/instances/<uuid:instance_id>/fork",
    roles=MEND,
    body=BackTo,
    answer=schemas.Instance,
    status=201,
    errors=(404, 409, 413, 422),
)
async def fork(given: BackTo, instance_id: UUID) -> Any:
    """Begin a second instance of the case in the state that this one had after an event"""
    async with transaction() as session:
        return await reset.fork(session, actor(), instance_id, given.to, given.reason)


@group.operation("GET", "/cases", query=schemas.CaseQuery, answer=schemas.CasePage, errors=(422,))
async def cases(given: schemas.CaseQuery) -> Any:
    """Cases, newest first"""
    async with reading() as session:
        return await people.cases(session, actor(), **given.model_dump())


@group.operation("GET", "/cases/<case>", answer=schemas.Case, errors=(404,))
async def case(_given: object, case: str) -> Any:
    """The instances of a case"""
    async with reading() as session:
        found = await instances.search(session, actor(), case=case, limit=paging.MAX_PAGE)
    if not found.items:
        raise NotFound("No such case.")
    return {"case": case, "instances": found.items}


@group.operation("GET", "/cases/<case>/timeline", answer=list[schemas.TimelineRow], errors=(404,))
async def case_timeline(_given: object, case: str) -> Any:
    """What happened to a case, oldest first"""
    async with reading() as session:
        if not (await instances.search(session, actor(), case=case, limit=1)).items:
            raise NotFound("No such case.")
        return await timeline.of_case(session, case)


@group.operation("POST", "/clock", roles=("admin",), body=schemas.Advance, answer=schemas.Clock, errors=(404, 413, 422))
async def advance(given: schemas.Advance) -> Any:
    """Move the service's clock (only with --test-clock)"""
    if not settings().web.test_clock:
        raise NotFound("The clock moves only under `dams up --test-clock`.")
    return await clock.advance(actor(), given.advance)
