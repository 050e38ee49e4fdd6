"""Sends what an instance throws, a message or a signal, to the instances that wait for it."""

from __future__ import annotations

from app.core.errors import DamsError
from app.db.session import transaction
from app.engines.once import first_time
from app.engines.senders import Effect, Undeliverable, sender
from app.engines.spiff import messages

KEPT_SECONDS = 86_400
"""A thrown message that nobody waits for yet is kept for a day."""


@sender("bpmn-message")
async def send_message(effect: Effect) -> None:
    """Deliver once: the inbox row and the delivery are one transaction."""
    async with transaction() as session:
        if await first_time(session, effect.kind, str(effect.id)):
            try:
                name, payload = effect.payload["name"], effect.payload["payload"]
                await messages.publish(session, None, name, {}, payload, ttl=KEPT_SECONDS)
            except DamsError as error:
                raise Undeliverable(error.detail) from error


@sender("bpmn-signal")
async def send_signal(effect: Effect) -> None:
    async with transaction() as session:
        if await first_time(session, effect.kind, str(effect.id)):
            await messages.broadcast(session, None, effect.payload["name"], effect.payload["payload"])
