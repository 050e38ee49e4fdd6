"""Going back: an instance put into a state that it has been in, or a second one begun from there."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.core.errors import Conflict, Invalid
from app.db.session import reading, transaction
from app.engines.spiff import reset
from app.web.security import actor, allow

blueprint = Blueprint("reset", __name__)


@blueprint.get("/instances/<uuid:instance_id>/back")
@allow(*reset.MEND)
async def choose(instance_id: UUID) -> str:
    """Every point that it can go back to, with what was done outside since."""
    return await _page(instance_id)


@blueprint.post("/instances/<uuid:instance_id>/back")
@allow(*reset.MEND)
async def go(instance_id: UUID) -> Response | tuple[str, int]:
    """Go back to the chosen point, or with `fork` begin a second instance there."""
    asked, reason = request.form.get("to", ""), request.form.get("reason", "")
    to = int(asked) if asked.isdecimal() and len(asked) < 19 else 0
    try:
        async with transaction() as session:
            if "fork" in request.form:
                view = await reset.fork(session, actor(), instance_id, to, reason)
            else:
                view = await reset.go_back(session, actor(), instance_id, to, reason)
    except Invalid as error:
        return await _page(instance_id, error.errors), 422
    except Conflict as error:
        return await _page(instance_id, {"to": error.detail}), 409
    flash("A second instance begins there." if "fork" in request.form else "The instance went back.", "good")
    return redirect(url_for("instances.show", instance_id=view.id), 303)


async def _page(instance_id: UUID, errors: dict[str, str] | None = None) -> str:
    async with reading() as session:
        view, model, stops = await reset.stops(session, actor(), instance_id)
    return render_template(
        "back.html",
        view=view,
        model=model,
        stops=[stop for stop in stops if stop.open],
        errors=errors or {},
        chosen=request.form.get("to", ""),
        reason=request.form.get("reason", ""),
        may_go_back=view.status in ("running", "failed"),
    )
