"""Native schedules: flows run by Temporal Schedules, in the clinic's time zone, whether or not Airflow is on.

    await schedules.create(actor, "nightly-logins", "report_login_count", "0 12 * * *")
    await schedules.listing()                    # each with its next times, pause and newest runs
    await schedules.pause(actor, id) · resume(actor, id) · run_now(actor, id) · delete(actor, id)

A schedule without a cron expression is run by hand only. Every call has a limit and raises :class:`Unavailable` when
Temporal is away. Runs also stand in `engine_run` (:func:`app.engines.flows.history`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from temporalio.client import (
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleHandle,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.service import RPCError, RPCStatusCode

from app.clinic import audit
from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, NotFound
from app.core.settings import settings
from app.db.session import reading, transaction
from app.engines import flows, temporal

PRESETS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
KEEPERS = ("ops", "admin")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,59}")
FIELD = re.compile(r"[0-9A-Za-z*/,-]+")


SHIPPED = {"nightly-backup": ("backup", "30 2 * * *")}
"""What is planned from the start: name → flow and cron expression, in the clinic's time zone."""


@dataclass(frozen=True, slots=True)
class Action:
    """One time that a schedule fired: when it was due, when it began, and the workflow it started."""

    due: datetime
    began: datetime
    workflow_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A schedule as it stands. `cron` is empty for one that is run by hand only; `next_times` are instants (UTC)."""

    id: str
    flow: str
    title: str
    cron: str
    time_zone: str
    paused: bool
    note: str
    next_times: tuple[datetime, ...]
    actions: tuple[Action, ...]


async def create(actor: Actor, schedule_id: str, flow_id: str, cron: str | None, note: str = "") -> Planned:
    """Plan a flow.

    Raises:
        Invalid: a name, flow or cron expression that cannot be, each beside its field.
        Conflict: the name is taken.
    """
    actor.require(*KEEPERS)
    spelt = (cron or "").strip()
    if errors := _errors(schedule_id, flow_id, spelt):
        raise Invalid(errors)
    made = await _planned(schedule_id, flow_id, spelt, note)
    await _tell(actor.id, "created", schedule_id, flow=flow_id, cron=spelt)
    return made


async def plan_shipped() -> None:
    """Plan what ships, each once: what ops have deleted stays deleted. Raises :class:`Unavailable`."""
    for schedule_id, (flow_id, cron) in SHIPPED.items():
        async with reading() as session:
            if await session.scalar(_TOLD, {"id": schedule_id}):
                continue
        with contextlib.suppress(Conflict):  # another worker was first, or was ended before it could tell
            await _planned(schedule_id, flow_id, cron, "planned by DAMS")
        await _tell(None, "created", schedule_id, flow=flow_id, cron=cron)


_TOLD = text("select 1 from case_event where kind = 'schedule.created' and data ->> 'schedule' = :id limit 1")


def _errors(schedule_id: str, flow_id: str, cron: str) -> dict[str, str]:
    errors: dict[str, str] = {}
    if not NAME.fullmatch(schedule_id):
        errors["id"] = "Up to 60 small letters, digits, - and _, a letter first."
    if flow_id not in flows.FLOWS:
        errors["flow"] = "There is no such flow."
    if cron and cron not in PRESETS and not _is_cron(cron):
        errors["cron"] = f"Five fields, minute hour day month weekday, or one of {', '.join(PRESETS)}."
    return errors


async def _planned(schedule_id: str, flow_id: str, cron: str, note: str) -> Planned:
    try:
        async with temporal.limited() as client:
            # A schedule of an impossible day is taken by the server, so its next time is asked for as well.
            memo = {"flow": flow_id, "cron": cron}
            planned = _schedule(schedule_id, flow_id, cron, note)
            handle = await client.create_schedule(schedule_id, planned, memo=memo)
            made = await _described(handle)
            if cron and not made.next_times:
                await handle.delete()
                raise Invalid({"cron": "There is no such moment in the calendar."})
    except ScheduleAlreadyRunningError as error:
        raise Conflict(f"There is a schedule {schedule_id} already.", field="id") from error
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            raise Invalid({"cron": error.message.rpartition(": ")[2] or "No such time."}) from error
        raise
    return made


async def listing() -> list[Planned]:
    """Every schedule of ours, by name."""
    async with temporal.limited() as client:
        names = [one.id async for one in await client.list_schedules()]
        found = await asyncio.gather(*[_still(client.get_schedule_handle(name)) for name in sorted(names)])
    return [one for one in found if one is not None and one.flow in flows.FLOWS]


async def _still(handle: ScheduleHandle) -> Planned | None:
    """None for one that was deleted: Temporal's list is a moment late."""
    try:
        return await _described(handle)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None


async def get(schedule_id: str) -> Planned:
    """Raises :class:`NotFound`."""
    async with temporal.limited() as client:
        return await _described(client.get_schedule_handle(schedule_id))


async def pause(actor: Actor, schedule_id: str, note: str = "") -> None:
    """It fires no more until it is resumed. Raises :class:`NotFound`."""
    await _change(actor, "paused", schedule_id, lambda handle: handle.pause(note=note or f"paused by {actor.username}"))


async def resume(actor: Actor, schedule_id: str) -> None:
    """Raises :class:`NotFound`."""
    await _change(actor, "resumed", schedule_id, lambda handle: handle.unpause(note=f"resumed by {actor.username}"))


async def run_now(actor: Actor, schedule_id: str) -> None:
    """Run its flow now, beside what may be running. Raises :class:`NotFound`."""
    beside = ScheduleOverlapPolicy.ALLOW_ALL
    await _change(actor, "run", schedule_id, lambda handle: handle.trigger(overlap=beside))


async def delete(actor: Actor, schedule_id: str) -> None:
    """It is gone; its runs stay. Raises :class:`NotFound`."""
    await _change(actor, "deleted", schedule_id, lambda handle: handle.delete())


def _is_cron(spelt: str) -> bool:
    fields = spelt.split()
    return len(fields) == 5 and all(FIELD.fullmatch(one) for one in fields)


def _schedule(schedule_id: str, flow_id: str, cron: str, note: str) -> Schedule:
    action = ScheduleActionStartWorkflow(
        flows.WORKFLOW,
        flows.flow(flow_id).given,
        id=schedule_id,
        task_queue=flows.QUEUE,
        memo={"name": flow_id},
    )
    spec = ScheduleSpec(cron_expressions=[cron] if cron else [], time_zone_name=settings().clinic.time_zone)
    # A run that takes longer than its interval is not overtaken by the next one.
    return Schedule(action, spec, SchedulePolicy(ScheduleOverlapPolicy.SKIP), ScheduleState(note=note))


async def _described(handle: ScheduleHandle) -> Planned:
    found = await handle.describe()
    flow_id = str(await found.memo_value("flow", ""))
    return Planned(
        found.id,
        flow_id,
        flows.FLOWS[flow_id].title if flow_id in flows.FLOWS else "",
        str(await found.memo_value("cron", "")),
        settings().clinic.time_zone,
        found.schedule.state.paused,
        found.schedule.state.note or "",
        tuple(found.info.next_action_times),
        tuple(_action(one) for one in reversed(found.info.recent_actions)),
    )


def _action(one: Any) -> Action:
    started: ScheduleActionExecutionStartWorkflow = one.action
    return Action(one.scheduled_at, one.started_at, started.workflow_id, started.first_execution_run_id)


@contextlib.asynccontextmanager
async def _handle(schedule_id: str) -> AsyncGenerator[ScheduleHandle]:
    try:
        async with temporal.limited() as client:
            yield client.get_schedule_handle(schedule_id)
    except NotFound as error:
        raise NotFound("There is no such schedule.") from error


async def _change(actor: Actor, what: str, schedule_id: str, act: Callable[[ScheduleHandle], Awaitable[None]]) -> None:
    actor.require(*KEEPERS)
    async with _handle(schedule_id) as handle:
        await act(handle)
    await _tell(actor.id, what, schedule_id)


async def _tell(actor_id: int | None, what: str, schedule_id: str, **data: Any) -> None:
    async with transaction() as session:
        data |= {"schedule": schedule_id}
        await audit.record(session, f"schedule.{what}", actor_id=actor_id, data=data)
