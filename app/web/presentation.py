"""How values look on pages: times in the clinic's zone, states in words, the menu by role."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, g, request
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from app.core.actor import Actor
from app.core.ids import uuid7
from app.core.settings import settings

MENU = (
    ("home.show", "My tasks", ()),
    ("instances.listing", "Instances", ("doctor", "staff", "admin", "ops")),
    ("payment.start", "Payments", ("staff", "admin")),
    ("diagnosis.form", "Analysis", ("doctor", "staff", "admin")),
    ("models.listing", "Models", ("modeler", "admin", "ops")),
    ("pipelines.listing", "Pipelines", ("admin", "staff", "doctor", "ops")),
    ("ops.show", "Operations", ("ops", "admin")),
    ("mailbox.listing", "Mail", ("admin", "ops", "staff")),
)
STATES = {
    "ready": "open",
    "claimed": "claimed",
    "completed": "completed",
    "cancelled": "cancelled",
    "running": "running",
    "failed": "needs attention",
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
        return f"today, {at:%H:%M}"
    return f"{at.day} {at:%b}, {at:%H:%M}" if at.year == today.year else f"{at.day} {at:%b %Y}, {at:%H:%M}"


def clock(value: datetime) -> str:
    """A time of day to the second, for what changes while one looks."""
    return f"{value.astimezone(zone()):%H:%M:%S}"


def due(value: datetime | None) -> dict[str, str]:
    """How a due time is said and which colour supports it: late, soon, or later."""
    if value is None:
        return {"text": "", "tone": ""}
    minutes = int((value - datetime.now(UTC)).total_seconds() // 60)
    if minutes < 0:
        return {"text": f"late by {_span(-minutes)}", "tone": "late"}
    return {"text": f"due in {_span(minutes)}", "tone": "soon" if minutes < 60 else "later"}


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
        return "yes" if value else "no"
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
    return [
        {"endpoint": endpoint, "text": text, "current": endpoint.partition(".")[0] == here}
        for endpoint, text, _ in shown
    ]


def register(flask: Flask) -> None:
    """Filters and what every template sees."""
    shared: dict[str, Any] = flask.jinja_env.globals  # pyright: ignore[reportAssignmentType] - typed too narrowly
    shared.update(csrf=csrf_field, fresh_key=lambda: str(uuid7()))
    flask.jinja_env.trim_blocks = flask.jinja_env.lstrip_blocks = True
    flask.add_template_filter(moment)
    flask.add_template_filter(clock)
    flask.add_template_filter(due)
    flask.add_template_filter(said)
    flask.add_template_filter(lambda state: STATES.get(state, state), "in_words")

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
