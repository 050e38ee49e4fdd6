"""Liveness, readiness per server, and metrics."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from app.engines import figures, health
from app.web import metrics
from app.web.security import public

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def live() -> Response:
    return jsonify(status="ok")


@blueprint.get("/readyz")
@public
async def ready() -> tuple[Response, int]:
    """200 when people can be served, which needs PostgreSQL alone; each server's state is in the body."""
    states = await health.states()
    serves = states["postgresql"] == "up"
    return jsonify(status="ready" if serves else "not ready", engines=states), 200 if serves else 503


@blueprint.get("/metrics")
@public
async def measured() -> Response:
    """What Prometheus reads: it answers without PostgreSQL too, and says that it is away."""
    try:
        return metrics.told(await figures.counted())
    except (OSError, SQLAlchemyError):
        return metrics.told(None)
