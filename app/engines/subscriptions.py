"""Subscriptions to the clinic's letters: one `SendEmailWorkflow` for each address, its id the address made opaque."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import text

from app.core import envelope
from app.core.actor import Actor
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.ids import uuid7
from app.core.settings import settings
from app.db.session import reading
from app.engines import temporal

WORKFLOW, QUEUE = "SendEmailWorkflow", "dams_appointment_queue"
DESK = ("staff", "admin")


@dataclass(frozen=True, slots=True)
class Details:
    """An address, how many regular letters it has had, and whether it still gets them."""

    email: str
    sent: int
    subscribed: bool


async def subscribe(actor: Actor, email: str) -> str:
    """The address, as it is written from now on.

    Raises :class:`Invalid`, :class:`Forbidden` for somebody else's address, :class:`Conflict` for one that is
    subscribed, :class:`Unavailable`.
    """
    address = await _own(actor, email)
    every = settings().clinic.newsletter_hours * 3600
    given = {"email": address, "every_seconds": every, "key": f"letter:{uuid7()}"}
    try:
        await temporal.start(WORKFLOW, _id(address), QUEUE, given, started_by=actor.id, again=True)
    except Conflict as error:
        raise Conflict("This address is subscribed already.", field="email") from error
    return address


async def details(actor: Actor, email: str) -> Details:
    """Raises :class:`NotFound`, :class:`Forbidden`, :class:`Invalid`, :class:`Unavailable`, :class:`NoAnswer`."""
    address = await _own(actor, email)
    try:
        async with temporal.limited() as client:
            answer: Any = await client.get_workflow_handle(_id(address)).query("details")
    except NotFound as error:
        raise NotFound("This address was never subscribed.") from error
    return Details(**answer)


async def unsubscribe(actor: Actor, email: str) -> str:
    """A goodbye is sent, then nothing more. Raises as :func:`details` does."""
    address = await _own(actor, email)
    try:
        async with temporal.limited() as client:
            handle = client.get_workflow_handle(_id(address))
            status = (await handle.describe()).status
            subscribed = status is not None and status.name == "RUNNING"
            if subscribed:
                await handle.cancel()
    except NotFound:
        subscribed = False
    if not subscribed:
        raise NotFound("This address is not subscribed.")
    return address


def _id(address: str) -> str:
    return envelope.opaque("letters", address.lower())


async def _own(actor: Actor, email: str) -> str:
    try:
        address = validate_email(email, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise Invalid({"email": str(error)}) from error
    if not actor.has(*DESK):
        async with reading() as session:
            sql = """select exists(select from login where id = :id and lower(email) = lower(:email))
                         or exists(select from patient where username = :name and lower(email) = lower(:email))"""
            given = {"id": actor.id, "name": actor.username, "email": address}
            if not await session.scalar(text(sql), given):
                raise Forbidden("You can subscribe your own address only.")
    return address
