"""A turn of the waiting list: what is free now is offered to who waits for it, the most urgent first.

Nothing needs to tell this module that a slot was freed: it looks at what is free, so no offer is lost with a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError

from app.clinic import audit, day, local_time, slots, waiting
from app.clinic.waiting import Offer
from app.core.ids import uuid7
from app.db.session import Session

OFFER_MINUTES = 15

_WAITING = text("""
    select w.id, w.patientid, w.earliest, w.latest, lower(a.during) as before, w.replaces,
           array(select empid from doctor d where d.status and (d.empid = w.docid or
                     w.docid is null and d.specialization = w.specialization)) as doctors
    from waiting_entry w left join appointment a on a.ticketid = w.replaces
    where w.state = 'waiting' and w.latest >= (dams_now() at time zone :zone)::date
          and not exists(select from slot_offer o where o.entry_id = w.id and o.state = 'open')
    order by w.priority_level, w.id limit :limit for update of w skip locked
""")
_REFUSED = text("select entry_id, docid, lower(during) as begins from slot_offer where entry_id = any(:entries)")
_BUSY = text(f"""
    select patientid, ticketid, lower(during) as begins, upper(during) as ends from appointment
    where patientid = any(:patients) and {slots.LIVE} and upper(during) > dams_now()
""")  # noqa: S608 - LIVE is a constant
_OFFERED = text("""
    insert into slot_offer (id, entry_id, docid, during, expires_at)
    values (:id, :entry, :docid, tstzrange(:begins, :ends),
            least(dams_now() + make_interval(mins => :minutes), :begins))
""")


async def offer_next(session: Session, limit: int = 20) -> list[Offer]:
    """End offers whose time is over, then offer to each who waits without an offer the first slot that suits.

    In order of priority and of joining; at most *limit* new offers. What is free is read once for each doctor, however
    many wait for them. The caller tells the patients. While another turn is at it, this one does nothing.
    """
    if not await session.scalar(text("select pg_try_advisory_xact_lock(hashtext('dams.waiting'))")):
        return []
    await session.execute(
        text("""update slot_offer set state = 'expired', answered_at = dams_now()
                where state = 'open' and expires_at <= dams_now()""")
    )
    rows = await session.execute(_WAITING, {"zone": local_time.zone().key, "limit": limit})
    turn = _Turn(session, await day.today(session), rows.all())
    await turn.prepare()
    made = [await turn.offer(entry) for entry in turn.entries]
    return [offer for offer in made if offer is not None]


class _Turn:
    """What one turn knows: who waits, what they were offered before, when they are busy, and what is free.

    Free slots are read for :data:`slots.MAX_DAYS` days and all doctors of a wish at once, when the first entry asks.
    """

    def __init__(self, session: Session, today: date, entries: Sequence[Row[Any]]) -> None:
        self.entries = entries
        self._session, self._today = session, today
        self._refused: set[tuple[int, str, datetime]] = set()
        self._busy: dict[int, list[Row[Any]]] = {}
        self._free: dict[tuple[str, int], list[slots.Slot]] = {}

    async def prepare(self) -> None:
        given = {"entries": [entry.id for entry in self.entries]}
        found = await self._session.execute(_REFUSED, given)
        self._refused = {(row.entry_id, row.docid, row.begins) for row in found}
        given = {"patients": [entry.patientid for entry in self.entries]}
        for row in await self._session.execute(_BUSY, given):
            self._busy.setdefault(row.patientid, []).append(row)

    async def offer(self, entry: Row[Any]) -> Offer | None:
        """The first slot that suits this entry, offered; None if there is none."""
        first = max(entry.earliest, self._today)
        windows = range((first - self._today).days // slots.MAX_DAYS, 1 + self._window(entry.latest))
        for number in windows:
            for slot in await self._openings(entry.doctors, number):
                if self._suits(entry, slot, first) and (made := await self._make(entry, slot)):
                    return made
        return None

    def _window(self, day: date) -> int:
        return (day - self._today).days // slots.MAX_DAYS

    async def _openings(self, doctors: Sequence[str], number: int) -> list[slots.Slot]:
        """What is free of these doctors in one stretch of days, soonest first."""
        missing = [docid for docid in doctors if (docid, number) not in self._free]
        if missing:
            self._free |= {(docid, number): [] for docid in missing}
            begins = self._today + timedelta(days=number * slots.MAX_DAYS)
            for slot in await slots.of_days(self._session, missing, begins, slots.MAX_DAYS):
                if slot.free:
                    self._free[slot.docid, number].append(slot)
        found = [slot for docid in doctors for slot in self._free[docid, number]]
        return sorted(found, key=lambda slot: (slot.begins, slot.docid))

    def _suits(self, entry: Row[Any], slot: slots.Slot, first: date) -> bool:
        """Within the wish, not offered to it before, earlier than what it replaces, and the patient is free then."""
        on = slot.begins.astimezone(local_time.zone()).date()
        return (
            first <= on <= entry.latest
            and (entry.id, slot.docid, slot.begins) not in self._refused
            and (entry.before is None or slot.begins < entry.before)
            and not any(
                one.begins < slot.ends and slot.begins < one.ends and one.ticketid != entry.replaces
                for one in self._busy.get(entry.patientid, ())
            )
        )

    async def _make(self, entry: Row[Any], slot: slots.Slot) -> Offer | None:
        """Offer it, unless somebody took or held it in the meantime; nobody else of this turn is offered it."""
        for key, known in self._free.items():
            if key[0] == slot.docid:
                self._free[key] = [one for one in known if one.ends <= slot.begins or slot.ends <= one.begins]
        number = uuid7()
        given = {"id": number, "entry": entry.id, "docid": slot.docid, "begins": slot.begins, "ends": slot.ends}
        try:
            async with self._session.begin_nested():
                await slots.lock(self._session, slot.docid)
                if not (await slots.find(self._session, slot.docid, slot.begins)).free:
                    return None
                await self._session.execute(_OFFERED, given | {"minutes": OFFER_MINUTES})
        except IntegrityError:  # it was offered to this entry before, or overlaps an open offer
            return None
        data = {"entry": entry.id, "offer": str(number)}
        await audit.record(self._session, "waiting.offered", data=data)
        return await waiting.offer(self._session, number)
