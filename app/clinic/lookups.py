"""Look-ups: choices that come from the clinic's tables, by the names that models may use. Adding one is one entry.

What a person may choose from is decided here: a patient sees only what is theirs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.clinic import local_time, slots
from app.core.actor import DESK, Actor
from app.db.session import Session

MOST = 50
"""Choices that are offered at once; more are found by searching."""
LONGEST = 200
_NUMBERS = ("patientid",)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is stored, and what people read."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a look-up: its parameters as texts, words to search for, or the one *id* that must be there.

    What the instance *mine* holds itself is free to it.
    """

    given: Mapping[str, str]
    search: str = ""
    id: str | None = None
    mine: UUID | None = None


Instead = Callable[[Session, Mapping[str, str], str], Awaitable[str]]
Finder = Callable[[Session, Actor | None, Wish], Awaitable[list[Choice]]]


@dataclass(frozen=True, slots=True)
class Lookup:
    """One look-up. `needs` must be given, `takes` may be."""

    says: str
    find: Finder
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    instead: Instead | None = None
    """What is told to who chose something that is gone."""


@dataclass(frozen=True, slots=True)
class _Table:
    """Rows of a table as choices; `where` maps a parameter to its condition."""

    source: str
    id: str
    name: str
    order: str
    number: bool = False
    where: Mapping[str, str] = field(default_factory=dict[str, str])
    own: str = ""
    """What is a patient's own; without it only the desk chooses from this table."""
    all_may: bool = False

    async def __call__(self, session: Session, actor: Actor | None, wish: Wish) -> list[Choice]:
        conditions, values = ["true"], dict[str, Any](limit=MOST + 1)
        if actor is not None and not self.all_may and not actor.has(*DESK):
            conditions.append(self.own or "false")
            values |= {"username": actor.username} if self.own else {}
        wanted = [(self.where[name], name, name in _NUMBERS, value) for name, value in wish.given.items()]
        wanted += [(f"{self.id} = :id", "id", self.number, wish.id)] if wish.id is not None else []
        for condition, name, number, value in wanted:
            if number and not (str(value).isascii() and str(value).isdecimal() and int(str(value)) < 2**31):
                return []
            conditions.append(condition)
            values[name] = int(str(value)) if number else str(value)
        for place, word in enumerate(wish.search.split()[:5]):
            conditions.append(f"({self.name} || ' ' || {self.id}) ilike :word{place}")
            values[f"word{place}"] = "%" + word.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%"
        sql = f"""select {self.id} as id, {self.name} as name from {self.source}
                  where {" and ".join(conditions)} order by {self.order} limit :limit"""  # noqa: S608 - constants
        return [Choice(str(row.id), row.name) for row in await session.execute(text(sql), values)]


async def _free_days(session: Session, _: Actor | None, wish: Wish) -> list[Choice]:
    if wish.id is not None:
        day = _day(wish.id)
        found = await slots.free(session, wish.given["docid"], day, 1, 1, wish.mine) if day else []
        return [Choice(wish.id, wish.id)] if found else []
    days: dict[date, int] = {}
    for slot in await slots.free(
        session, wish.given["docid"], await slots.today(session), slots.LOOK_AHEAD_DAYS, mine=wish.mine
    ):
        day = slot.begins.astimezone(local_time.zone()).date()
        days[day] = days.get(day, 0) + 1
    return [Choice(day.isoformat(), f"{day:%a} {day.day} {day:%b %Y} ({count} free)") for day, count in days.items()]


async def _free_times(session: Session, _: Actor | None, wish: Wish) -> list[Choice]:
    day = _day(wish.given["date_scheduled"])
    found = await slots.free(session, wish.given["docid"], day, 1, mine=wish.mine) if day else []
    times = dict.fromkeys(f"{slot.begins.astimezone(local_time.zone()):%H:%M}" for slot in found)
    return [Choice(at, at) for at in times if wish.id in (None, at)]


async def _nearest(session: Session, given: Mapping[str, str], value: str) -> str:
    """The three free times nearest to one that is taken."""
    day = _day(given["date_scheduled"])
    try:
        wanted = local_time.instants(day, time.fromisoformat(value)) if day else []
    except ValueError:
        wanted = []
    if not wanted:
        return ""
    near = await slots.nearest(session, given["docid"], wanted[0])
    told = "; ".join(local_time.spelt(slot.begins) for slot in near) or "none in the next weeks"
    return f"This time is not free. The nearest free times: {told}."


def _day(given: str) -> date | None:
    try:
        found = date.fromisoformat(given)
    except ValueError:
        return None
    return found if found.year in slots.YEARS else None


_PERSON = "{0}.firstname || ' ' || {0}.lastname"
_DOCTOR, _PATIENT, _ADMIN = (_PERSON.format(alias) for alias in "dpm")

LOOKUPS: dict[str, Lookup] = {
    "specializations": Lookup(
        "specializations of the doctors who see patients",
        _Table(
            "(select distinct specialization from doctor where status) s",
            "s.specialization",
            "s.specialization",
            "1",
            all_may=True,
        ),
    ),
    "doctors": Lookup(
        "doctors who see patients",
        _Table(
            "(select * from doctor where status) d",
            "d.empid",
            f"{_DOCTOR} || ', ' || d.specialization",
            "d.lastname, d.firstname, d.empid",
            where={"specialization": "d.specialization = :specialization"},
            all_may=True,
        ),
        takes=("specialization",),
    ),
    "free_days": Lookup("days on which a doctor has free times", _free_days, needs=("docid",)),
    "free_times": Lookup(
        "a doctor's free times of a day", _free_times, needs=("docid", "date_scheduled"), instead=_nearest
    ),
    "patients": Lookup(
        "patients; a patient chooses from themselves",
        _Table(
            "patient p",
            "p.patientid",
            f"{_PATIENT} || ', born ' || to_char(p.birthday, 'YYYY-MM-DD')",
            "p.lastname, p.firstname, p.patientid",
            number=True,
            own="p.username = :username",
        ),
    ),
    "appointments": Lookup(
        "appointments by their ticket",
        _Table(
            "appointment a join patient p on p.patientid = a.patientid",
            "a.ticketid",
            f"a.date_scheduled || ' ' || to_char(a.time_scheduled, 'HH24:MI') || ', ' || {_PATIENT}",
            "lower(a.during), a.ticketid",
            own="p.username = :username",
            where={
                "docid": "a.docid = :docid",
                "patientid": "a.patientid = :patientid",
                "status": "a.status = :status",
            },
        ),
        takes=("docid", "patientid", "status"),
    ),
    "diagnoses": Lookup(
        "diagnoses of a patient",
        _Table(
            "diagnosis g join patient p on p.patientid = g.patientid",
            "g.id",
            "to_char(g.date_submitted, 'YYYY-MM-DD') || ', ' || left(g.narrative, 80)",
            "g.id desc",
            number=True,
            where={"patientid": "g.patientid = :patientid", "docid": "g.docid = :docid"},
            own="p.username = :username",
        ),
        takes=("patientid", "docid"),
    ),
    "payments": Lookup(
        "payments by their number",
        _Table(
            "payment y join patient p on p.patientid = y.patientid",
            "y.paymentid",
            f"y.ticketid || ', ' || y.charge || ', ' || {_PATIENT}",
            "y.id desc",
            where={"patientid": "y.patientid = :patientid", "ticketid": "y.ticketid = :ticketid"},
            own="p.username = :username",
        ),
        takes=("patientid", "ticketid"),
    ),
    "requests": Lookup(
        "laboratory requests by their number",
        _Table(
            "request r", "r.id", "left(r.details, 100)", "r.id desc", number=True, where={"docid": "r.docid = :docid"}
        ),
        takes=("docid",),
    ),
    "administrators": Lookup(
        "administrators", _Table("administrator m", "m.empid", f"{_ADMIN} || ', ' || m.position", "m.lastname, m.empid")
    ),
    "users": Lookup(
        "accounts that may sign in, by their user name",
        _Table(
            "(select username, display_name, roles from login where disabled_at is null) u",
            "u.username",
            "u.display_name",
            "u.display_name, u.username",
            where={"role": ":role = any(u.roles)"},
        ),
        takes=("role",),
    ),
    "groups": Lookup("groups of accounts", _Table("candidate_group c", "c.name", "c.name", "c.name")),
}


async def choices(session: Session, actor: Actor | None, name: str, wish: Wish) -> list[Choice]:
    """What a person may choose from, at most :data:`MOST` and one more, which says that there are others.

    *wish* gives every parameter that the look-up needs. No *actor* means the service itself asks.
    """
    return await LOOKUPS[name].find(session, actor, wish)


async def instead(session: Session, name: str, given: Mapping[str, str], value: str) -> str:
    """What may be chosen in place of a value that is not among the choices; "" where nothing can be said."""
    tell = LOOKUPS[name].instead
    return await tell(session, given, value) if tell else ""


async def fits(session: Session, actor: Actor | None, name: str, wish: Wish) -> bool:
    """Whether the *id* of the wish is one of the choices now, however many there are."""
    if wish.id is None or len(wish.id) > LONGEST or "\0" in wish.id:
        return False
    return any(one.id == wish.id for one in await choices(session, actor, name, wish))
