"""Mails before a visit, to patients who want them. Appointments that Temporal looks after have theirs from there."""

from __future__ import annotations

from sqlalchemy import text

from app.clinic import appointments, local_time
from app.core.settings import settings
from app.db.session import Session, transaction
from app.engines import reservations

AT_ONCE = 200
"""Mails of one turn."""
# Booked later than the reminder would have been sent, a visit needs none: the mail of the booking has just told of it.
_DUE = text("""
    select a.ticketid from appointment a join patient p on p.patientid = a.patientid
    where a.date_scheduled between cast(:today as date) and cast(:last as date) and a.status in ('booked', 'pending')
          and lower(a.during) > dams_now() and lower(a.during) <= dams_now() + make_interval(secs => :ahead)
          and a.changed_at <= lower(a.during) - make_interval(secs => :ahead) and p.reminders and p.email <> ''
          and not exists(select from outbox o where o.kind = 'mail'
                         and o.key = concat('reminder:', a.ticketid, ':', a.version, ':', cast(:key as text)))
          and not exists(select from engine_run r where r.engine = 'temporal' and r.input ->> 'ticket' = a.ticketid)
    order by lower(a.during) limit :limit
""")


async def make() -> int:
    """One turn of the relay: ask for the mails that are due; how many."""
    async with transaction() as session:
        return sum([await _remind(session, hours) for hours in settings().clinic.reminder_hours])


async def _remind(session: Session, hours: float) -> int:
    """The mails that go out *hours* before a visit, each once for each time that the visit was moved to."""
    key = f"{hours:g}h"
    bounds = await session.execute(
        text("""select (dams_now() at time zone :zone)::date as today,
                       ((dams_now() + make_interval(secs => :ahead)) at time zone :zone)::date as last"""),
        {"zone": local_time.zone().key, "ahead": hours * 3600},
    )
    given = {**bounds.mappings().one(), "ahead": hours * 3600, "key": key, "limit": AT_ONCE}
    tickets = (await session.execute(_DUE, given)).scalars().all()
    for ticket in tickets:
        found = await appointments.details(session, None, ticket)
        await reservations.remind(session, found, f"{found.version}:{key}")
    return len(tickets)
