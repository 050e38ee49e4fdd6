"""The waiting list: who waits for what, the offers that are open, joining and leaving, taking and declining."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.clinic import day, local_time, patients, waiting
from app.clinic.waiting import Wish
from app.core.errors import Conflict, Invalid
from app.db.session import reading, transaction
from app.engines import offers
from app.web import fields
from app.web.security import actor, allow

blueprint = Blueprint("waitlist", __name__)
DESK = ("doctor", "staff", "admin")
PAGE = 50
FOUND = 8

Answer = str | Response | tuple[str, int]


@blueprint.get("/waiting")
@allow(*DESK)
async def show() -> Answer:
    return await _page(request.args.to_dict(), {})


@blueprint.post("/waiting")
@allow("patient", *DESK)
async def join() -> Answer:
    """Put somebody on the list; a patient themselves, from their own page."""
    given = request.form.to_dict()
    try:
        wish = _wish(given)
        async with transaction() as session:
            await waiting.join(session, actor(), wish)
    except Invalid as error:
        if not actor().has(*DESK):
            flash(" ".join(error.errors.values()), "bad")
            return redirect(url_for("my.show"), 303)
        return await _page(given, {_FIELDS.get(name, name): said for name, said in error.errors.items()}), 422
    flash("On the list: the first time that suits is offered by mail and on the patient's page.", "good")
    return _back()


@blueprint.post("/waiting/<int:entry>/withdraw")
@allow("patient", *DESK)
async def withdraw(entry: int) -> Response:
    async with transaction() as session:
        await waiting.withdraw(session, actor(), entry)
    flash("Taken off the waiting list.", "good")
    return _back()


@blueprint.post("/offers/<uuid:offer>/accept")
@allow("patient", *DESK)
async def accept(offer: UUID) -> Response:
    try:
        async with transaction() as session:
            made = await offers.accept(session, actor(), offer)
    except Conflict as error:
        flash(error.detail, "bad")
        return _back()
    flash(f"Booked: {local_time.spelt(made.begins)}, ticket {made.ticketid}.", "good")
    return _back()


@blueprint.post("/offers/<uuid:offer>/decline")
@allow("patient", *DESK)
async def decline(offer: UUID) -> Response:
    try:
        async with transaction() as session:
            await waiting.decline(session, actor(), offer)
    except Conflict as error:
        flash(error.detail, "bad")
        return _back()
    flash("Declined; the place on the list stays.", "good")
    return _back()


_FIELDS = {"docid": "doctor", "patientid": "patient", "priority_level": "priority"}


def _back() -> Response:
    return redirect(url_for("waitlist.show" if actor().has(*DESK) else "my.show"), 303)


def _wish(given: Mapping[str, str]) -> Wish:
    errors: dict[str, str] = {}
    found: dict[str, int] = {}
    for name, least, most in (("patient", 1, 2**31 - 1), ("priority", 1, 5)):
        try:
            found[name] = fields.number(
                {name: given.get(name, "") or ("3" if name == "priority" else "")}, name, least, most
            )
        except Invalid as error:
            errors |= {name: "Choose a patient."} if name == "patient" else error.errors
    try:
        days = fields.day(given, "earliest"), fields.day(given, "latest")
    except Invalid as error:
        raise Invalid(errors | error.errors) from error
    if errors:
        raise Invalid(errors)
    return Wish(
        found["patient"],
        given.get("doctor") or None,
        None if given.get("doctor") else given.get("specialization") or None,
        *days,
        found["priority"],
        given.get("replaces", "").strip()[:20] or None,
    )


async def _page(given: Mapping[str, str], errors: dict[str, str]) -> str:
    skip = min(fields.optional(given, "page") or 0, 1000) * PAGE
    searched = given.get("q", "").strip()[:100]
    number = fields.optional(given, "patient")
    async with reading() as session:
        listed = await waiting.entries(session, actor(), skip=skip, limit=PAGE + 1)
        found = await patients.search(session, searched or str(number), limit=FOUND) if searched or number else []
        today = await day.today(session)
        shown = {"doctors": await day.doctors(session), "specializations": await day.specializations(session)}
    return render_template(
        "waiting.html",
        **shown,
        entries=listed[:PAGE],
        more=len(listed) > PAGE,
        page=skip // PAGE,
        found=found,
        searched=searched,
        given={"earliest": today.isoformat()} | dict(given),
        errors=errors,
    )
