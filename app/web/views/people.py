"""Patients and doctors: lists with search and CSV; a patient's record, whose reading is logged; a doctor's hours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.clinic import audit, books, contacts, day, hours, local_time, patients, waiting
from app.clinic.hours import Hours
from app.core.actor import Actor
from app.core.errors import Conflict, Forbidden, Invalid
from app.db.session import Session, reading, transaction
from app.web import export, fields
from app.web.security import actor, allow

blueprint = Blueprint("people", __name__)
DESK = ("doctor", "staff", "admin")
PAGE = 50
EXPORTED = 10_000
MEDICAL = ("doctor", "admin")
"""Who reads diagnoses; the desk sees visits and payments."""

Answer = str | AnyResponse | tuple[str, int]


@blueprint.get("/patients")
@allow(*DESK)
async def listing() -> str:
    wanted, after = request.args.get("q", "").strip()[:100], fields.optional(request.args, "after") or 0
    async with reading() as session:
        found = await patients.search(session, wanted, after=after, limit=PAGE + 1)
    more = url_for("people.listing", q=wanted or None, after=found[PAGE - 1].patientid) if len(found) > PAGE else None
    return render_template("patients.html", found=found[:PAGE], wanted=wanted, more=more, paged=bool(after))


@blueprint.get("/patients.csv")
@allow(*DESK)
async def listing_csv() -> Response:
    wanted = request.args.get("q", "").strip()[:100]
    async with transaction() as session:
        found = await patients.search(session, wanted, limit=EXPORTED)
        data = {"list": "patients", "rows": len(found)}
        await audit.record(session, "records.exported", actor_id=actor().id, data=data)
    columns = ("patientid", "firstname", "midname", "lastname", "birthday", "mobile", "email", "address")
    return export.as_csv("patients", columns, ([getattr(one, name) for name in columns] for one in found))


@blueprint.get("/patients/<int:number>")
@allow(*DESK)
async def patient(number: int) -> str:
    """The record; that it was read is written down, with who and when."""
    return await _patient(number, {}, {})


async def _patient(number: int, given: Mapping[str, str], errors: dict[str, str], conflict: str = "") -> str:
    person = actor()
    async with transaction() as session:
        who = await patients.find(session, number)
        await audit.record(session, "patient.read", actor_id=person.id, data={"patient": number})
        shown = {
            "coming": await day.of_patient(session, number),
            "past": await day.of_patient(session, number, past=True, limit=20),
            "diagnoses": await books.of_patient(session, books.DIAGNOSES, number) if person.has(*MEDICAL) else None,
            "payments": await books.of_patient(session, books.PAYMENTS, number),
            "waits": [one for one in await waiting.entries(session, person, limit=500) if one.patientid == number],
            "readers": await patients.readers(session, number),
        }
    form = {"given": given, "errors": errors, "conflict": conflict, "was": contacts.seen(who)}
    return render_template("patient.html", who=who, **shown, **form)


@blueprint.post("/patients/<int:number>/contact")
@allow(*DESK)
async def contact(number: int) -> Answer:
    """Change how a patient is reached; 422 and 409 keep the entries, 409 beside what stands there now."""
    given = request.form.to_dict()
    try:
        async with transaction() as session:
            await contacts.change(session, actor(), number, given, given.get("was", ""))
    except Invalid as error:
        return await _patient(number, given, error.errors), 422
    except Conflict as error:
        return await _patient(number, given, {}, error.detail), 409
    flash("The contact data are changed.", "good")
    return redirect(url_for("people.patient", number=number), 303)


@blueprint.get("/doctors")
@allow(*DESK)
async def doctors() -> str:
    wanted = request.args.get("specialization", "")
    page = min(fields.optional(request.args, "page") or 0, 1000)
    async with reading() as session:
        found = await day.doctors(session, specialization=wanted, skip=page * PAGE, limit=PAGE + 1)
        trades = await day.specializations(session)
    return render_template(
        "doctors.html", found=found[:PAGE], more=len(found) > PAGE, page=page, wanted=wanted, trades=trades
    )


@blueprint.get("/doctors/<docid>")
@allow(*DESK)
async def doctor(docid: str) -> Answer:
    return await _doctor(docid, {}, {})


@blueprint.post("/doctors/<docid>/hours")
@allow(*DESK)
async def add_hours(docid: str) -> Answer:
    given = request.form.to_dict()
    try:
        wanted = _hours(docid, given)
        async with transaction() as session:
            await _may_change(session, actor(), docid)
            await hours.add(session, actor(), wanted)
    except Invalid as error:
        return await _doctor(docid, given, error.errors), 422
    flash("The hours are added; their slots are free from now on.", "good")
    return redirect(url_for("people.doctor", docid=docid), 303)


@blueprint.post("/doctors/<docid>/hours/<int:number>/delete")
@allow(*DESK)
async def remove_hours(docid: str, number: int) -> AnyResponse:
    async with transaction() as session:
        await _may_change(session, actor(), docid)
        await hours.remove(session, actor(), docid, number)
    flash("The hours are removed; appointments in them stay.", "good")
    return redirect(url_for("people.doctor", docid=docid), 303)


async def _may_change(session: Session, person: Actor, docid: str) -> None:
    who = await day.doctor(session, docid)
    if not person.has("staff", "admin") and who.username != person.username:
        raise Forbidden("Doctors change their own hours only; the desk changes everybody's.")


def _hours(docid: str, given: Mapping[str, str]) -> Hours:
    """The stretch that the form asks for; every wrong field is named."""
    errors: dict[str, str] = {}
    numbers: dict[str, int] = {}
    days: dict[str, date | None] = {"valid_until": None}
    for name, least, most in (("weekday", 0, 6), ("slot_minutes", *hours.SLOT_MINUTES)):
        try:
            numbers[name] = fields.number(given, name, least, most)
        except Invalid as error:
            errors |= error.errors
    for name in ("valid_from", "valid_until"):
        try:
            if name == "valid_from" or given.get(name):
                days[name] = fields.day(given, name)
        except Invalid as error:
            errors |= error.errors
    try:
        times = fields.clock(given, "begins"), fields.clock(given, "ends")
    except Invalid as error:
        raise Invalid(errors | error.errors) from error
    first = days.get("valid_from")
    if errors or first is None:
        raise Invalid(errors)
    return Hours(0, docid, numbers["weekday"], *times, numbers["slot_minutes"], first, days["valid_until"])


async def _doctor(docid: str, given: Mapping[str, str], errors: dict[str, str]) -> str:
    person = actor()
    async with reading() as session:
        who = await day.doctor(session, docid)
        now = await day.now(session)
        today = now.astimezone(local_time.zone()).date()
        shown = {
            "hours": await hours.of_doctor(session, docid),
            "leave": await day.blocks(session, [docid], today, 366),
            "coming": await _coming(session, docid, today),
        }
    return render_template(
        "doctor.html",
        who=who,
        **shown,
        given={"valid_from": today.isoformat(), "slot_minutes": "30"} | dict(given),
        errors=errors,
        weekdays=list(enumerate(hours.WEEKDAYS)),
        may_change=person.has("staff", "admin") or who.username == person.username,
    )


async def _coming(session: Session, docid: str, today: date) -> dict[str, int]:
    """How many appointments this doctor has today and in the seven days from today on."""
    week = await day.visits(session, [docid], today, 7)
    first: datetime = local_time.day_bounds(today + timedelta(days=1))[0]
    return {"today": sum(one.begins < first for one in week), "week": len(week)}
