"""One page per case: where it stands, its processes, what other engines do for it, a timeline with a lane for each."""

from __future__ import annotations

from flask import Blueprint, render_template

from app.db.session import reading
from app.engines import cases, seals
from app.engines.spiff import lookup, models
from app.web.progress import Progress
from app.web.security import actor, signed_in

blueprint = Blueprint("cases", __name__)
MEND = ("ops", "admin")


@blueprint.get("/cases/<number>")
@signed_in
async def show(number: str) -> str:
    """Read from PostgreSQL alone, so it is there when an engine is not."""
    person = actor()
    async with reading() as session:
        case = await cases.show(session, person, number)
        first = next((row for row in reversed(case.instances) if row.engine == cases.OWN), case.instances[-1])
        model = await models.find(session, first.process_id, first.version)
        sealed = await seals.verify(session, number)
        ran = await lookup.happened(session, number, first.id)
    at = next((view for view in case.open if view.id == first.id), None)
    return render_template(
        "case.html",
        case=case,
        lanes=cases.LANES,
        lane_of=cases.lane_of,
        sealed=sealed,
        progress=Progress(model, ran, at),
        may_mend=person.has(*MEND),
    )
