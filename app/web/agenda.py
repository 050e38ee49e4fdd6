"""The grid of the schedule: columns are doctors of a day or days of a doctor, rows are hours, cells what happens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from app.clinic import local_time
from app.clinic.day import Block, Doctor, Visit
from app.clinic.slots import Slot


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in a cell: a visit, a free slot, one that is held, or a block. Ordered by time."""

    begins: datetime
    kind: str
    what: Visit | Slot | Block


@dataclass(slots=True)
class Column:
    """A doctor on a day, with what happens by hour of the clinic's clock."""

    doctor: Doctor
    day: date
    hours: dict[int, list[Item]] = field(default_factory=dict[int, list[Item]])

    @property
    def count(self) -> int:
        """How many visits stand in this column."""
        return sum(item.kind == "visit" for items in self.hours.values() for item in items)

    def put(self, item: Item) -> None:
        begins = item.begins.astimezone(local_time.zone())
        hour = begins.hour if begins.date() == self.day else 0
        self.hours.setdefault(hour, []).append(item)


def columns(
    doctors: Iterable[Doctor],
    days: Iterable[date],
    slots: Iterable[Slot],
    visits: Iterable[Visit],
    blocks: Iterable[Block],
) -> list[Column]:
    """The grid's columns, by doctor and then by day, each with its cells in order of time."""
    found = {(doctor.docid, day): Column(doctor, day) for doctor in doctors for day in days}
    items: list[Item] = [Item(visit.begins, "visit", visit) for visit in visits]
    items += [Item(block.begins, "block", block) for block in blocks]
    items += [Item(slot.begins, kind, slot) for slot in slots if (kind := _shown(slot))]
    for item in sorted(items, key=lambda one: (one.begins, one.kind)):
        for column in _of(found, item):
            column.put(item)
    return list(found.values())


def hours(found: Iterable[Column]) -> list[int]:
    """The hours that the grid shows: from the first to the last in which anything happens."""
    used = {hour for column in found for hour in column.hours}
    return list(range(min(used), max(used) + 1)) if used else []


def _shown(slot: Slot) -> str:
    return {"free": "free", "busy-tentative": "held"}.get(slot.state, "")


def _of(found: dict[tuple[str, date], Column], item: Item) -> list[Column]:
    """The columns that an item stands in; a block stands in each day that it touches."""
    where = local_time.zone()
    first, docid = item.begins.astimezone(where).date(), item.what.docid
    if isinstance(item.what, Block):
        last = item.what.ends.astimezone(where).date()
        return [column for (who, day), column in found.items() if who == docid and first <= day <= last]
    return [column] if (column := found.get((docid, first))) else []
