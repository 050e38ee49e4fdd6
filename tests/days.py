"""Days of the tests, none of which is ever past: a test that named a year would fail when that year is over."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

CLOSED = ((12, 25), (1, 1))
"""Month and day of the demo clinic's holidays."""

SATURDAY = 5


def mondays(count: int) -> list[date]:
    """The next *count* Mondays on which the demo clinic is open, from five weeks ahead on."""
    today = datetime.now(UTC).date()
    first = today + timedelta(weeks=5, days=-today.weekday())
    found = [first + timedelta(weeks=number) for number in range(count + 2)]
    return [day for day in found if (day.month, day.day) not in CLOSED][:count]


MONDAYS = mondays(80)
MONDAY = MONDAYS[0]
SUNDAY = MONDAY + timedelta(days=6)


def sunday_of(month: int, number: int) -> date:
    """The so-maniest Sunday of that month, in the year after this one; New York changes its clocks on some."""
    first = date(datetime.now(UTC).year + 1, month, 1)
    return first + timedelta(days=6 - first.weekday(), weeks=number - 1)


def holiday() -> date:
    """The next one that would otherwise be a working day."""
    today = datetime.now(UTC).date()
    days = [date(today.year + ahead, month, day) for ahead in range(3) for month, day in CLOSED]
    return min(day for day in days if day > today + timedelta(days=1) and day.weekday() < SATURDAY)
