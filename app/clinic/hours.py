"""Hours: when the clinic is open, on which days it is closed, when a doctor sees patients. Every change is audited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.clinic import audit
from app.core.actor import Actor
from app.core.errors import Invalid, NotFound
from app.db.session import Session

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SLOT_MINUTES = (5, 480)


@dataclass(frozen=True, slots=True)
class Opening:
    """One stretch in which the clinic is open, on each of these weekdays (0 Monday)."""

    id: int
    weekday: int
    opens: time
    closes: time


@dataclass(frozen=True, slots=True)
class Hours:
    """One stretch of a doctor's week, cut into slots of `slot_minutes`, from a day on, until a day or for good."""

    id: int
    docid: str
    weekday: int
    begins: time
    ends: time
    slot_minutes: int
    valid_from: date
    valid_until: date | None


async def opening(session: Session) -> list[Opening]:
    rows = await session.execute(text("select id, weekday, opens, closes from opening_hours order by weekday, opens"))
    return [Opening(**row) for row in rows.mappings()]


async def open_on(session: Session, actor: Actor, weekday: int, opens: time, closes: time) -> None:
    """Open the clinic for one more stretch of a weekday. Raises :class:`Invalid` where it is open already."""
    if closes <= opens:
        raise Invalid({"closes": "The end comes before the beginning."})
    known = await session.scalar(
        text("""select exists(select from opening_hours
                where weekday = :weekday and opens < :closes and :opens < closes)"""),
        {"weekday": weekday, "opens": opens, "closes": closes},
    )
    if known:
        raise Invalid({"opens": "The clinic is open then already."})
    await session.execute(
        text("insert into opening_hours (weekday, opens, closes) values (:weekday, :opens, :closes)"),
        {"weekday": weekday, "opens": opens, "closes": closes},
    )
    data = {"weekday": weekday, "opens": opens.isoformat(), "closes": closes.isoformat()}
    await audit.record(session, "clinic.opened", actor_id=actor.id, data=data)


async def close_on(session: Session, actor: Actor, number: int) -> None:
    """Take one stretch away; appointments in it stay. Raises :class:`NotFound`."""
    await _gone(session, "delete from opening_hours where id = :id returning id", number)
    await audit.record(session, "clinic.closed", actor_id=actor.id, data={"opening": number})


async def holidays(session: Session, first: date) -> list[tuple[date, str]]:
    """The days from *first* on that the clinic is closed, with their names."""
    rows = await session.execute(
        text("select day, name from holiday where day >= :first order by day"), {"first": first}
    )
    return [(row.day, row.name) for row in rows]


async def add_holiday(session: Session, actor: Actor, day: date, name: str) -> None:
    """Close the clinic for a day. Raises :class:`Invalid` for a day that is closed already, or without a name."""
    if not 1 <= len(name.strip()) <= 80:
        raise Invalid({"name": "Up to 80 characters."})
    try:
        async with session.begin_nested():
            await session.execute(
                text("insert into holiday (day, name) values (:day, :name)"), {"day": day, "name": name.strip()}
            )
    except IntegrityError as error:
        raise Invalid({"day": "This day is a holiday already."}) from error
    await audit.record(session, "clinic.holiday-added", actor_id=actor.id, data={"day": day.isoformat()})


async def remove_holiday(session: Session, actor: Actor, day: date) -> None:
    """Open on that day after all. Raises :class:`NotFound`."""
    await _gone(session, "delete from holiday where day = :id returning day", day)
    await audit.record(session, "clinic.holiday-removed", actor_id=actor.id, data={"day": day.isoformat()})


async def of_doctor(session: Session, docid: str) -> list[Hours]:
    """A doctor's week, with what is no longer or not yet valid."""
    rows = await session.execute(
        text("""select id, docid, weekday, begins, ends, slot_minutes, valid_from, valid_until from doctor_hours
                where docid = :docid order by weekday, begins, valid_from"""),
        {"docid": docid},
    )
    return [Hours(**row) for row in rows.mappings()]


async def add(session: Session, actor: Actor, wanted: Hours) -> None:
    """Give a doctor one more stretch of the week; its `id` does not count. Raises :class:`Invalid` per field."""
    errors: dict[str, str] = {}
    if wanted.ends <= wanted.begins:
        errors["ends"] = "The end comes before the beginning."
    if not SLOT_MINUTES[0] <= wanted.slot_minutes <= SLOT_MINUTES[1]:
        errors["slot_minutes"] = f"From {SLOT_MINUTES[0]} to {SLOT_MINUTES[1]} minutes."
    if wanted.valid_until is not None and wanted.valid_until < wanted.valid_from:
        errors["valid_until"] = "The last day comes before the first."
    if not errors and await _overlaps(session, wanted):
        errors["begins"] = "The doctor has hours then already."
    if errors:
        raise Invalid(errors)
    given = {name: getattr(wanted, name) for name in Hours.__slots__ if name != "id"}
    number = await session.scalar(
        text("""insert into doctor_hours (docid, weekday, begins, ends, slot_minutes, valid_from, valid_until)
                values (:docid, :weekday, :begins, :ends, :slot_minutes, :valid_from, :valid_until) returning id"""),
        given,
    )
    await audit.record(session, "hours.added", actor_id=actor.id, data={"doctor": wanted.docid, "hours": number})


async def remove(session: Session, actor: Actor, docid: str, number: int) -> None:
    """Take a stretch from a doctor's week; appointments in it stay. Raises :class:`NotFound`."""
    done = await session.execute(
        text("delete from doctor_hours where id = :id and docid = :docid returning id"), {"id": number, "docid": docid}
    )
    if done.first() is None:
        raise NotFound("There are no such hours.")
    await audit.record(session, "hours.removed", actor_id=actor.id, data={"doctor": docid, "hours": number})


async def _overlaps(session: Session, wanted: Hours) -> bool:
    found = await session.scalar(
        text("""select exists(select from doctor_hours where docid = :docid and weekday = :weekday
                and begins < :ends and :begins < ends and valid_from <= coalesce(cast(:until as date), 'infinity')
                and coalesce(valid_until, 'infinity') >= cast(:from as date))"""),
        {
            "docid": wanted.docid,
            "weekday": wanted.weekday,
            "begins": wanted.begins,
            "ends": wanted.ends,
            "from": wanted.valid_from,
            "until": wanted.valid_until,
        },
    )
    return bool(found)


async def _gone(session: Session, statement: str, name: int | date) -> None:
    if (await session.execute(text(statement), {"id": name})).first() is None:
        raise NotFound("There is no such entry; somebody else may have removed it.")
