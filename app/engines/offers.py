"""The waiting list at work: freed slots are offered, whoever is offered one is mailed, and takes it or not."""

from __future__ import annotations

from uuid import UUID

from app.clinic import appointments, day, local_time, turns, waiting
from app.clinic.appointments import Appointment
from app.clinic.waiting import Offer
from app.core.actor import Actor
from app.db.session import Session, transaction
from app.engines import outbox, visits

AT_ONCE = 200
"""Entries that one turn looks at, most urgent first."""


async def make() -> int:
    """One turn of the relay: offer what is free to who waits and mail them; how many were offered something."""
    async with transaction() as session:
        made = await turns.offer_next(session, AT_ONCE)
        for offer in made:
            await _mail(session, offer)
    return len(made)


async def accept(session: Session, actor: Actor, offer_id: UUID) -> Appointment:
    """Take the offered slot; both are mailed, and whoever looks after the appointment that was given up is told.

    Raises as :func:`app.clinic.waiting.accept` does.
    """
    given_up = await waiting.replaced(session, offer_id)
    made = await waiting.accept(session, actor, offer_id)
    await visits.tell(session, made, f"An appointment on {local_time.spelt(made.begins)}", "The offered time is taken.")
    if given_up:
        await visits.changed(session, await appointments.details(session, None, given_up))
    return made


async def _mail(session: Session, offer: Offer) -> None:
    """What is offered and until when; nothing says why the patient waits."""
    when, until = local_time.spelt(offer.begins), local_time.spelt(offer.expires_at)
    who = await day.doctor(session, offer.docid)
    text = f"A time has become free: {when}, {who.name}.\n\nIt is kept for you until {until}. Take it in DAMS: /my\n"
    payload = {"to_patient": [offer.patientid], "subject": f"An earlier time: {when}", "text": text}
    await outbox.enqueue(session, "mail", f"offer:{offer.id}", payload)
