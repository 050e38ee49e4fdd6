"""A case as one thing, whatever engine does its steps: its processes, its runs in other engines, its timeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import NotFound
from app.db.session import Session
from app.engines import instances, paging
from app.engines.spiff import timeline
from app.engines.spiff.records import EventRow, InstanceRow

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
    """What another engine did or does for the case."""

    id: UUID
    engine: str
    name: str
    status: str
    error: str | None
    requested_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Case:
    number: str
    instances: list[InstanceRow]
    runs: list[RunRow]
    events: list[EventRow]

    @property
    def status(self) -> str:
        """That of what needs most attention: failed, running, completed or cancelled."""
        found = {row.status for row in (*self.instances, *self.runs)}
        found = {"running" if status == "requested" else status for status in found}
        return next((one for one in ("failed", "running", "completed") if one in found), "cancelled")

    @property
    def lanes(self) -> list[str]:
        """The engines that have a part in the case, in the order of `LANES`."""
        present = {lane_of(event) for event in self.events} | {run.engine for run in self.runs}
        return [engine for engine in LANES if engine in present]


def lane_of(event: EventRow) -> str:
    """The engine whose doing an event tells."""
    engine = event.kind.partition(".")[0]
    return engine if engine in LANES else OWN


async def show(session: Session, actor: Actor, number: str) -> Case:
    """A case with all this person may see of it. Raises :class:`NotFound` where that is nothing."""
    page = await instances.search(session, actor, case=number, limit=paging.MAX_PAGE)
    if not page.items:
        raise NotFound("No such case.")
    runs = await session.execute(
        text("""select id, engine, name, status, error, requested_at, ended_at from engine_run
                where case_no = :case and engine <> 'zeebe' order by id limit :most"""),  # those are instances
        {"case": number, "most": paging.MAX_PAGE},
    )
    return Case(number, page.items, [RunRow(*row) for row in runs], await timeline.of_case(session, number))
