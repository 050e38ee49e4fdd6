"""Calendar feeds: a secret address that shows a doctor's or a patient's appointments until it is revoked.

Calendars are often kept by others, so an event names no patient: it has the ticket, and the doctor for a patient.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from icalendar import Calendar, Event
from sqlalchemy import text

from app.clinic import accounts, audit, day
from app.clinic.day import Visit
from app.core.actor import Actor
from app.core.errors import NotFound
from app.core.settings import settings
from app.db.session import Session

BACK, AHEAD = timedelta(days=31), timedelta(days=366)
CANCELLED = ("cancelled", "noshow", "entered-in-error")


@dataclass(frozen=True, slots=True)
class Feed:
    """Whose appointments a feed shows: a doctor's or a patient's."""

    docid: str | None
    patientid: int | None


async def make(session: Session, actor: Actor, feed: Feed) -> str:
    """A new secret for this feed; the former one is worth nothing from now on. It is shown once and never stored."""
    await _revoke(session, feed)
    value = secrets.token_urlsafe(32)
    await session.execute(
        text("insert into calendar_feed (token_hash, docid, patientid) values (:hash, :docid, :patientid)"),
        {"hash": accounts.digest(value), "docid": feed.docid, "patientid": feed.patientid},
    )
    await audit.record(session, "schedule.feed-made", actor_id=actor.id, data=_who(feed))
    return value


async def revoke(session: Session, actor: Actor, feed: Feed) -> None:
    """Let every address of this feed show nothing any more."""
    await _revoke(session, feed)
    await audit.record(session, "schedule.feed-revoked", actor_id=actor.id, data=_who(feed))


async def exists(session: Session, feed: Feed) -> bool:
    sql = text("""select exists(select from calendar_feed where revoked_at is null
                  and (docid = :docid or patientid = :patientid))""")
    return bool(await session.scalar(sql, {"docid": feed.docid, "patientid": feed.patientid}))


async def of_secret(session: Session, value: str) -> Feed:
    """What a secret opens. Raises :class:`NotFound` for one that is unknown or revoked."""
    row = (
        await session.execute(
            text("select docid, patientid from calendar_feed where token_hash = :hash and revoked_at is null"),
            {"hash": accounts.digest(value)},
        )
    ).first()
    if row is None:
        raise NotFound("There is no such calendar.")
    return Feed(row.docid, row.patientid)


async def calendar(session: Session, feed: Feed) -> bytes:
    """The appointments of the last month and the coming year as an iCalendar file (RFC 5545)."""
    first = await day.today(session) - BACK
    days = (BACK + AHEAD).days
    if feed.docid is not None:
        found = await day.visits(session, [feed.docid], first, days)
    else:
        found = await day.of_patient_between(session, feed.patientid or 0, first, days)
    made = Calendar()
    made.add("prodid", "-//DAMS//Appointments//EN")
    made.add("version", "2.0")
    made.add("x-wr-calname", settings().clinic.name)
    made.add("refresh-interval;value=duration", "PT1H")
    for visit in found:
        made.add_component(_event(visit, feed))
    return made.to_ical()


def _event(visit: Visit, feed: Feed) -> Event:
    event = Event()
    event.add("uid", f"{visit.ticketid}@dams")
    event.add("sequence", visit.version)
    event.add("dtstamp", visit.begins)
    event.add("dtstart", visit.begins)
    event.add("dtend", visit.ends)
    event.add("summary", f"Visit {visit.ticketid}" if feed.docid else f"Visit, {visit.doctor}")
    event.add("status", "CANCELLED" if visit.status in CANCELLED else "CONFIRMED")
    event.add("location", settings().clinic.name)
    return event


async def _revoke(session: Session, feed: Feed) -> None:
    await session.execute(
        text("""update calendar_feed set revoked_at = now() where revoked_at is null
                and (docid = :docid or patientid = :patientid)"""),
        {"docid": feed.docid, "patientid": feed.patientid},
    )


def _who(feed: Feed) -> dict[str, object]:
    return {"doctor": feed.docid} if feed.docid else {"patient": feed.patientid}
