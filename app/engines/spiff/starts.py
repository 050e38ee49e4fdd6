"""What starts a process by itself: the messages, signals and times of the start events of its active version.

The rows are made when a version becomes active and go when another takes its place.
"""
# SpiffWorkflow's extension points begin with an underscore.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import ast
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.settings import settings
from app.db.session import Session
from app.engines.spiff import happenings, schedule
from app.engines.spiff.blueprints import LoadedSpec


@dataclass(frozen=True, slots=True)
class StartEvent:
    """One way to start a process: ``kind`` is "message", "signal" or "timer"; ``timer`` is its ISO 8601 text."""

    element_id: str
    kind: str
    name: str = ""
    timer: str = ""


def of(spec: LoadedSpec) -> list[StartEvent]:
    """The start events of a process that something else than a caller triggers."""
    found: list[StartEvent] = []
    for event in (event for event in spec.spec.start.outputs if not event.aside):
        definition = event.event_definition
        several = definition.event_definitions if isinstance(definition, happenings.Several) else [definition]
        found += [start for one in several if (start := _start(str(event.bpmn_id), one)) is not None]
    return found


def _start(element_id: str, definition: Any) -> StartEvent | None:
    if isinstance(definition, happenings.Message):
        return StartEvent(element_id, "message", definition.name)
    if isinstance(definition, happenings.Signal):
        return StartEvent(element_id, "signal", definition.name)
    if isinstance(definition, happenings.DateTimer | happenings.DurationTimer | happenings.CycleTimer):
        return StartEvent(element_id, "timer", timer=ast.literal_eval(definition.expression.strip()))
    return None


async def remove(session: Session, process_id: str) -> None:
    """From now on nothing starts the process by itself."""
    await session.execute(
        text("""delete from start_event s using model m
                where s.model_id = m.id and m.process_id = cast(:process_id as text)"""),
        {"process_id": process_id},
    )


async def replace(session: Session, process_id: str, model_id: int, spec: LoadedSpec) -> None:
    """From now on the start events of this version count, and no other's."""
    await remove(session, process_id)
    events = of(spec)
    if not events:
        return
    now: datetime = (await session.execute(text("select dams_now() as now"))).one().now
    for event in events:
        plan = _plan(event.timer, now) if event.timer else None
        await session.execute(
            text("""insert into start_event (model_id, element_id, kind, name, due_at, plan)
                    values (:model_id, :element_id, :kind, :name, :due_at, cast(:plan as jsonb))"""),
            {
                "model_id": model_id,
                "element_id": event.element_id,
                "kind": event.kind,
                "name": event.name,
                "due_at": plan["due"] if plan else None,
                "plan": orjson.dumps({key: plan[key] for key in ("left", "months", "seconds")}).decode()
                if plan
                else None,
            },
        )


def _plan(text_: str, now: datetime) -> dict[str, Any]:
    zone = ZoneInfo(settings().clinic.time_zone)
    if not text_.upper().startswith("R"):
        return {"due": schedule.due(text_, now, zone), "left": 1, "months": 0, "seconds": 0.0}
    found = schedule.cycle(text_, now, zone)
    due = found.first if found.count != 0 else None
    return {
        "due": due,
        "left": found.count,
        "months": found.every.months,
        "seconds": found.every.rest.total_seconds(),
    }


async def named(session: Session, kind: str, name: str) -> list[Row[Any]]:
    """Model and element of the start events that wait for a message or signal, by process."""
    rows = await session.execute(
        text("""select s.model_id, s.element_id from start_event s join model m on m.id = s.model_id
                where s.kind = :kind and s.name = :name order by m.process_id"""),
        {"kind": kind, "name": name},
    )
    return list(rows.all())


async def next_due(session: Session) -> Row[Any] | None:
    """The timer start event that is due and has been for longest, locked; None if there is none."""
    rows = await session.execute(
        text("""select id, model_id, element_id, due_at, plan, dams_now() as now from start_event
                where due_at <= dams_now() order by due_at, id limit 1 for update skip locked""").columns(plan=JSONB)
    )
    return rows.first()


async def plan_next(session: Session, row: Row[Any]) -> None:
    """After it has started an instance: when it does so again, if ever."""
    plan = row.plan
    left = None if plan["left"] is None else plan["left"] - 1
    every = schedule.Duration(int(plan["months"]), timedelta(seconds=plan["seconds"]))
    due = None if left == 0 else schedule.skip_overdue(row.due_at, every, row.now)
    await session.execute(
        text("update start_event set due_at = :due, plan = plan || jsonb_build_object('left', cast(:left as int)) "
             "where id = :id"),
        {"id": row.id, "due": due, "left": left},
    )  # fmt: skip
