"""ISO 8601 times as models use them: a date, a duration from now, a repeating cycle.

Plain text is read here; any other text is an expression of the model, whose value comes here. Nothing reads a clock:
the moment is given.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

_DURATION = re.compile(
    r"P(?!$)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:[.,]\d+)?)S)?)?",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?|\d{8}T\d{6}Z?|\d{4}-?W\d{2}-?\d.*")
_CYCLE = re.compile(r"R(\d*)/(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Duration:
    """Months are kept apart from days: a month after 31 January is the last day of February."""

    months: int
    rest: timedelta

    def after(self, moment: datetime) -> datetime:
        month = moment.month - 1 + self.months
        year, month = moment.year + month // 12, month % 12 + 1
        day = min(moment.day, calendar.monthrange(year, month)[1])
        return moment.replace(year=year, month=month, day=day) + self.rest


@dataclass(frozen=True, slots=True)
class Cycle:
    """*count* firings (None for ever), the first at *first*, the next ones *every* later."""

    count: int | None
    first: datetime
    every: Duration


def is_literal(text: str) -> bool:
    """Whether a text in a model is a time as it stands, and not an expression."""
    text = text.strip()
    return any(form.fullmatch(text) for form in (_DURATION, _DATE, _CYCLE))


def duration(text: Any) -> Duration:
    """Raises `ValueError` for what is no ISO 8601 duration."""
    if isinstance(text, timedelta):
        return Duration(0, text)
    found = _DURATION.fullmatch(str(text).strip())
    if found is None:
        raise ValueError("it is no duration like PT15M or P2D")
    parts = {name: float(value.replace(",", ".")) for name, value in found.groupdict(default="0").items()}
    months = int(parts.pop("years")) * 12 + int(parts.pop("months"))
    return Duration(months, timedelta(**parts))


def moment(value: Any, zone: tzinfo = UTC) -> datetime:
    """A point in time; one without a zone is meant in *zone*. Raises `ValueError` for what is none."""
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, date):
        found = datetime.combine(value, time(), zone)
    else:
        try:
            found = datetime.fromisoformat(str(value).strip())
        except ValueError as error:
            raise ValueError("it is no date like 2026-11-24T10:30:00Z") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


def due(value: Any, now: datetime, zone: tzinfo = UTC) -> datetime:
    """When a duration from *now* is over, or the date itself. Raises `ValueError`."""
    if isinstance(value, timedelta) or str(value).strip().upper().startswith("P"):
        return duration(value).after(now)
    return moment(value, zone)


def cycle(value: Any, now: datetime, zone: tzinfo = UTC) -> Cycle:
    """`R3/PT10M`, `R/2026-11-24T10:00:00Z/P1D`, `R5/P1D/2026-12-01`; a plain duration repeats once.

    Raises:
        ValueError: it is none of these.
    """
    found = _CYCLE.fullmatch(str(value).strip())
    if found is None:
        every = duration(value)
        return Cycle(1, every.after(now), every)
    count = int(found[1]) if found[1] else None
    parts = found[2].split("/")
    if len(parts) == 1:
        every = duration(parts[0])
        return Cycle(count, every.after(now), every)
    if len(parts) != 2:
        raise ValueError("it is no cycle like R3/PT10M")
    if parts[0].upper().startswith("P"):
        every, end = duration(parts[0]), moment(parts[1], zone)
        steps = max(count or 1, 1)
        return Cycle(count, end - (every.after(end) - end) * (steps - 1), every)
    every = duration(parts[1])
    return Cycle(count, moment(parts[0], zone), every)


def skip_overdue(next_due: datetime, every: Duration, now: datetime) -> datetime:
    """The first due time after *now*: what was missed while nothing ran is not made up for in a burst."""
    following = every.after(next_due)
    if following > now or following <= next_due:
        return following
    behind = now - following
    step = following - next_due
    following += step * (behind // step)
    while following <= now:
        following = every.after(following)
    return following
