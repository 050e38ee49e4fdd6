"""One appointment: what is known, what can be done next, what happened to it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.clinic import appointments, day, local_time, slots
from app.clinic.appointments import Appointment
from app.core.errors import Conflict, Invalid
from app.db.session import reading, transaction
from app.engines import visits
from app.engines.spiff import timeline
from app.web import fields
from app.web.presentation import STATES
from app.web.security import actor, allow

blueprint = Blueprint("visits", __name__, url_prefix="/schedule/visits")
DESK = ("doctor", "staff", "admin")
OFFERED = 12

Answer = str | Response | tuple[str, int]


@blueprint.get("/<path:ticket>")
@allow(*DESK)
async def show(ticket: str) -> Answer:
    return await _page(ticket)


@blueprint.post("/<path:ticket>/mark")
@allow(*DESK)
async def mark(ticket: str) -> Answer:
    """Say how far the visit is: `status`, as the page with `version` showed it."""
    status, version = request.form.get("status", ""), fields.optional(request.form, "version")
    if not version:  # a button of the schedule carries both in one value
        status, _, number = status.partition(" ")
        version = fields.optional({"version": number}, "version")
    try:
        async with transaction() as session:
            made = await visits.mark(session, actor(), ticket, version, status)
    except Conflict as error:
        return await _page(ticket, conflict=error.detail), 409
    flash(f"Ticket {ticket}: {STATES.get(made.status, made.status)}.", "good")
    return _back(ticket)


@blueprint.post("/<path:ticket>/move")
@allow(*DESK)
async def move(ticket: str) -> Answer:
    """To `slot`, the button of a free time of any doctor, or to `day` and `time` as they were typed."""
    given = request.args.to_dict() | request.form.to_dict()
    try:
        docid, begins = fields.slot(given["slot"]) if given.get("slot") else (None, fields.moment(given, "day", "time"))
        async with transaction() as session:
            made = await visits.move(session, actor(), ticket, fields.optional(given, "version"), begins, docid)
    except Invalid as error:
        named = {"date_scheduled": "day", "time_scheduled": "time"}
        return await _page(ticket, {named.get(name, name): said for name, said in error.errors.items()}), 422
    except Conflict as error:
        return await _page(ticket, conflict=error.detail), 409
    flash(f"Moved to {local_time.spelt(made.begins)}. Patient and doctor are told.", "good")
    return _to_day(made)


@blueprint.post("/<path:ticket>/cancel")
@allow(*DESK)
async def cancel(ticket: str) -> Answer:
    try:
        async with transaction() as session:
            version = fields.optional(request.form, "version")
            made = await visits.cancel(session, actor(), ticket, version, request.form.get("reason", ""))
    except Invalid as error:
        return await _page(ticket, error.errors), 422
    except Conflict as error:
        return await _page(ticket, conflict=error.detail), 409
    flash(f"Cancelled: {local_time.spelt(made.begins)}. Patient and doctor are told.", "good")
    return _to_day(made)


def _to_day(made: Appointment) -> Response:
    on = made.begins.astimezone(local_time.zone()).date().isoformat()
    return redirect(url_for("schedule.show", day=on, doctor=made.docid), 303)


def _back(ticket: str) -> Response:
    """To the schedule of that day if the button was pressed there, else to the visit."""
    if on := request.form.get("day"):
        kept: dict[str, Any] = {
            name: value for name in ("doctor", "specialization", "view") if (value := request.form.get(name))
        }
        return redirect(url_for("schedule.show", day=on, **kept), 303)
    return redirect(url_for("visits.show", ticket=ticket), 303)


async def _page(ticket: str, errors: dict[str, str] | None = None, conflict: str = "") -> str:
    async with reading() as session:
        visit = await day.visit(session, ticket)
        now = await day.now(session)
        movable = visit.status in appointments.MOVABLE
        first = max(visit.begins, now).astimezone(local_time.zone()).date()
        free = await slots.free(session, visit.docid, first, 14, OFFERED) if movable else []
        trade = next((one.specialization for one in await day.doctors(session) if one.docid == visit.docid), "")
        events = await timeline.of_ticket(session, ticket)
    return render_template(
        "visit.html",
        visit=visit,
        free=free,
        trade=trade,
        events=events,
        errors=errors or {},
        conflict=conflict,
        movable=movable,
        given=request.form,
        begun=visit.begins <= now,
    )
