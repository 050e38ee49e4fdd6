"""Booking an appointment: four pages over one instance of the appointment process.

The address (`?booking=`) or the browser's session names the instance and nothing else: back, reload, two windows and a
session that ended are safe, since what was entered is in the instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask import session as browser
from werkzeug.wrappers import Response

from app.clinic import confirmations, local_time, slots
from app.clinic.slots import Slot
from app.core.actor import Actor
from app.core.errors import Conflict, DamsError, Invalid, NotFound
from app.core.ids import uuid7
from app.db.session import Session, reading, transaction
from app.engines.spiff import booking_flow as booking
from app.engines.spiff.booking_flow import Booking
from app.web.security import actor, allow

blueprint = Blueprint("booking", __name__)
MAY = ("patient", "doctor", "staff", "admin")
PAGES = ("expertise", "select", "schedule", "patient")
TITLES = ("What kind of doctor?", "Which doctor?", "When?", "For whom?")
DAYS = 14
OTHER_NAMES = {"appt_date": "date_scheduled", "appt_time": "time_scheduled"}
"""The specification's names of two fields beside the model's."""


@blueprint.get("/doctor/expertise")
@allow(*MAY)
async def expertise() -> str | Response:
    return await _show(0)


@blueprint.post("/doctor/expertise")
@allow(*MAY)
async def give_expertise() -> Response | tuple[str, int]:
    return await _take(0)


@blueprint.get("/doctor/select")
@allow(*MAY)
async def select() -> str | Response:
    return await _show(1)


@blueprint.post("/doctor/select")
@allow(*MAY)
async def give_select() -> Response | tuple[str, int]:
    return await _take(1)


@blueprint.get("/doctor/schedule")
@allow(*MAY)
async def schedule() -> str | Response:
    return await _show(2)


@blueprint.post("/doctor/schedule")
@allow(*MAY)
async def give_schedule() -> Response | tuple[str, int]:
    return await _take(2)


@blueprint.get("/doctor/patient")
@allow(*MAY)
async def patient() -> str | Response:
    return await _show(3)


@blueprint.post("/doctor/patient")
@allow(*MAY)
async def give_patient() -> Response | tuple[str, int]:
    return await _take(3)


@blueprint.get("/doctor/choices/<int:step>")
@allow(*MAY)
async def find(step: int) -> Response:
    """The choices of a field of a page that hold what was typed; the page asks while somebody types."""
    field, search = request.args.get("field", ""), request.args.get("search", "")[:200]
    async with reading() as session:
        at = await _named(session)
        found = await booking.fields(session, actor(), at, min(step, 3), {field: search})
    return jsonify([option for one in found if one["id"] == field for option in one["options"]])


@blueprint.get("/doctor/booked/<uuid:instance_id>")
@allow(*MAY)
async def booked(instance_id: UUID) -> str:
    """What was booked, with its documents."""
    async with reading() as session:
        found = await booking.find(session, actor(), instance_id)
        made = await confirmations.booked(session, instance_id)
        papers = await confirmations.of_instance(session, instance_id)
    return render_template("booked.html", view=found.view, made=made, papers=papers)


async def _named(session: Session) -> Booking | None:
    """The booking that the address names, else the one of this browser; None for none of this person's."""
    given = request.values.get("booking", "") or browser.get("booking", "")
    try:
        return await booking.find(session, actor(), UUID(str(given)))
    except (ValueError, NotFound):
        return None


async def _show(step: int) -> str | Response:
    async with reading() as session:
        at = await _named(session)
        if at is not None and at.step is None:
            at = None  # it is over: a new one begins
        if at is None and step:
            flash("Begin here: this page belongs to a booking.", "")
            return redirect(url_for("booking.expertise"))
        if at is not None and at.step is not None and step > at.step:
            return redirect(_address(at, at.step))
        return await _page(session, step, at, {})


async def _take(step: int) -> Response | tuple[str, int]:
    """303 to the next page; 422 and 409 show this one with what was entered."""
    person, entered = actor(), _entries()
    if request.form.get("look"):
        return await _look(step, entered)
    try:
        async with transaction() as session:
            at = await _named(session)
            if at is not None and at.step is None:
                known = await booking.came_before(session, at, request.form.get("key", ""))
                at = at if known else None
            ahead = at is not None and at.step is not None and step > at.step and not at.returned
            if step and (at is None or ahead):
                return redirect(url_for("booking.expertise") if at is None else _address(at, at.step or 0), 303)
            entered = await _own(session, person, step, entered)
            at = await booking.enter(session, person, at, step, entered, request.form.get("key") or None)
    except Invalid as error:
        return await _again(step, entered, errors=error.errors), 422
    except Conflict as error:
        return await _again(step, entered, lost=error), 409
    browser["booking"] = str(at.view.id)
    return redirect(_next(at), 303)


async def _look(step: int, entered: dict[str, Any]) -> Response | tuple[str, int]:
    """The page again with the choices that fit what was typed; nothing is written."""
    async with reading() as session:
        at = await _named(session)
        if step and (at is None or at.step is None or step > at.step):
            return redirect(url_for("booking.expertise"), 303)
        return await _page(session, step, at, entered), 200


def _next(at: Booking) -> str:
    if at.step is not None:
        if at.returned and at.step == 0:
            flash("This time was taken in the meantime. What you entered is kept; choose another time.", "bad")
        return _address(at, at.step)
    if at.view.variables.get("finalize_sched") is True:
        return url_for("booking.booked", instance_id=at.view.id)
    flash(f"Nothing was booked in case {at.view.case}.", "bad")
    return url_for("booking.expertise")


def _address(at: Booking, step: int) -> str:
    return url_for(f"booking.{PAGES[step]}", booking=at.view.id)


def _entries() -> dict[str, Any]:
    given = {OTHER_NAMES.get(name, name): value for name, value in request.form.items()}
    return {
        name: value for name, value in given.items() if name not in ("csrf_token", "booking", "key", "slot", "look")
    }


async def _own(session: Session, person: Actor, step: int, entered: dict[str, Any]) -> dict[str, Any]:
    """A slot is chosen by one button for its day and time; a patient books for themselves."""
    if step == 2 and (chosen := request.form.get("slot", "")):
        entered |= dict(zip(("date_scheduled", "time_scheduled"), chosen.split("T", 1), strict=False))
    if step == 3:
        number = await booking.patient_of(session, person)
        entered |= {"patientid": str(number)} if number is not None else {}
        entered.setdefault("ticketid", booking.new_ticket())
    return entered


async def _again(step: int, entered: dict[str, Any], **told: Any) -> str:
    async with reading() as session:
        return await _page(session, step, await _named(session), entered, **told)


async def _page(
    session: Session,
    step: int,
    at: Booking | None,
    entered: Mapping[str, Any],
    *,
    errors: dict[str, str] | None = None,
    lost: DamsError | None = None,
) -> str:
    person = actor()
    fields = await booking.fields(session, person, at, step, entered)
    values = {**(at.view.variables if at else {}), **entered}
    shown: dict[str, Any] = {"fields": fields, "values": values, "at": at, "step": step, "errors": errors or {}}
    if step == 2:
        shown |= await _slots(session, values, at)
    if lost is not None or "time_scheduled" in shown["errors"] or (step == 0 and at is not None and at.returned):
        shown["nearest"] = await booking.nearest(session, values)
    if step == 3:
        shown["self_only"] = await booking.patient_of(session, person) is not None
        values.setdefault("ticketid", booking.new_ticket())
        values.setdefault("priority_level", 3)
        shown["doctor"] = await booking.doctor(session, str(values.get("docid", "")))
        shown["when"] = booking.moment(values)
    unfinished = await booking.unfinished(session, person) if step == 0 else []
    others = [one for one in unfinished if at is None or one.view.id != at.view.id]
    return render_template(
        "booking.html", **shown, lost=lost, unfinished=others, titles=TITLES, pages=PAGES, key=str(uuid7())
    )


async def _slots(session: Session, values: Mapping[str, Any], at: Booking | None) -> dict[str, Any]:
    """The free times of two weeks by day."""
    today = await slots.today(session)
    first = max(_day(request.args.get("from", "")) or today, today)
    docid = str(values.get("docid", ""))
    days: dict[date, list[Slot]] = {}
    for slot in await slots.free(session, docid, first, DAYS, mine=at.view.id if at else None):
        days.setdefault(slot.begins.astimezone(local_time.zone()).date(), []).append(slot)
    return {
        "days": days,
        "later": first + timedelta(days=DAYS),
        "earlier": max(first - timedelta(days=DAYS), today) if first > today else None,
        "doctor": await booking.doctor(session, docid),
    }


def _day(given: str) -> date | None:
    try:
        return min(date.fromisoformat(given), date(2100, 1, 1))
    except ValueError:
        return None
