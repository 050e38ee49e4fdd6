"""The booking flow: one instance of the appointment process behind four pages.

Each page completes its own user task, so what was entered is in the database before the next page opens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.clinic import local_time, lookups, slots
from app.clinic.lookups import Wish
from app.clinic.slots import Slot
from app.core.actor import DESK, Actor
from app.core.errors import Conflict, Invalid, NotFound
from app.core.ids import uuid7
from app.db.session import Session
from app.engines.spiff import choices, instances, lookup, models
from app.engines.spiff.booking import BOOK, FIELDS, HOLD, book, day_of, hold, time_of
from app.engines.spiff.forms import Form
from app.engines.spiff.listeners import Heard
from app.engines.spiff.models import StoredModel
from app.engines.spiff.records import InstanceView, TaskRef

PROCESS = "Process_ApptDams01"
STEPS = ("Activity_SpecialDoc", "Activity_SelectDoc", "Activity_SchedForm", "Activity_PatientDet")
"""The four user tasks in order, by their ids in every version of the process."""
KNOWN = ("specialization", *FIELDS)
AGAIN = "Begun again with other entries."
LOOKUPS: dict[str, tuple[str, dict[str, str]]] = {
    "specialization": ("specializations", {}),
    "docid": ("doctors", {"specialization": "specialization"}),
    "date_scheduled": ("free_days", {"docid": "docid"}),
    "time_scheduled": ("free_times", {"docid": "docid", "date_scheduled": "date_scheduled"}),
    "patientid": ("patients", {}),
}
"""What the pages look up for a version of the process that names no look-ups itself."""


@dataclass(frozen=True, slots=True)
class Booking:
    """Where a booking stands: `step` is the number of the open page (0 to 3), None when it is over."""

    view: InstanceView
    step: int | None

    @property
    def returned(self) -> bool:
        """Whether the process sent it back to the first page, its slot lost."""
        return self.step is not None and self.view.variables.get("finalize_sched") is False

    @property
    def task(self) -> TaskRef | None:
        return next((task for task in self.view.tasks if task.element_id in STEPS), None)


async def find(session: Session, actor: Actor, instance_id: UUID) -> Booking:
    """One booking of this person. Raises :class:`NotFound` for everybody else's and for other processes."""
    view = await lookup.view(session, actor, instance_id)
    owner = await session.scalar(text("select started_by from instance where id = :id"), {"id": instance_id})
    if view.process_id != PROCESS or owner != actor.id:
        raise NotFound("There is no such booking of yours.")
    return _booking(view)


async def unfinished(session: Session, actor: Actor) -> list[Booking]:
    """Bookings that this person began on the pages and did not finish, newest first."""
    rows = await session.execute(
        text("""select i.id from instance i join model m on m.id = i.model_id
                where m.process_id = :process and i.started_by = :actor and i.status = 'running'
                  and exists(select from user_task t where t.instance_id = i.id and t.state = 'claimed'
                             and t.assignee_id = :actor)
                order by i.started_at desc limit 3"""),
        {"process": PROCESS, "actor": actor.id},
    )
    found = [_booking(await lookup.view(session, actor, number)) for number in rows.scalars().all()]
    return [one for one in found if one.step or one.returned]


def _booking(view: InstanceView) -> Booking:
    at = [STEPS.index(task.element_id) for task in view.tasks if task.element_id in STEPS]
    return Booking(view, min(at, default=None))


async def enter(
    session: Session, actor: Actor, before: Booking | None, step: int, values: Mapping[str, Any], key: str | None
) -> Booking:
    """Complete page *step* of a booking; without one, or for a page before the open one, a new instance begins with
    what is known, in the same case. The same *key* again is the same submission.

    Raises:
        Invalid, Conflict: nothing was written.
    """
    if before is not None and key and await came_before(session, before, key):
        return before
    if before is None and step:
        raise NotFound("This page belongs to a booking; begin one first.")
    known = {name: value for name, value in before.view.variables.items() if name in KNOWN} if before else {}
    if before is None or before.step is None or before.step > step:
        view = await _begin(session, actor, before, known, key)
    else:
        view = before.view
    view = await _forward(session, actor, view, step, known)
    at = _booking(view)
    if at.task is None or at.step != step:
        return at  # the same submission came before, and is further on by now
    model = await models.find(session, view.process_id, view.version)
    form = _form(model, step)
    if form != model.forms[STEPS[step]]:
        await choices.check(session, actor, form, values, view.variables, view.id)
    view = await instances.complete(session, actor, at.task.id, values, key=key)
    await _what_the_model_leaves_out(session, actor, model, view)
    return _booking(await _own(session, actor, view))


async def _begin(
    session: Session, actor: Actor, before: Booking | None, known: dict[str, Any], key: str | None
) -> InstanceView:
    """A new instance; the one it follows is cancelled and its case goes on."""
    if before is not None and before.view.status in ("running", "failed"):
        await instances.cancel(session, actor, before.view.id, AGAIN)
        await slots.release(session, before.view.id)
    case = before.view.case if before is not None else None
    return await _own(session, actor, await instances.start(session, actor, PROCESS, known, key=key, case=case))


async def _forward(
    session: Session, actor: Actor, view: InstanceView, step: int, known: dict[str, Any]
) -> InstanceView:
    """Complete the forms before *step* with what was entered in them before."""
    for earlier in range(step):
        task = _booking(view).task
        if task is not None and task.element_id == STEPS[earlier]:
            view = await _own(session, actor, await instances.complete(session, actor, task.id, known))
    return view


async def came_before(session: Session, booking: Booking, key: str) -> bool:
    """Whether *key* is a submission that this booking has taken already."""
    return bool(
        await session.scalar(
            text("select exists(select from user_task where instance_id = :id and completion_key = :key)"),
            {"id": booking.view.id, "key": key},
        )
    )


async def _own(session: Session, actor: Actor, view: InstanceView) -> InstanceView:
    """Pages belong to who began them: the open task is theirs, also where the model offers it to a group."""
    done = await session.execute(
        text("""update user_task set state = 'claimed', assignee_id = :actor, claimed_at = now()
                where instance_id = :id and state = 'ready' returning id"""),
        {"id": view.id, "actor": actor.id},
    )
    return await lookup.view(session, actor, view.id) if done.first() is not None else view


async def _what_the_model_leaves_out(session: Session, actor: Actor, model: StoredModel, view: InstanceView) -> None:
    """A version of the process that names no effects is held and booked by its pages all the same."""
    named = model.effects.values()
    heard = Heard("", "completed", view.id, view.case, actor.id, view.variables)
    if _booking(view).step == len(STEPS) - 1 and HOLD not in named:
        await hold(session, heard)
    if view.status == "completed" and view.variables.get("finalize_sched") is True and BOOK not in named:
        await book(session, heard)


async def fields(
    session: Session, actor: Actor, at: Booking | None, step: int, entered: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The fields of a page with their choices. Raises :class:`NotFound` if the process is not deployed."""
    version = at.view.version if at is not None else None
    model = await models.find(session, PROCESS, version)
    data = {**(at.view.variables if at is not None else {}), **entered}
    return await choices.offered(session, actor, _form(model, step), data, at.view.id if at else None)


def _form(model: StoredModel, step: int) -> Form:
    """The form of a page, with look-ups also where the model names none."""
    given = model.forms.get(STEPS[step], Form())
    if choices.has_any(given):
        return given
    return Form(
        tuple(
            replace(field, lookup=LOOKUPS[field.id][0], lookup_with=LOOKUPS[field.id][1])
            if field.id in LOOKUPS
            else field
            for field in given.fields
        )
    )


def moment(values: Mapping[str, Any]) -> datetime | None:
    """The instant that a booking wants; None for what is no time."""
    try:
        day, at = day_of(values.get("date_scheduled")), time_of(values.get("time_scheduled"))
    except Invalid:
        return None
    return next(iter(local_time.instants(day, at)), None)


async def nearest(session: Session, values: Mapping[str, Any]) -> list[Slot]:
    """The three free slots nearest to the one that was wanted; none for what is no time."""
    wanted = moment(values)
    return await slots.nearest(session, str(values.get("docid", "")), wanted) if wanted else []


async def doctor(session: Session, docid: str) -> str:
    """A doctor's name and specialization, "" for nobody."""
    found = await lookups.choices(session, None, "doctors", Wish({}, id=docid))
    return found[0].name if found else ""


async def patient_of(session: Session, actor: Actor) -> int | None:
    """The number of a person who books for themselves; None for the desk.

    Raises :class:`Conflict` for an account without a patient's profile.
    """
    if actor.has(*DESK):
        return None
    number = await session.scalar(
        text("select patientid from patient where username = :name"), {"name": actor.username}
    )
    if number is None:
        raise Conflict("Your account has no patient's record yet. Ask the front desk.")
    return int(number)


def new_ticket() -> str:
    """A ticket that nobody has: T- and twelve signs."""
    return f"T-{uuid7().hex[-12:].upper()}"
