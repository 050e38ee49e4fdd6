"""The inbox: my tasks and my groups', soonest due first; and what can be started."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.clinic import confirmations
from app.db.session import reading
from app.engines.spiff import enrolment, models, worklist
from app.web.security import actor, signed_in

blueprint = Blueprint("home", __name__)
PAGE = 25
STATES = ("ready", "claimed", "completed", "cancelled")
PAGED = (enrolment.LOGIN, enrolment.SIGNUP)
"""Processes that begin on pages of their own."""


@blueprint.get("/")
@signed_in
def root() -> Response:
    return redirect(url_for("home.show"))


@blueprint.get("/home")
@signed_in
async def show() -> str:
    person = actor()
    chosen = {
        name: request.args.get(name, "").strip() for name in ("show", "search", "process", "state", "name", "cursor")
    }
    state = chosen["state"] if chosen["state"] in STATES else ""
    async with reading() as session:
        page = await worklist.tasks(
            session,
            person,
            mine=chosen["show"] == "mine",
            unclaimed=chosen["show"] == "groups",
            late=chosen["show"] == "late",
            priority_from=worklist.URGENT if chosen["show"] == "urgent" else None,
            state=state or None,
            name=chosen["name"][:200] or None,
            process_id=chosen["process"] or None,
            search=chosen["search"][:200] or None,
            cursor=chosen["cursor"] or None,
            limit=PAGE,
        )
        counts = await worklist.counts(session, person)
        deployed = await models.listing(session)
        upcoming = await confirmations.coming(session, person.username) if person.has("doctor", "patient") else []
    startable = [row for row in deployed if row.active and row.engine == "spiff" and row.process_id not in PAGED]
    return render_template(
        "home.html",
        page=page,
        counts=counts,
        chosen=chosen,
        startable=startable,
        shared={name for name, number in Counter(row.name for row in startable).items() if number > 1},
        upcoming=upcoming,
        more=_more(chosen, page.next),
    )


def _more(chosen: dict[str, str], cursor: str | None) -> str | None:
    if cursor is None:
        return None
    kept: dict[str, Any] = {name: value for name, value in chosen.items() if value} | {"cursor": cursor}
    return f"{url_for('home.show')}?{urlencode(kept)}"
