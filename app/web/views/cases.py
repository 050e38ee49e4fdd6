"""One page per case: where it stands, its processes, what other engines do for it, a timeline with a lane for each."""

from __future__ import annotations

import time
from collections.abc import Iterator

from flask import Blueprint, Response, render_template, request
from sqlalchemy.exc import SQLAlchemyError

from app.core.errors import Unavailable
from app.core.log import log
from app.db.session import reading
from app.engines import cases, seals
from app.engines.spiff import lookup, models
from app.web import changes
from app.web.flask_loop import wait
from app.web.progress import Progress
from app.web.security import actor, signed_in, unattended

blueprint = Blueprint("cases", __name__)
MEND = ("ops", "admin")
STREAM_SECONDS, BEAT_SECONDS = 60.0, 10.0
"""A browser asks for the next stream by itself, and is asked again who it is: a reader who signed out gets no more."""
STREAMS = 100
_open = set[object]()


@blueprint.get("/cases/<number>")
@signed_in
async def show(number: str) -> str:
    """Read from PostgreSQL alone, so it is there when an engine is not."""
    person = actor()
    async with reading() as session:
        case = await cases.show(session, person, number)
        first = next((row for row in reversed(case.instances) if row.engine == cases.OWN), case.instances[-1])
        model = await models.find(session, first.process_id, first.version)
        state = (await changes.states([number])).get(number, "")  # before the rest: what comes meanwhile is told again
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
        state=state,
    )


@blueprint.get("/cases/<number>/changes")
@signed_in
@unattended
async def follow(number: str) -> Response:
    """Server-sent events (HTML, 9.2): `change` whenever the case has something new. `known` is what a page shows.

    Raises :class:`Unavailable` where too many are followed already; the page then asks from time to time.
    """
    async with reading() as session:
        await cases.seen(session, actor(), number)
    if len(_open) >= STREAMS:
        raise Unavailable("Too many pages are live at the moment.", retry_after=int(STREAM_SECONDS))
    known = request.headers.get("Last-Event-ID") or request.args.get("known", "")
    answer = Response(_events(number, known), mimetype="text/event-stream")
    answer.headers["X-Accel-Buffering"] = "no"  # a proxy would keep it until it is long enough
    return answer


def _events(number: str, known: str) -> Iterator[str]:
    me, end = object(), time.monotonic() + STREAM_SECONDS
    _open.add(me)
    try:
        yield "retry: 2000\n\n"
        while time.monotonic() < end:
            state = wait(changes.watch().changed(number, known, BEAT_SECONDS))
            if state is None:
                yield ":\n\n"  # who has gone is noticed by writing to them
            else:
                known = state
                yield f"id: {state}\nevent: change\ndata: {state}\n\n"
    except changes.Stopping:
        return
    except (SQLAlchemyError, OSError) as error:
        log.warning("a live page lost the database", error=type(error).__name__)
    finally:
        _open.discard(me)
