"""One page per case: its processes, what other engines do for it, and one timeline with a lane per engine."""

from __future__ import annotations

from flask import Blueprint, render_template

from app.db.session import reading
from app.engines import cases
from app.web.security import actor, signed_in

blueprint = Blueprint("cases", __name__)


@blueprint.get("/cases/<number>")
@signed_in
async def show(number: str) -> str:
    """Read from PostgreSQL alone, so it is there when an engine is not."""
    async with reading() as session:
        case = await cases.show(session, actor(), number)
    return render_template("case.html", case=case, lanes=cases.LANES, lane_of=cases.lane_of)
