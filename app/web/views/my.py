"""A patient's own page: the next visit, moving and cancelling it, offers of earlier times, booking."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.clinic import appointments, contacts, day, local_time, patients, slots, waiting
from app.core.errors import Conflict, Invalid, NotFound
from app.db.session import reading, transaction
from app.engines import visits
from app.web import fields
from app.web.security import actor, allow

blueprint = Blueprint("my", __name__, url_prefix="/my")
OFFERED = 12

Answer = str | Response | tuple[str, int]


@blueprint.get("")
@allow("patient")
async def show() -> str:
    return await _show({}, {})


@blueprint.post("/contact")
@allow("patient")
async def contact() -> Answer:
    """How I am reached, and whether I am reminded; 422 and 409 keep the entries."""
    given = request.form.to_dict()
    try:
        async with transaction() as session:
            who = await patients.of_account(session, actor().username)
            if who is None:
                raise NotFound("Your account has no patient's profile.")
            await contacts.change(session, actor(), who.patientid, given, given.get("was", ""))
    except Invalid as error:
        return await _show(given, error.errors), 422
    except Conflict as error:
        return await _show(given, {}, error.detail), 409
    flash("Your contact data are changed.", "good")
    return redirect(url_for("my.show"), 303)


async def _show(given: Mapping[str, str], errors: dict[str, str], conflict: str = "") -> str:
    person = actor()
    async with reading() as session:
        who = await patients.of_account(session, person.username)
        coming = await day.of_patient(session, who.patientid) if who else []
        past = await day.of_patient(session, who.patientid, past=True, limit=20) if who else []
        waits = await waiting.entries(session, person)
        today = await day.today(session)
        shown = {"doctors": await day.doctors(session), "specializations": await day.specializations(session)}
    return render_template(
        "my.html",
        **shown,
        who=who,
        given=given,
        errors=errors,
        conflict=conflict,
        was=contacts.seen(who) if who else "",
        coming=coming,
        past=past,
        waits=waits,
        today=today,
        movable=appointments.MOVABLE,
        by_pages="booking.expertise" in current_app.view_functions,
    )


@blueprint.get("/visits/<path:ticket>")
@allow("patient")
async def visit(ticket: str) -> Answer:
    return await _page(ticket)


@blueprint.post("/visits/<path:ticket>/move")
@allow("patient")
async def move(ticket: str) -> Answer:
    try:
        begins = fields.slot(request.form.get("slot", ""))[1]
        async with transaction() as session:
            version = fields.optional(request.form, "version")
            made = await visits.move(session, actor(), ticket, version, begins)
    except Invalid as error:
        return await _page(ticket, " ".join(error.errors.values())), 422
    except Conflict as error:
        return await _page(ticket, error.detail), 409
    flash(f"Your visit is moved to {local_time.spelt(made.begins)}.", "good")
    return redirect(url_for("my.show"), 303)


@blueprint.post("/visits/<path:ticket>/cancel")
@allow("patient")
async def cancel(ticket: str) -> Answer:
    try:
        async with transaction() as session:
            version = fields.optional(request.form, "version")
            made = await visits.cancel(session, actor(), ticket, version, request.form.get("reason", ""))
    except Invalid as error:
        return await _page(ticket, "", error.errors), 422
    except Conflict as error:
        return await _page(ticket, error.detail), 409
    flash(f"Your visit of {local_time.spelt(made.begins)} is cancelled.", "good")
    return redirect(url_for("my.show"), 303)


async def _page(ticket: str, problem: str = "", errors: dict[str, str] | None = None) -> str:
    """One's own visit; somebody else's is not found."""
    async with reading() as session:
        await appointments.details(session, actor(), ticket)
        one = await day.visit(session, ticket)
        now = await day.now(session)
        movable = one.status in appointments.MOVABLE and one.begins > now
        first = now.astimezone(local_time.zone()).date()
        free = await slots.free(session, one.docid, first, 30, OFFERED) if movable else []
    return render_template(
        "my_visit.html",
        visit=one,
        free=free,
        movable=movable,
        problem=problem,
        errors=errors or {},
        given=request.form,
    )
