"""What people type on the clinic's forms: days, times, numbers; a wrong one becomes a sentence beside its field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time

from app.clinic import local_time
from app.core.errors import Invalid

MAX_DAY = date(2200, 1, 1)


def day(given: Mapping[str, str], name: str) -> date:
    """The day of a date field. Raises :class:`Invalid`."""
    try:
        found = date.fromisoformat(given.get(name, "").strip())
    except ValueError:
        raise Invalid({name: "Write a day such as 2026-11-30."}) from None
    if not date(1900, 1, 1) <= found <= MAX_DAY:
        raise Invalid({name: "This day is too far away."})
    return found


def clock(given: Mapping[str, str], name: str) -> time:
    """The time of a time field, to the minute. Raises :class:`Invalid`."""
    text = given.get(name, "").strip()
    if not re.fullmatch(r"\d{2}:\d{2}(:00)?", text, re.ASCII):
        raise Invalid({name: "Write a time such as 09:30."})
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise Invalid({name: "There is no such time."}) from None


def number(given: Mapping[str, str], name: str, least: int = 0, most: int = 2**31 - 1) -> int:
    """A whole number. Raises :class:`Invalid`."""
    text = given.get(name, "").strip()
    if not re.fullmatch(r"-?\d{1,10}", text, re.ASCII) or not least <= int(text) <= most:
        raise Invalid({name: f"Write a whole number from {least} to {most}." if most < 10_000 else "Choose one."})
    return int(text)


def optional(given: Mapping[str, str], name: str) -> int | None:
    """A whole number that may be missing: a version, a choice. What is no number counts as missing."""
    text = given.get(name, "").strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None


def moment(given: Mapping[str, str], day_name: str, time_name: str, fold_name: str = "fold") -> datetime:
    """The instant of a day and a time on the clinic's wall. Raises :class:`Invalid`, with each field's sentence."""
    errors: dict[str, str] = {}
    on, at = None, None
    try:
        on = day(given, day_name)
    except Invalid as error:
        errors |= error.errors
    try:
        at = clock(given, time_name)
    except Invalid as error:
        errors |= error.errors
    if on is None or at is None:
        raise Invalid(errors)
    fold = optional(given, fold_name)
    return local_time.instant(on, at, field=time_name, second=None if fold is None else bool(fold))


def slot(text: str) -> tuple[str, datetime]:
    """Doctor and instant of a slot's button, ``HSP-200 2026-11-30T14:30:00+00:00``. Raises :class:`Invalid`."""
    docid, _, written = text.partition(" ")
    try:
        begins = datetime.fromisoformat(written.strip())
    except ValueError:
        begins = None
    if not docid or begins is None or begins.tzinfo is None or not 1900 < begins.year < MAX_DAY.year:
        raise Invalid({"slot": "Choose one of the free times."})
    return docid, begins
