"""The topic `temporal:WORKFLOW`: the workflows that a service task of a model may have run, and what each is given.

Another one is an entry of :data:`OFFERED`; the workflow itself stands in `temporal/workflows`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from app.clinic import appointments, charges
from app.core.errors import Invalid, NotFound
from app.db.session import Session
from app.engines import bills, reservations, runs, topics, workflows
from app.engines.topics import Asked, Fault

ENGINE = "temporal"


@dataclass(frozen=True, slots=True)
class Offered:
    """A workflow, the inputs it *needs* and those it also *takes*; *given* makes its argument of them."""

    queue: str
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    given: Callable[[Session, Asked], Awaitable[dict[str, Any]]]
    own: str = ""
    """The member of the argument that gets the run's id. What a failed run did under it is undone, for good: a retry is
    a new run."""


async def _visit(session: Session, asked: Asked) -> dict[str, Any]:
    found = await appointments.details(session, None, str(asked.given["ticketid"]))
    return {
        "ticketid": found.ticketid,
        "patientid": found.patientid,
        "docid": found.docid,
        "priority_level": found.priority_level,
        "date_scheduled": found.date_scheduled.isoformat(),
        "time_scheduled": found.time_scheduled.isoformat(),
        "consult_hrs": str(found.consult_hrs),
        "by": asked.started_by,
    }


async def _bill(session: Session, asked: Asked) -> dict[str, Any]:
    ticketid = str(asked.given["ticketid"])
    try:
        charge, discount = (Decimal(str(asked.given.get(name) or "0")) for name in ("charge", "discount"))
    except InvalidOperation as error:
        raise Invalid({"charge": "Write an amount."}) from error
    patientid = await charges.check(session, ticketid, charge, discount)
    return {
        "ticketid": ticketid,
        "patientid": patientid,
        "charge": str(charge),
        "discount": str(discount),
        "by": asked.started_by,
    }


OFFERED: Mapping[str, Offered] = {
    reservations.ATTEND: Offered(reservations.QUEUE, ("ticketid",), (), _visit),
    bills.WORKFLOW: Offered(bills.QUEUE, ("ticketid", "charge"), ("discount",), _bill, own="paymentid"),
}
"""By the workflow's name: reminders until a booked patient is in the room; a visit billed, charged and released."""


@topics.checks(ENGINE)
def faults(name: str, inputs: Mapping[str, str | None]) -> list[Fault]:
    """What a model gets wrong about the workflow *name*."""
    one = OFFERED.get(name)
    if one is None:
        return [(f"there is no workflow {name!r} for models", f"use {', '.join(OFFERED)}")]
    missing = [(f"{name} needs the input {need}", "add it") for need in one.needs if need not in inputs]
    known = (*one.needs, *one.takes)
    return missing + [
        (f"{name} takes no input {extra!r}", f"use {', '.join(known)}") for extra in inputs if extra not in known
    ]


@topics.serves(ENGINE)
async def serve(session: Session, asked: Asked) -> None:
    """A task asks for a workflow.

    Raises:
        NotFound: no such workflow, or what it is about does not exist.
        Invalid: an input is missing or cannot be.
    """
    one = OFFERED.get(asked.name)
    if one is None:
        raise NotFound(f"There is no workflow {asked.name!r} for models.")
    missing = {need: f"{asked.name} needs it." for need in one.needs if asked.given.get(need) in (None, "")}
    if missing:
        raise Invalid(missing)
    await workflows.ask(
        session,
        asked.name,
        one.queue,
        await one.given(session, asked),
        own=one.own,
        about={"ticket": str(asked.given["ticketid"])} | ({runs.ANEW: f"{ENGINE}:{asked.name}"} if one.own else {}),
        case=asked.case,
        started_by=asked.started_by,
        instance_id=asked.instance_id,
        task_id=asked.task_id,
    )
