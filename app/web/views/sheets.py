"""The day on paper and elsewhere: the day sheet, its CSV, and calendar feeds behind a secret that can be revoked."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.clinic import audit, day, feeds, local_time, patients
from app.clinic.day import Doctor, Visit
from app.clinic.feeds import Feed
from app.core.actor import Actor
from app.core.errors import Forbidden, Invalid, NotFound
from app.db.session import Session, reading, transaction
from app.web import export, fields
from app.web.presentation import STATES
from app.web.security import actor, allow, public

blueprint = Blueprint("sheets", __name__)
DESK = ("doctor", "staff", "admin")
DOCTORS = 20
"""How many doctors stand on one page of the day sheet."""
COLUMNS = ("doctor", "begins", "ends", "patient", "number", "ticket", "state", "priority", "remark")


@blueprint.get("/schedule/sheet")
@allow(*DESK)
async def sheet() -> str:
    """One table for each doctor who has a visit that day, to be printed; a large clinic's day in several parts."""
    page = min(fields.optional(request.args, "page") or 0, 1000)
    async with reading() as session:
        on, doctors = await _day(session)
        shown = doctors[page * DOCTORS : (page + 1) * DOCTORS]
        found = await day.visits(session, [one.docid for one in shown], on)
        now = await day.now(session)
    by = {one.docid: [visit for visit in found if visit.docid == one.docid] for one in shown}
    pages = -(-len(doctors) // DOCTORS)
    return render_template("sheet.html", on=on, now=now, doctors=shown, by=by, page=page, pages=pages)


@blueprint.get("/schedule.csv")
@allow(*DESK)
async def as_csv() -> Response:
    async with transaction() as session:
        on, doctors = await _day(session)
        found = await day.visits(session, [one.docid for one in doctors], on)
        data = {"list": "schedule", "day": on.isoformat(), "rows": len(found)}
        await audit.record(session, "records.exported", actor_id=actor().id, data=data)
    return export.as_csv(f"schedule-{on}", COLUMNS, (_row(one) for one in found))


@blueprint.get("/ical/<secret>.ics")
@public
async def ical(secret: str) -> Response:
    """Whoever has the address has the calendar; it names no patient, and a revoked one shows nothing."""
    async with reading() as session:
        content = await feeds.calendar(session, await feeds.of_secret(session, secret))
    return Response(content, content_type="text/calendar; charset=utf-8")


@blueprint.post("/calendar")
@allow("patient", *DESK)
async def make() -> str:
    """A new address, shown this once; the old one ends."""
    async with transaction() as session:
        feed = await _own(session, actor())
        value = await feeds.make(session, actor(), feed)
    address = url_for("sheets.ical", secret=value, _external=True)
    return render_template("feed.html", address=address, back=_back(feed))


@blueprint.post("/calendar/revoke")
@allow("patient", *DESK)
async def revoke() -> AnyResponse:
    async with transaction() as session:
        feed = await _own(session, actor())
        await feeds.revoke(session, actor(), feed)
    flash("The address of the calendar shows nothing any more.", "good")
    return redirect(_back(feed), 303)


async def _own(session: Session, person: Actor) -> Feed:
    """The feed that this person may open and close: a doctor's (`doctor`, for themselves or by the desk), or one's
    own as a patient."""
    if docid := request.form.get("doctor"):
        who = await day.doctor(session, docid)
        if not person.has("staff", "admin") and who.username != person.username:
            raise Forbidden("A doctor opens their own calendar only.")
        return Feed(who.docid, None)
    own = await patients.of_account(session, person.username)
    if own is None:
        raise NotFound("Your account has no patient's profile.")
    return Feed(None, own.patientid)


def _back(feed: Feed) -> str:
    return url_for("people.doctor", docid=feed.docid) if feed.docid else url_for("my.show")


async def _day(session: Session) -> tuple[date, list[Doctor]]:
    """The day that is asked for, and who has a visit then; or the one doctor who is asked for."""
    today = await day.today(session)
    try:
        on = fields.day({"day": request.args.get("day") or today.isoformat()}, "day")
    except Invalid:
        on = today
    wanted = request.args.get("doctor", "")
    busy = set[str]() if wanted else await day.busy(session, on)
    return on, [one for one in await day.doctors(session) if one.docid == wanted or one.docid in busy]


def _row(one: Visit) -> tuple[object, ...]:
    begins, ends = (moment.astimezone(local_time.zone()) for moment in (one.begins, one.ends))
    state = STATES.get(one.status, one.status)
    times = f"{begins:%Y-%m-%d %H:%M}", f"{ends:%Y-%m-%d %H:%M}"
    return (one.doctor, *times, one.patient, one.patientid, one.ticketid, state, one.priority_level, one.remarks)
