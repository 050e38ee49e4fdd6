"""A case as one thing, whatever engine does its steps: its processes, its runs in other engines, its timeline.

Read from PostgreSQL alone, so it is there when an engine is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import NotFound
from app.db.session import Session
from app.engines import instances, paging
from app.engines.spiff import lookup, models, timeline
from app.engines.spiff.models import StoredModel
from app.engines.spiff.records import EventRow, InstanceRow, InstanceView

OWN = "spiff"
LANES = {
    OWN: "DAMS",
    "zeebe": "Zeebe",
    "temporal": "Temporal",
    "celery": "Celery",
    "airflow": "Airflow",
    "http": "HTTP",
    "mail": "Mail",
}
"""Engines in the order of their lanes; what people and processes do in DAMS itself comes first."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """What another engine did or does for the case. `step` is the name of the element that asked for it, or "".

    A failed run is `troubled` until its model has caught it or ops has mended it.
    """

    id: UUID
    engine: str
    name: str
    status: str
    error: str | None
    requested_at: datetime
    ended_at: datetime | None
    troubled: bool
    step: str


@dataclass(frozen=True, slots=True)
class DocumentRow:
    id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """`open` holds the instances of DAMS that are under way; `named` names the element that an event is about."""

    number: str
    instances: list[InstanceRow]
    runs: list[RunRow]
    events: list[EventRow]
    open: list[InstanceView]
    documents: list[DocumentRow]
    named: dict[int, str]

    @property
    def status(self) -> str:
        """That of what needs most attention: failed, running, completed or cancelled."""
        found = {row.status for row in self.instances if row.engine == OWN or row.status != "failed"}
        found |= {"failed" for row in self.instances if row.incidents} | {"failed" for run in self.runs if run.troubled}
        found |= {"running" for run in self.runs if run.status in ("requested", "running")}
        found = {"running" if status == "requested" else status for status in found}
        return next((one for one in ("failed", "running", "completed") if one in found), "cancelled")

    @property
    def lanes(self) -> list[str]:
        """The engines that have a part in the case, in the order of `LANES`."""
        present = {lane_of(event) for event in self.events} | {run.engine for run in self.runs}
        return [engine for engine in LANES if engine in present]

    @property
    def began(self) -> datetime:
        return min(row.started_at for row in self.instances)

    @property
    def ended(self) -> datetime | None:
        """When the last of it ended; None while something is under way."""
        ends = [row.ended_at for row in self.instances]
        return None if None in ends else max(end for end in ends if end)


def lane_of(event: EventRow) -> str:
    """The engine whose doing an event tells."""
    engine = event.kind.partition(".")[0]
    return engine if engine in LANES else OWN


async def seen(session: Session, actor: Actor, number: str, limit: int = 1) -> list[InstanceRow]:
    """Up to *limit* of the case's instances that this person may see. Raises :class:`NotFound` where there is none."""
    page = await instances.search(session, actor, case=number, limit=limit)
    if not page.items:
        raise NotFound("No such case.")
    return page.items


async def show(session: Session, actor: Actor, number: str) -> Case:
    """A case with all this person may see of it. Raises :class:`NotFound` where that is nothing."""
    found = await seen(session, actor, number, paging.MAX_PAGE)
    drawn = {row.id: await models.find(session, row.process_id, row.version) for row in found}
    events = await timeline.of_case(session, number)
    under_way = [row.id for row in found if row.engine == OWN and row.status in ("running", "failed")]
    documents = await session.execute(
        text("select id, name, created_at from document where case_no = :case order by id"), {"case": number}
    )
    told = {event.data["run"]: _named(drawn, event) for event in events if event.kind.startswith("job.")}
    runs = await _runs(session, number, drawn, told)
    steps = told | {str(run.id): run.step for run in runs}
    return Case(
        number=number,
        instances=found,
        runs=runs,
        events=events,
        open=[_with_steps(await lookup.view(session, actor, own), drawn[own]) for own in under_way],
        documents=[DocumentRow(*row) for row in documents],
        named={event.id: _named(drawn, event) or steps.get(event.data.get("run") or "", "") for event in events},
    )


async def _runs(session: Session, number: str, drawn: dict[UUID, StoredModel], told: dict[str, str]) -> list[RunRow]:
    found = await session.execute(
        text("""select id, engine, name, status, error, requested_at, ended_at,
                       exists(select from incident n where n.run_id = r.id and n.resolved_at is null), instance_id
                from engine_run r where case_no = :case and engine <> 'zeebe' order by id limit :most"""),
        {"case": number, "most": paging.MAX_PAGE},  # those of Zeebe are instances
    )
    return [
        RunRow(*row[:8], step=told.get(str(row.id)) or _asking(drawn.get(row.instance_id), row.name)) for row in found
    ]


def _with_steps(view: InstanceView, model: StoredModel) -> InstanceView:
    """Its waits with the names of their elements, as `step`."""
    return replace(view, waiting=[{**one, "step": model.element_name(one["element_id"])} for one in view.waiting])


def _named(drawn: dict[UUID, StoredModel], event: EventRow) -> str:
    """The name of an event's element, its id where the model knows none, "" where the event has none."""
    element = event.data.get("element") or ""
    model = drawn.get(event.instance_id) if event.instance_id else None
    return model.element_name(element) if model and element else element


def _asking(model: StoredModel | None, name: str) -> str:
    """The element that asks for such a run, where only one does."""
    elements = model.elements.values() if model else ()
    asking = [element.name or element.id for element in elements if element.topic.endswith(f":{name}")]
    return asking[0] if len(asking) == 1 else ""
