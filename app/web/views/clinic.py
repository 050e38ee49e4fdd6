"""The clinic's own hours: when it is open, on which days it is closed, in which zone its clock runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.clinic import day, hours
from app.core.errors import Invalid, NotFound
from app.db.session import reading, transaction
from app.web import fields
from app.web.security import actor, allow

blueprint = Blueprint("clinic", __name__, url_prefix="/clinic")
DESK = ("doctor", "staff", "admin")

Answer = str | Response | tuple[str, int]


@blueprint.get("")
@allow(*DESK)
async def show() -> Answer:
    return await _page({}, {})


@blueprint.post("/hours")
@allow("admin")
async def open_on() -> Answer:
    given = request.form.to_dict()
    try:
        weekday = fields.number(given, "weekday", 0, 6)
        opens, closes = fields.clock(given, "opens"), fields.clock(given, "closes")
        async with transaction() as session:
            await hours.open_on(session, actor(), weekday, opens, closes)
    except Invalid as error:
        return await _page(given, error.errors), 422
    return _done("The opening hours are added.")


@blueprint.post("/hours/<int:number>/delete")
@allow("admin")
async def close_on(number: int) -> Response:
    async with transaction() as session:
        await hours.close_on(session, actor(), number)
    return _done("The opening hours are removed; appointments in them stay.")


@blueprint.post("/holidays")
@allow("admin")
async def add_holiday() -> Answer:
    given = request.form.to_dict()
    try:
        on = fields.day(given, "day")
        async with transaction() as session:
            await hours.add_holiday(session, actor(), on, given.get("name", ""))
    except Invalid as error:
        return await _page(given, error.errors), 422
    return _done("The clinic is closed on that day; appointments on it stay, and are to be moved.")


@blueprint.post("/holidays/<on>/delete")
@allow("admin")
async def remove_holiday(on: str) -> Response:
    try:
        which = date.fromisoformat(on)
    except ValueError:
        raise NotFound("There is no such holiday.") from None
    async with transaction() as session:
        await hours.remove_holiday(session, actor(), which)
    return _done("The clinic is open on that day.")


def _done(what: str) -> Response:
    flash(what, "good")
    return redirect(url_for("clinic.show"), 303)


async def _page(given: Mapping[str, str], errors: dict[str, str]) -> str:
    async with reading() as session:
        now = await day.now(session)
        shown = {"opening": await hours.opening(session), "holidays": await hours.holidays(session, now.date())}
    return render_template(
        "clinic.html",
        **shown,
        now=now,
        given=given,
        errors=errors,
        weekdays=list(enumerate(hours.WEEKDAYS)),
        may_change=actor().has("admin"),
    )
