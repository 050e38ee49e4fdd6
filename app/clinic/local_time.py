"""The clinic's wall clock: what people write on a form becomes an instant, or a sentence beside the field.

Once a year a local hour does not exist and once it comes twice (daylight saving). Python accepts both without a word.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.core.errors import Invalid
from app.core.settings import settings


def zone() -> ZoneInfo:
    """The clinic's IANA zone."""
    return ZoneInfo(settings().clinic.time_zone)


def instants(day: date, at: time, where: ZoneInfo | None = None) -> list[datetime]:
    """The instants (UTC) at which the wall shows *day* and *at*: one; none in spring's gap, two in autumn's."""
    where = where or zone()
    both = [datetime.combine(day, at, where).replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
    return [one for one in sorted(set(both)) if one.astimezone(where).replace(tzinfo=None) == datetime.combine(day, at)]


def instant(day: date, at: time, *, field: str, second: bool | None = None, where: ZoneInfo | None = None) -> datetime:
    """The instant (UTC) of a local day and time; *second* chooses where the hour comes twice.

    Raises:
        Invalid: on *field*: the time does not exist that day, or it comes twice and *second* is None.
    """
    where = where or zone()
    found = instants(day, at, where)
    if not found:
        raise Invalid(
            {field: f"{at:%H:%M} does not exist on {day:%d %B %Y}: the clocks go forward. Choose another time."}
        )
    if len(found) == 2 and second is None:
        first, later = (one.astimezone(where).tzname() for one in found)
        text = f"{at:%H:%M} comes twice on {day:%d %B %Y}: say whether the first ({first}) or the second ({later})."
        raise Invalid({field: text})
    return found[1 if second and len(found) == 2 else 0]


def spelt(moment: datetime, where: ZoneInfo | None = None) -> str:
    """``Mon 30 Nov 2026, 09:30``; with the zone's short name where that hour comes twice."""
    local = moment.astimezone(where or zone())
    twice = len(instants(local.date(), local.time(), where)) == 2
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M}" + (f" {local.tzname()}" if twice else "")


def day_bounds(day: date, where: ZoneInfo | None = None) -> tuple[datetime, datetime]:
    """The half-open range of instants that is *day* on the wall; 23, 24 or 25 hours long."""
    where = where or zone()
    begins = datetime.combine(day, time(), where).astimezone(UTC)
    return begins, datetime.combine(day + timedelta(days=1), time(), where).astimezone(UTC)
