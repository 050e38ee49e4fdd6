"""The schedule: day and week by doctor and time; a free slot is held and booked, time blocked, walk-ins taken."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.clinic import appointments, day, desk, local_time, patients, slots, waiting
from app.clinic.appointments import Wanted
from app.clinic.day import Doctor
from app.core.errors import Conflict, Invalid, NotFound
from app.db.session import Session, reading, transaction
from app.engines import visits
from app.web import agenda, fields
from app.web.security import actor, allow

blueprint = Blueprint("schedule", __name__, url_prefix="/schedule")
DESK = ("doctor", "staff", "admin")
DOCTORS = 6
"""How many doctors stand side by side; the others are a click away."""
FOUND = 8

Answer = str | Response | tuple[str, int]


@blueprint.get("")
@allow(*DESK)
async def show() -> Answer:
    return await _page({})


@blueprint.post("/hold")
@allow(*DESK)
async def hold() -> Answer:
    """Hold a slot and go to its form, or, with `move`, move that appointment there."""
    docid, begins = fields.slot(request.form.get("slot", ""))
    try:
        async with transaction() as session:
            held = await desk.hold(session, actor(), docid, begins)
    except Conflict as error:
        return await _taken(error, docid), 409
    local = begins.astimezone(local_time.zone())
    chosen: dict[str, Any] = {
        "doctor": docid,
        "day": local.date().isoformat(),
        "time": f"{local:%H:%M}",
        "hold": held.id,
    }
    if len(local_time.instants(local.date(), local.time())) == 2:
        chosen["fold"] = local.fold
    if patient := request.form.get("patient"):
        chosen["patient"] = patient
    return redirect(url_for("schedule.form", **chosen), 303)


@blueprint.post("/release")
@allow(*DESK)
async def release() -> Response:
    async with transaction() as session:
        await desk.release(session, actor())
    return redirect(url_for("schedule.show", day=request.form.get("day") or None), 303)


@blueprint.get("/book")
@allow(*DESK)
async def form() -> Answer:
    return await _form(request.args.to_dict(), {})


@blueprint.post("/book")
@allow(*DESK)
async def book() -> Answer:
    """Book for the chosen patient; 422 keeps the entries, 409 shows the nearest free times."""
    given = request.form.to_dict()
    try:
        wanted = _wanted(given)
        async with transaction() as session:
            made = await visits.book(session, actor(), wanted)
    except Invalid as error:
        return await _form(given, error.errors), 422
    except Conflict as error:
        return await (_form(given, {}, error) if "doctor" in given else _taken(error, "")), 409
    flash(f"Booked: {local_time.spelt(made.begins)}, ticket {made.ticketid}. Patient and doctor are told.", "good")
    return redirect(url_for("schedule.show", day=_local_day(made.begins), doctor=made.docid), 303)


@blueprint.get("/walk-in")
@allow(*DESK)
async def walk_in_form() -> Answer:
    return await _walk_in(request.args.to_dict(), {})


@blueprint.post("/walk-in")
@allow(*DESK)
async def walk_in() -> Answer:
    given = request.form.to_dict()
    try:
        patientid = fields.number(given, "patient", 1)
        async with transaction() as session:
            made = await visits.walk_in(session, actor(), patientid, given.get("doctor", ""), _reason(given))
    except Invalid as error:
        return await _walk_in(given, {_FIELDS.get(name, name): said for name, said in error.errors.items()}), 422
    except Conflict as error:
        return await _walk_in(given, {"doctor": error.detail}), 409
    flash(f"Taken: ticket {made.ticketid}, {local_time.spelt(made.begins)}; the doctor is told.", "good")
    return redirect(url_for("schedule.show", day=_local_day(made.begins), doctor=made.docid), 303)


@blueprint.get("/block")
@allow(*DESK)
async def block_form() -> Answer:
    return await _block(request.args.to_dict(), {})


@blueprint.post("/block")
@allow(*DESK)
async def block() -> Answer:
    given = request.form.to_dict()
    try:
        begins = fields.moment(given, "from_day", "from_time", "from_fold")
        ends = fields.moment(given, "until_day", "until_time", "until_fold")
        async with transaction() as session:
            await desk.block(
                session, actor(), given.get("doctor", ""), begins, ends, given.get("kind", ""), given.get("reason", "")
            )
            docid = given["doctor"]
            left = await day.visits(session, [docid], _day(begins), max(1, min((ends - begins).days + 1, 62)))
    except Invalid as error:
        return await _block(given, error.errors), 422
    except NotFound:
        return await _block(given, {"doctor": "There is no doctor of this number who sees patients."}), 422
    stay = [one for one in left if one.begins < ends and begins < one.ends and one.status in appointments.MOVABLE]
    flash("The time is blocked." + (f" {len(stay)} appointments in it are to be moved." if stay else ""), "good")
    return redirect(url_for("schedule.show", day=_local_day(begins), doctor=docid), 303)


@blueprint.post("/blocks/<int:number>/delete")
@allow(*DESK)
async def unblock(number: int) -> Response:
    async with transaction() as session:
        docid = await desk.unblock(session, actor(), number)
    flash("The time is free again.", "good")
    return redirect(url_for("schedule.show", day=request.form.get("day") or None, doctor=docid), 303)


_FIELDS = {"docid": "doctor", "patientid": "patient", "date_scheduled": "day", "time_scheduled": "time"}
"""The fields of an appointment as the desk's forms call them."""


async def _page(errors: dict[str, str]) -> str:
    person, given = actor(), request.args
    async with reading() as session:
        now = await day.now(session)
        on = _wished(given.get("day"), now.astimezone(local_time.zone()).date())
        moving = await day.visit(session, given["move"]) if given.get("move") else None
        docid = given.get("doctor", moving.docid if moving else "")
        if not docid and "doctor" not in given and person.has("doctor"):
            docid = await day.doctor_of(session, person.username) or ""
        week = given.get("view") == "week"
        known = await day.doctors(session)
        chosen, more = await _chosen(session, docid, given.get("specialization", ""), week, known)
        first = on - timedelta(days=on.weekday()) if week else on
        days = [first + timedelta(days=n) for n in range(7 if week else 1)]
        docids = [one.docid for one in chosen]
        times = await slots.of_days(session, docids, first, len(days))
        found = agenda.columns(
            chosen,
            days,
            times,
            await day.visits(session, docids, first, len(days)),
            await day.blocks(session, docids, first, len(days)),
        )
        closed = "" if week else await day.why_closed(session, on)
        shown = {
            "specializations": await day.specializations(session),
            "opening": await day.opening(session, on),
            "waiting": await waiting.count(session),
        }
    return render_template(
        "schedule.html",
        **shown,
        on=on,
        now=now,
        week=week,
        days=days,
        columns=found,
        hours=agenda.hours(found),
        closed=closed,
        over=bool(times) and not week and times[-1].begins <= now,
        moving=moving,
        known=known,
        more=more,
        errors=errors,
        chosen={"doctor": docid, "specialization": given.get("specialization", ""), "page": _number(given, "page")}
        | {"patient": fields.optional(given, "patient")},
        steps=_steps(on, week),
    )


async def _chosen(
    session: Session, docid: str, specialization: str, week: bool, known: list[Doctor]
) -> tuple[list[Doctor], bool]:
    """The doctors whose columns are shown, and whether there are more."""
    if docid:
        return [one for one in known if one.docid == docid] or [await day.doctor(session, docid)], False
    count = 1 if week else DOCTORS
    skip = _number(request.args, "page") * count
    found = await day.doctors(session, specialization=specialization, skip=skip, limit=count + 1)
    return found[:count], len(found) > count


async def _form(given: Mapping[str, str], errors: dict[str, str], lost: Conflict | None = None) -> str:
    person = actor()
    async with reading() as session:
        who = await day.doctor(session, given.get("doctor", ""))
        until = await desk.held_until(session, person, hold_id) if (hold_id := _uuid(given.get("hold"))) else None
        searched = given.get("q", "").strip()[:100]
        number = fields.optional(given, "patient")
        known = await patients.search(session, searched, limit=FOUND) if searched else []
        if number and all(one.patientid != number for one in known):
            known = [*(await patients.search(session, str(number), limit=1)), *known]
    return render_template(
        "book.html",
        doctor=who,
        given=given,
        until=until,
        searched=searched,
        found=known,
        errors={_FIELDS.get(name, name): said for name, said in errors.items()},
        lost=lost,
        near=_near(lost),
        twice=_twice(given),
        may_overbook=appointments.may_overbook(person, who.username),
    )


async def _walk_in(given: Mapping[str, str], errors: dict[str, str]) -> str:
    async with reading() as session:
        searched = given.get("q", "").strip()[:100]
        number = fields.optional(given, "patient")
        known = await patients.search(session, searched or str(number or ""), limit=FOUND) if searched or number else []
        doctors = await day.doctors(session)
    overbook = any(appointments.may_overbook(actor(), one.username) for one in doctors)
    return render_template(
        "walk_in.html",
        given=given,
        errors=errors,
        found=known,
        searched=searched,
        doctors=doctors,
        may_overbook=overbook,
    )


async def _block(given: Mapping[str, str], errors: dict[str, str]) -> str:
    async with reading() as session:
        doctors = await day.doctors(session)
        today = await day.today(session)
    defaults = {"from_day": today.isoformat(), "until_day": given.get("from_day") or today.isoformat()}
    return render_template("block.html", given=defaults | dict(given), errors=errors, doctors=doctors)


async def _taken(error: Conflict, docid: str) -> str:
    """The page of a lost slot: what happened, and the nearest free ones as buttons."""
    async with reading() as session:
        known = {one.docid: one for one in await day.doctors(session)}
    return render_template("slot_taken.html", error=error, near=_near(error), doctor=known.get(docid), docid=docid)


def _wanted(given: Mapping[str, str]) -> Wanted:
    """The appointment that the form asks for; every wrong field is named."""
    errors: dict[str, str] = {}
    found: dict[str, Any] = {}
    for name, read in (
        ("patient", lambda: fields.number(given, "patient", 1)),
        ("priority", lambda: fields.number({"priority": given.get("priority", "") or "3"}, "priority", 1, 5)),
        ("day", lambda: fields.day(given, "day")),
        ("time", lambda: fields.clock(given, "time")),
    ):
        try:
            found[name] = read()
        except Invalid as error:
            errors |= error.errors
    if errors:
        raise Invalid({**errors, **({"patient": "Choose a patient."} if "patient" in errors else {})})
    return Wanted(
        waiting.ticket(),
        found["patient"],
        given.get("doctor", ""),
        found["priority"],
        found["day"],
        found["time"],
        Decimal("0.50"),
        fields.optional(given, "fold"),
        None,
        _reason(given),
    )


def _reason(given: Mapping[str, str]) -> str | None:
    return given.get("overbooked", "") if given.get("overbook") == "yes" else None


def _near(error: Conflict | None) -> list[str]:
    return list(error.context.get("nearest", [])) if error is not None else []


def _twice(given: Mapping[str, str]) -> bool:
    """Whether the chosen time comes twice that day, so that the form must ask which one."""
    try:
        return len(local_time.instants(fields.day(given, "day"), fields.clock(given, "time"))) == 2
    except Invalid:
        return False


def _steps(on: date, week: bool) -> dict[str, date]:
    step = timedelta(days=7 if week else 1)
    return {"before": on - step, "after": on + step}


def _wished(text: str | None, today: date) -> date:
    try:
        return fields.day({"day": text or today.isoformat()}, "day")
    except Invalid:
        return today


def _day(moment: Any) -> date:
    return moment.astimezone(local_time.zone()).date()


def _local_day(moment: Any) -> str:
    return _day(moment).isoformat()


def _number(given: Mapping[str, str], name: str) -> int:
    return min(fields.optional(given, name) or 0, 10_000)


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
