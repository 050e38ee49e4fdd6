"""Times every request, and tells Prometheus what was measured and what waits. No label comes from what people enter."""

from __future__ import annotations

import time

from flask import Flask, Response, g
from flask.globals import request_ctx
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from app.core.metrics import REQUESTS, collected
from app.engines.figures import Figures

UNMATCHED = "unmatched"


def register(flask: Flask) -> None:
    flask.before_request(_begin)
    flask.after_request(_end)


def _begin() -> None:
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    # The route's pattern, not the address: an address can hold an id, and each would be a series of its own.
    asked = request_ctx.request  # each look through Flask's proxy for it costs as much as the rest of a line
    rule = asked.url_rule
    route, method = (rule.rule, asked.method) if rule is not None else (UNMATCHED, UNMATCHED)
    began = g.get("began")
    if began is not None:
        REQUESTS.labels(method, route, str(response.status_code)).observe(time.perf_counter() - began)
    return response


def told(figures: Figures | None) -> Response:
    """The page that Prometheus reads; without *figures* it says that the database is away."""
    registry = collected()
    _gauge(registry, "dams_database_up", "1 while PostgreSQL answers", 0 if figures is None else 1)
    if figures is not None:
        _gauge(registry, "dams_outbox_pending", "Effects that are not sent yet", figures.outbox)
        _gauge(registry, "dams_outbox_overdue_seconds", "How long the oldest waits past its time", figures.overdue)
        _gauge(registry, "dams_timers_due", "Timers that are due and have not fired", figures.timers)
        incidents = Gauge("dams_incidents_open", "Incidents that nobody has resolved", ("code",), registry=registry)
        for code, count in figures.incidents.items():
            incidents.labels(code).set(count)
        age = Gauge("dams_heartbeat_age_seconds", "Age of the newest sign of life", ("kind",), registry=registry)
        alive = Gauge("dams_workers_alive", "Processes that sign their life", ("kind",), registry=registry)
        for kind, (seconds, count) in figures.signs.items():
            age.labels(kind).set(seconds)
            alive.labels(kind).set(count)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _gauge(registry: CollectorRegistry, name: str, text: str, value: float) -> None:
    Gauge(name, text, registry=registry).set(value)
