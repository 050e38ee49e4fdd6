"""How values look on pages: times in the clinic's zone, states in words, the menu by role."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, g, request
from flask_babel import format_date, format_datetime
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from app.clinic import local_time
from app.core.actor import Actor
from app.core.ids import uuid7
from app.core.settings import settings
from app.web.language import sentence, word

MENU = (
    ("home.show", "My tasks", ()),
    ("my.show", "My visits", ("patient",)),
    ("schedule.show", "Schedule", ("doctor", "staff", "admin")),
    ("people.listing", "Patients", ("doctor", "staff", "admin")),
    ("people.doctors", "Doctors", ("doctor", "staff", "admin")),
    ("clinic.show", "Clinic", ("doctor", "staff", "admin")),
    ("booking.expertise", "Book", ("patient", "doctor", "staff", "admin")),
    ("consultation.show", "Diagnosis", ("doctor",)),
    ("signup.form", "Sign up", ("admin",)),
    ("instances.listing", "Instances", ("doctor", "staff", "admin", "ops")),
    ("payment.start", "Payments", ("staff", "admin")),
    ("books.diagnoses", "Records", ("doctor",)),
    ("books.payments", "Records", ("staff", "admin")),
    ("diagnosis.form", "Analysis", ("doctor", "staff", "admin")),
    ("models.listing", "Models", ("modeler", "admin", "ops")),
    ("pipelines.listing", "Pipelines", ("admin", "staff", "doctor", "ops")),
    ("schedules.listing", "Planned runs", ("ops", "admin")),
    ("ops.show", "Operations", ("ops", "admin")),
    ("admin.show", "Administration", ("admin",)),
    ("mailbox.listing", "Mail", ("admin", "ops", "staff")),
)
PARTS = {
    "cases": "instances",
    "visits": "schedule",
    "waitlist": "schedule",
    "sheets": "schedule",
    "connections": "schedules",
}
"""Pages that belong to the page of another module in the menu."""
STATES = {
    "ready": "open",
    "claimed": "claimed",
    "completed": "completed",
    "cancelled": "cancelled",
    "running": "running",
    "requested": "asked for",
    "failed": "needs attention",
    "arrived": "waiting",
    "checked-in": "in room",
    "fulfilled": "done",
    "noshow": "no-show",
}
HAPPENED = {
    "appointment.booked": "booked it, or took a mark back",
    "appointment.rescheduled": "moved it",
    "appointment.arrived": "the patient arrived",
    "appointment.checked-in": "the patient went in",
    "appointment.fulfilled": "it took place",
    "appointment.noshow": "the patient did not come",
    "appointment.cancelled": "cancelled it",
}


def zone() -> ZoneInfo:
    return ZoneInfo(settings().clinic.time_zone)


def moment(value: datetime | str | None) -> str:
    """A time as people at the desk read it, e.g. ``24 Nov, 14:05``."""
    if not value:
        return ""
    at = (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(zone())
    today = datetime.now(UTC).astimezone(zone())
    if at.date() == today.date():
        return f"{word('today')}, {at:%H:%M}"
    return _written(at, "d MMM, HH:mm" if at.year == today.year else "d MMM yyyy, HH:mm")


def _written(at: datetime, pattern: str) -> str:
    """A moment in the reader's language, by a pattern of CLDR; its wall is the one it carries."""
    return str(format_datetime(at.replace(tzinfo=None), pattern, rebase=False))


def spelt(value: datetime) -> str:
    """``Mon 30 Nov 2026, 09:30``; with the zone's short name where that hour comes twice."""
    at = value.astimezone(zone())
    twice = len(local_time.instants(at.date(), at.time().replace(second=0, microsecond=0))) == 2
    return _written(at, "EEE d MMM yyyy, HH:mm") + (f" {at.tzname()}" if twice else "")


def wall(value: datetime) -> str:
    """A time of day on the clinic's wall, e.g. ``09:30``."""
    return f"{value.astimezone(zone()):%H:%M}"


def local_iso(value: datetime) -> str:
    """A moment as a form sends it back: ``2027-03-01T09:30``, on the clinic's wall."""
    return f"{value.astimezone(zone()):%Y-%m-%dT%H:%M}"


def day(value: date) -> str:
    """A day, e.g. ``Mon 1 Mar 2027``."""
    return str(format_date(value, "EEE d MMM yyyy", rebase=False))


def hour(value: datetime) -> str:
    """The time of day in the clinic, e.g. ``09:30``; with its zone where that hour comes twice."""
    local = value.astimezone(zone())
    twice = len(local_time.instants(local.date(), local.time())) == 2
    return f"{local:%H:%M}" + (f" {local.tzname()}" if twice else "")


def clock(value: datetime) -> str:
    """A time of day to the second, for what changes while one looks."""
    return f"{value.astimezone(zone()):%H:%M:%S}"


def due(value: datetime | None) -> dict[str, str]:
    """How a due time is said and which colour supports it: late, soon, or later."""
    if value is None:
        return {"text": "", "tone": ""}
    minutes = int((value - datetime.now(UTC)).total_seconds() // 60)
    if minutes < 0:
        return {"text": sentence(f"late by {_span(-minutes)}"), "tone": "late"}
    return {"text": sentence(f"due in {_span(minutes)}"), "tone": "soon" if minutes < 60 else "later"}


def _span(minutes: int) -> str:
    for size, unit in ((1440, "d"), (60, "h")):
        if minutes >= size:
            return f"{minutes // size} {unit}"
    return f"{minutes} min"


def said(value: object) -> str:
    """A variable's value in words."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return word("yes" if value else "no")
    return str(value)


def csrf_field() -> Markup:
    """The hidden field that every form of ours carries."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())


def menu(person: Actor | None) -> list[dict[str, Any]]:
    """The pages this person may open; the current one is marked."""
    if person is None:
        return []
    shown = [entry for entry in MENU if not entry[2] or person.has(*entry[2])]
    if not (settings().web.demo and settings().mail.sink):
        shown = [entry for entry in shown if entry[0] != "mailbox.listing"]
    here = (request.endpoint or "").partition(".")[0]
    here = PARTS.get(here, here)
    return [
        {"endpoint": endpoint, "text": word(text), "current": _is_here(endpoint, here)} for endpoint, text, _ in shown
    ]


def _is_here(endpoint: str, part: str) -> bool:
    """Two entries of the menu may lead to one module; then the page itself decides."""
    if endpoint.partition(".")[0] != part:
        return False
    asked = request.endpoint or ""
    return part != "people" or ("doctor" in endpoint) == ("doctor" in asked or "hours" in asked)


def register(flask: Flask) -> None:
    """Filters and what every template sees."""
    shared: dict[str, Any] = flask.jinja_env.globals  # pyright: ignore[reportAssignmentType] - typed too narrowly
    shared.update(csrf=csrf_field, fresh_key=lambda: str(uuid7()))
    flask.jinja_env.trim_blocks = flask.jinja_env.lstrip_blocks = True
    flask.add_template_filter(moment)
    for shown in (clock, hour, wall, local_iso, day, spelt, due, said):
        flask.add_template_filter(shown)
    flask.add_template_filter(lambda value: value.astimezone(zone()).date(), "local_day")
    flask.add_template_filter(lambda kind: word(HAPPENED.get(kind, kind)), "happened")
    flask.add_template_filter(lambda state: word(STATES.get(state, state)), "in_words")

    @flask.context_processor
    def everywhere() -> dict[str, Any]:
        person: Actor | None = g.get("actor")
        given = settings()
        return {
            "person": person,
            "menu": menu(person),
            "clinic": given.clinic.name,
            "zone": given.clinic.time_zone,
            "demo": given.web.demo,
        }
