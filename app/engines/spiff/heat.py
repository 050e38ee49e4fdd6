"""Where the work of a version goes: how often each element was entered, how long it took and how often it failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from app.db.session import Session
from app.engines.spiff.models import StoredModel

NEWEST = 5_000
"""Instances of a version that are looked at: its newest. The timeline of all would be read whole."""


@dataclass(frozen=True, slots=True)
class Heat:
    """What happened at one element. Times are seconds from entered to completed; None where nothing completed."""

    element_id: str
    entered: int
    completed: int
    failed: int
    cancelled: int
    median: float | None
    p95: float | None
    late: int
    """Tasks that were completed after they were due, or are open and past it."""

    @property
    def failures(self) -> float:
        """The share of visits that failed, from 0 to 1; one that failed twice counts twice."""
        return min(self.failed / self.entered, 1.0) if self.entered else 0.0


async def of_version(session: Session, model: StoredModel) -> tuple[int, list[Heat]]:
    """How many instances were looked at, and each element that one of them reached, in the order of the file."""
    parameters = {"model": model.id, "newest": NEWEST}
    rows: dict[str, Any] = {row.element: row for row in await session.execute(_MOVES, parameters)}
    late = {row.element_id: row.late for row in await session.execute(_LATE, parameters)}
    looked = int(await session.scalar(_LOOKED, parameters) or 0)
    return looked, [
        Heat(
            own,
            row.entered,
            row.completed,
            row.failed,
            row.cancelled,
            None if row.median is None else float(row.median),
            None if row.p95 is None else float(row.p95),
            late.get(own, 0),
        )
        for own in model.elements
        if (row := rows.get(own)) is not None
    ]


_SOME = "select id, case_no from instance where model_id = :model order by id desc limit :newest"
_LOOKED = text(f"select count(*) from ({_SOME}) looked")  # noqa: S608 - constants only
_LATE = text(f"""
    select t.element_id, count(*) as late from ({_SOME}) i join user_task t on t.instance_id = i.id
    where t.due_at < coalesce(t.ended_at, dams_now()) and t.state <> 'cancelled' group by t.element_id
""")  # noqa: S608 - constants only
# The n-th time that an element is entered in an instance belongs to the n-th time that it completes there.
_MOVES = text(f"""
    with moves as (
        select e.instance_id, x.move ->> 0 as element, x.move ->> 1 as event, e.at,
               row_number() over (partition by e.instance_id, x.move ->> 0, x.move ->> 1 order by e.id, x.n) as turn
        from ({_SOME}) i join case_event e on e.case_no = i.case_no and e.instance_id = i.id
             cross join lateral jsonb_array_elements(e.trace) with ordinality x(move, n)
        where e.trace is not null
    ), counts as (
        select element, count(*) filter (where event in ('entered', 'reached')) as entered,
               count(*) filter (where event = 'completed') as completed,
               count(*) filter (where event = 'failed') as failed,
               count(*) filter (where event = 'cancelled') as cancelled
        from moves group by element
    ), times as (
        select a.element, percentile_cont(cast(array[0.5, 0.95] as float8[]))
                              within group (order by cast(extract(epoch from b.at - a.at) as float8)) as spans
        from moves a join moves b on b.instance_id = a.instance_id and b.element = a.element and b.turn = a.turn
        where a.event in ('entered', 'reached') and b.event = 'completed' group by a.element
    )
    select c.*, t.spans[1] as median, t.spans[2] as p95 from counts c left join times t on t.element = c.element
""")  # noqa: S608 - constants only
