"""Slots: a doctor's weekly hours, cut to the clinic's opening hours, minus holidays, leave and what is taken.

A slot's state is a FHIR R4 slot status: free, busy (an appointment), busy-tentative (held or offered),
busy-unavailable (leave, a block, past). Ranges are half-open and in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError

from app.clinic import local_time
from app.core.actor import Actor
from app.core.errors import Conflict, Invalid
from app.core.ids import uuid7
from app.db.care import LIVE
from app.db.session import Session

HOLD_MINUTES = 5
LOOK_AHEAD_DAYS = 60
MAX_DAYS = 62
LONGEST_SLOT = timedelta(hours=8)
YEARS = range(1970, 3000)
"""A day outside of them has no slot: at the ends of the calendar there is no day before or after to reckon with."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of a doctor. `begins` and `ends` are instants (UTC), the end outside."""

    docid: str
    begins: datetime
    ends: datetime
    state: str

    @property
    def free(self) -> bool:
        return self.state == "free"


@dataclass(frozen=True, slots=True)
class Hold:
    """A slot kept for one form until `expires_at`."""

    id: UUID
    docid: str
    begins: datetime
    ends: datetime
    expires_at: datetime


class Taken(Exception):
    """Somebody else was first; :func:`lost` says it to people."""


@dataclass(frozen=True, slots=True)
class _Taken:
    begins: datetime
    ends: datetime
    state: str


_HOLD = text("""insert into slot_hold (id, docid, during, instance_id, held_by, expires_at)
                values (:id, :docid, tstzrange(:begins, :ends), :instance_id, :held_by, :expires_at)""")


async def of_days(
    session: Session, docids: Sequence[str], first: date, days: int = 1, mine: UUID | None = None
) -> list[Slot]:
    """Every slot of these doctors on *days* days from *first* on, in order of time and doctor.

    What the instance *mine* holds is free to it. *days* is at most :data:`MAX_DAYS`.
    """
    if first.year not in YEARS:
        return []
    days = max(1, min(days, MAX_DAYS))
    begins, ends = local_time.day_bounds(first)[0], local_time.day_bounds(first + timedelta(days=days - 1))[1]
    hours = await _hours(session, docids, first, days)
    taken = await _taken(session, docids, begins, ends, mine)
    now = await session.scalar(text("select dams_now()"))
    found = [
        Slot(docid, *bounds, _state(bounds, taken.get((docid, bounds[0].date()), []), now))
        for docid, intervals in hours.items()
        for bounds in intervals
    ]
    return sorted(found, key=lambda slot: (slot.begins, slot.docid))


async def free(
    session: Session,
    docid: str,
    first: date,
    days: int = 14,
    limit: int | None = None,
    mine: UUID | None = None,
) -> list[Slot]:
    """The free slots of a doctor, soonest first; what the instance *mine* holds is free to it."""
    found = [slot for slot in await of_days(session, [docid], first, days, mine) if slot.free]
    return found[:limit]


async def today(session: Session) -> date:
    """The day on the clinic's wall."""
    now: datetime = (await session.execute(text("select dams_now() as at"))).scalar_one()
    return now.astimezone(local_time.zone()).date()


async def nearest(session: Session, docid: str, moment: datetime, count: int = 3) -> list[Slot]:
    """A doctor's free slots nearest to *moment*, in order of time: what is offered in place of a lost one."""
    now: datetime = await session.scalar(text("select dams_now()")) or datetime.now(UTC)
    first = max(moment - timedelta(days=7), now).astimezone(local_time.zone()).date()
    for days in (14, LOOK_AHEAD_DAYS):
        found = await free(session, docid, first, days)
        if len(found) >= count:
            break
    return sorted(sorted(found, key=lambda slot: abs(slot.begins - moment))[:count], key=lambda slot: slot.begins)


async def find(session: Session, docid: str, begins: datetime) -> Slot:
    """The doctor's slot that begins then. Raises :class:`Invalid` if the doctor has none."""
    day = begins.astimezone(local_time.zone()).date()
    for slot in await of_days(session, [docid], day):
        if slot.begins == begins:
            return slot
    raise Invalid({"time_scheduled": "The doctor sees nobody at this time. Choose one of the free times."})


async def hold(
    session: Session, actor: Actor | None, docid: str, begins: datetime, *, instance_id: UUID | None = None
) -> Hold:
    """Keep a slot for :data:`HOLD_MINUTES` while a form is filled; a second hold of the same form replaces the first.

    Raises:
        Invalid: the doctor has no slot then.
        Conflict: it is taken; ``nearest`` names the three nearest free ones.
    """
    try:
        async with session.begin_nested():  # its end gives the doctor free before a refused one looks for other times
            await lock(session, docid)
            await expire(session)
            await release(session, instance_id)
            slot = await _free(session, docid, begins)
            made = Hold(uuid7(), docid, slot.begins, slot.ends, await _until(session))
            given = {"id": made.id, "docid": docid, "begins": made.begins, "ends": made.ends}
            given |= {"instance_id": instance_id, "held_by": actor.id if actor else None}
            await session.execute(_HOLD, given | {"expires_at": made.expires_at})
    except (IntegrityError, Taken) as error:
        raise await lost(session, docid, begins) from error
    return made


async def release(session: Session, instance_id: UUID | None) -> None:
    """Give back what a form of this instance holds."""
    if instance_id is not None:
        await session.execute(text("delete from slot_hold where instance_id = :id"), {"id": instance_id})


async def expire(session: Session) -> None:
    """Delete holds whose time is over. Called in the transaction of whoever wants a slot, so none is ever believed."""
    await session.execute(text("delete from slot_hold where expires_at <= dams_now()"))


async def take(
    session: Session, actor: Actor | None, docid: str, begins: datetime, ends: datetime, instance_id: UUID | None
) -> None:
    """Make way for an appointment: one's own hold ends. Raises :class:`Taken` where somebody else's hold or offer, a
    block, or an appointment that was overbooked and that no constraint guards, stands in the way.

    The caller holds the doctor's row.
    """
    await expire(session)
    await release(session, instance_id)
    if actor is not None:
        await session.execute(
            text("""delete from slot_hold where held_by = :actor and instance_id is null and docid = :docid
                    and during && tstzrange(:begins, :ends)"""),
            {"actor": actor.id, "docid": docid, "begins": begins, "ends": ends},
        )
    kept = await session.scalar(
        text(f"""select exists(select from slot_hold where docid = :docid and during && tstzrange(:begins, :ends))
                or exists(select from doctor_block where docid = :docid and during && tstzrange(:begins, :ends))
                or exists(select from appointment where docid = :docid and during && tstzrange(:begins, :ends)
                          and overbooked is not null and {LIVE})
                or exists(select from slot_offer where docid = :docid and during && tstzrange(:begins, :ends)
                          and state = 'open' and expires_at > dams_now())"""),  # noqa: S608 - LIVE is a constant
        {"docid": docid, "begins": begins, "ends": ends},
    )
    if kept:
        raise Taken


async def _free(session: Session, docid: str, begins: datetime) -> Slot:
    slot = await find(session, docid, begins)
    if not slot.free:
        raise Taken
    return slot


async def lost(session: Session, docid: str, begins: datetime) -> Conflict:
    """What whoever came second is told: the slot is gone, and these are the nearest free ones."""
    near = await nearest(session, docid, begins)
    told = "; ".join(local_time.spelt(slot.begins) for slot in near) or "none in the next weeks"
    return Conflict(
        f"Doctor {docid} is not free on {local_time.spelt(begins)}. The nearest free times: {told}.",
        field="time_scheduled",
        nearest=[slot.begins.isoformat() for slot in near],
    )


async def lock(session: Session, docid: str) -> None:
    """Whoever wants a slot of this doctor waits here; a booking locks the same row."""
    await session.execute(text("select 1 from doctor where empid = :docid for no key update"), {"docid": docid})


async def _until(session: Session) -> datetime:
    return (
        await session.execute(
            text("select dams_now() + make_interval(mins => :minutes) as at"), {"minutes": HOLD_MINUTES}
        )
    ).scalar_one()


async def _hours(
    session: Session, docids: Sequence[str], first: date, days: int
) -> dict[str, list[tuple[datetime, datetime]]]:
    """The slots of each doctor as ranges of instants, before anything is taken away but holidays and closing hours."""
    weekly = (
        await session.execute(
            text("""select h.docid, h.weekday, h.begins, h.ends, h.slot_minutes, h.valid_from, h.valid_until
                    from doctor_hours h join doctor d on d.empid = h.docid and d.status
                    where h.docid = any(:docids) order by h.begins"""),
            {"docids": list(docids)},
        )
    ).all()
    opening = (await session.execute(text("select weekday, opens, closes from opening_hours"))).all()
    last = first + timedelta(days=days - 1)
    closed = set(
        (
            await session.execute(
                text("select day from holiday where day between :first and :last"), {"first": first, "last": last}
            )
        ).scalars()
    )
    found: dict[str, list[tuple[datetime, datetime]]] = {docid: [] for docid in docids}
    for day in (first + timedelta(days=number) for number in range(days)):
        if day in closed:
            continue
        open_then = [(row.opens, row.closes) for row in opening if row.weekday == day.weekday()]
        for row in weekly:
            if row.weekday == day.weekday() and row.valid_from <= day and (row.valid_until or day) >= day:
                found[row.docid].extend(_cut(day, row, open_then))
    return found


def _cut(day: date, row: Row[Any], opening: list[tuple[time, time]]) -> Iterator[tuple[datetime, datetime]]:
    """One day's hours in slots of equal length. Steps are elapsed time, so a change of the clock shifts nothing."""
    step = timedelta(minutes=row.slot_minutes)
    for opens, closes in opening:
        begins, ends = _edge(day, max(row.begins, opens)), _edge(day, min(row.ends, closes))
        while begins + step <= ends:
            yield begins, begins + step
            begins += step


def _edge(day: date, at: time) -> datetime:
    """The instant of an edge of working hours; in spring's gap the first instant after it."""
    found = local_time.instants(day, at)
    return found[0] if found else datetime.combine(day, at, local_time.zone()).replace(fold=1).astimezone(UTC)


async def _taken(
    session: Session, docids: Sequence[str], begins: datetime, ends: datetime, mine: UUID | None
) -> dict[tuple[str, date], list[_Taken]]:
    """What takes a doctor's time, by each day (UTC) on which a slot may begin that it touches."""
    rows = await session.execute(
        text(f"""
            select docid, lower(during) as begins, upper(during) as ends, 'busy' as state from appointment
            where docid = any(:docids) and during && tstzrange(:begins, :ends) and {LIVE}
            union all
            select docid, lower(during), upper(during), 'busy-unavailable' from doctor_block
            where docid = any(:docids) and during && tstzrange(:begins, :ends)
            union all
            select docid, lower(during), upper(during), 'busy-tentative' from slot_hold
            where docid = any(:docids) and during && tstzrange(:begins, :ends) and expires_at > dams_now()
                  and (instance_id = cast(:mine as uuid)) is not true
            union all
            select docid, lower(during), upper(during), 'busy-tentative' from slot_offer
            where docid = any(:docids) and during && tstzrange(:begins, :ends) and state = 'open'
                  and expires_at > dams_now()
        """),  # noqa: S608 - LIVE is a constant
        {"docids": list(docids), "begins": begins, "ends": ends, "mine": mine},
    )
    found: dict[tuple[str, date], list[_Taken]] = {}
    for row in rows:
        first = (max(row.begins, begins) - LONGEST_SLOT).astimezone(UTC).date()
        last = min(row.ends, ends).astimezone(UTC).date()
        for number in range((last - first).days + 1):
            key = row.docid, first + timedelta(days=number)
            found.setdefault(key, []).append(_Taken(row.begins, row.ends, row.state))
    return found


def _state(bounds: tuple[datetime, datetime], taken: list[_Taken], now: datetime | None) -> str:
    begins, ends = bounds
    for one in taken:
        if one.begins < ends and begins < one.ends:
            return one.state
    return "busy-unavailable" if now is not None and begins <= now else "free"
