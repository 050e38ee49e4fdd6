"""Operations: what is stuck and how to mend it, which engine and worker lives, what an id stands for."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.core.errors import Conflict, DamsError, Invalid, NotFound
from app.db.session import reading, transaction
from app.engines import control, health, heartbeat, operations
from app.web import tiles
from app.web.security import actor, allow

blueprint = Blueprint("ops", __name__)
OPS = ("ops", "admin")
SHOWN_WITHIN_SECONDS = heartbeat.SILENT_SECONDS + 2
"""A stopped worker shows within this time: silence is noticed, then the page asks again."""


@blueprint.get("/ops")
@allow(*OPS)
async def show() -> str:
    return await _page()


@blueprint.post("/ops/incidents/<int:incident_id>/retry")
@allow(*OPS)
async def retry(incident_id: int) -> Response | tuple[str, int]:
    try:
        async with transaction() as session:
            await operations.retry(session, actor(), incident_id)
    except (NotFound, Conflict) as error:
        return await _page(error), error.status
    flash("Tried again. If it fails again it comes back to this list.", "good")
    return redirect(url_for("ops.show"), 303)


@blueprint.post("/ops/incidents/<int:incident_id>/cancel")
@allow(*OPS)
async def cancel(incident_id: int) -> Response | tuple[str, int]:
    try:
        async with transaction() as session:
            await operations.cancel(session, actor(), incident_id, request.form.get("reason", ""))
    except (Invalid, NotFound, Conflict) as error:
        return await _page(error), error.status
    flash("Cancelled; the timeline keeps who and why.", "good")
    return redirect(url_for("ops.show"), 303)


@blueprint.post("/ops/runs/<uuid:run_id>/cancel")
@allow(*OPS)
async def cancel_run(run_id: UUID) -> Response | tuple[str, int]:
    """Call off a run of another engine that has not failed, as the search shows it."""
    try:
        async with transaction() as session:
            await control.cancel(session, actor(), run_id, request.form.get("reason", ""))
    except (Invalid, NotFound, Conflict) as error:
        return await _page(error), error.status
    flash("The run is called off.", "good")
    return redirect(url_for("ops.show"), 303)


async def _page(refused: DamsError | None = None) -> str:
    asked = request.args.get("q", "").replace("\x00", "").strip()[:200]
    servers, queued = await health.states(), await operations.queued()
    async with reading() as session:
        listed = await operations.incidents(session)
        facts = tiles.Facts(
            at=datetime.now(UTC),
            servers=servers,
            signs=await heartbeat.signs(session),
            counts=await operations.counts(session),
            waiting=await operations.waiting(session),
            queued=queued,
        )
        found = await operations.find(session, asked) if asked else []
    return render_template(
        "ops.html",
        facts=facts,
        tiles=tiles.all_of(facts),
        incidents=listed,
        most=operations.MOST,
        asked=asked,
        found=found,
        refused=refused,
        within=round(SHOWN_WITHIN_SECONDS),
    )
