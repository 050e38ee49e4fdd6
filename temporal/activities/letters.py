"""Mails of a subscription, through the outbox, each once."""

from __future__ import annotations

from temporalio import activity

from app.core.settings import settings
from app.db.session import transaction
from app.engines import outbox
from temporal.workflows.subscription import QUEUE as QUEUE
from temporal.workflows.subscription import Letter

TEXTS = {
    "welcome": ("Welcome to the news of {clinic}", "Thank you for subscribing."),
    "thanks": ("News of {clinic}", "Thank you for staying with us. This is letter {number}."),
    "goodbye": ("Goodbye from {clinic}", "You will get no more letters."),
}


@activity.defn(name="send_email")
async def send_email(letter: Letter) -> None:
    """Ask for one mail: the subscription, the kind and the number are its key."""
    subject, text = (part.format(clinic=settings().clinic.name, number=letter.number) for part in TEXTS[letter.kind])
    payload = {"to_address": [letter.email], "subject": subject, "text": f"{text}\n"}
    async with transaction() as session:
        await outbox.enqueue(session, "mail", f"{letter.key}:{letter.kind}:{letter.number}", payload)
