"""An appointment until it is over: reserved once, then waited for, reminded of, moved, called off."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from temporal.workflows import nearby

QUEUE = "dams_appointment_queue"
LIMIT = timedelta(seconds=10)
TURNS = 250
"""After so many turns of the loop the history is begun anew."""
AWAITED = ("requested", "booked", "pending", "arrived")
LIVE = ("requested", "booked", "pending", "arrived", "checked-in")
REFUSALS = ("conflict", "invalid", "not-found", "forbidden")


@dataclass
class Record:
    """What `details` answers; times are the clinic's, instants ISO 8601 in UTC.

    `reminders` are the instants of those that are still to come; `settle_at` is when it is over whatever happens.
    """

    ticketid: str
    patientid: int
    docid: str
    priority_level: int
    date_scheduled: str
    time_scheduled: str
    consult_hrs: str
    status: str = "requested"
    remarks: str = ""
    begins_at: str = ""
    ends_at: str = ""
    settle_at: str = ""
    reminders: list[str] = field(default_factory=list[str])


@dataclass
class Reservation:
    """What is asked for, by which account; `record` is what a former part of a long history knew."""

    ticketid: str
    patientid: int
    docid: str
    priority_level: int
    date_scheduled: str
    time_scheduled: str
    consult_hrs: str
    fold: int | None = None
    by: int | None = None
    record: Record | None = None


@dataclass
class Change:
    """Something done to a reservation, by which account."""

    ticketid: str
    key: str
    what: str
    remarks: str = ""
    by: int | None = None


@dataclass
class Move:
    """Another time on the clinic's wall clock, by which account. The ticket and key are the workflow's to fill in."""

    date_scheduled: str
    time_scheduled: str
    fold: int | None = None
    by: int | None = None
    ticketid: str = ""
    key: str = ""


@workflow.defn(name="ReserveAppointmentWorkflow")
class ReserveAppointmentWorkflow:
    """Reserves once, sends reminders in time, and ends when the appointment is over or called off."""

    @workflow.init
    def __init__(self, given: Reservation) -> None:
        self._record = given.record or Record(
            given.ticketid,
            given.patientid,
            given.docid,
            given.priority_level,
            given.date_scheduled,
            given.time_scheduled,
            given.consult_hrs,
        )
        self._refused: ApplicationError | None = None
        self._asked: list[Change] = []
        self._why = Change(given.ticketid, "close", "cancelled", "Cancelled on request.")
        self._moved = False
        self._turns = 0
        self._one_at_a_time = asyncio.Lock()

    @workflow.run
    async def run(self, given: Reservation) -> Record:
        try:
            if given.record is None:
                await self._reserve(given)
            while self._record.status in LIVE:
                await self._turn()
                if self._turns >= TURNS or workflow.info().is_continue_as_new_suggested():
                    await workflow.wait_condition(workflow.all_handlers_finished)
                    given.record = self._record
                    workflow.continue_as_new(given)
        except asyncio.CancelledError:
            await self._close()
            raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._record

    async def _reserve(self, given: Reservation) -> None:
        try:
            await self._to_the_end("reserve_schedule", given)
        except ActivityError as error:
            self._refused = _refusal(error)
            await workflow.wait_condition(workflow.all_handlers_finished)
            raise self._refused from None

    async def _turn(self) -> None:
        """Wait for the next thing to do, then do it."""
        self._turns += 1
        self._moved = False
        reminding = bool(self._record.reminders)
        due = self._record.reminders[0] if reminding else self._record.settle_at
        left = datetime.fromisoformat(due) - workflow.now()
        try:
            await workflow.wait_condition(lambda: bool(self._asked) or self._moved, timeout=max(left, timedelta(0)))
        except TimeoutError:
            what = "remind" if reminding else "settle"
            self._asked.append(Change(self._record.ticketid, f"{what} {due}", what))
        while self._asked:
            await self._apply(self._asked.pop(0))

    async def _apply(self, change: Change) -> None:
        """Do it and know what the database says then. What the clinic's rules refuse changes nothing."""
        try:
            await self._to_the_end("change_schedule", change)
        except ActivityError as error:
            refused = _refusal(error)
            if refused.type not in REFUSALS:
                raise
            workflow.logger.warning("%s was refused: %s", change.what, refused.type)
            if refused.type == "not-found":  # the row was taken away, so there is nothing to wait for
                self._record.status = "entered-in-error"

    async def _close(self) -> None:
        """The closing activity runs although the workflow is cancelled. What was never reserved needs none."""
        if self._record.status == "requested":
            self._record.status, self._record.remarks = "cancelled", self._why.remarks
        else:
            await self._to_the_end("close_schedule", self._why)

    async def _to_the_end(self, activity: str, given: Reservation | Change | Move) -> None:
        """Run one activity at a time, and to its end even when the workflow is cancelled meanwhile: what closes the
        appointment must come after what reserved it.
        """
        async with self._one_at_a_time:
            doing = asyncio.create_task(nearby.execute(activity, given, LIMIT, Record))
            try:
                self._adopt(await asyncio.shield(doing))
            except asyncio.CancelledError:
                with contextlib.suppress(ActivityError):
                    self._adopt(await doing)
                raise

    def _adopt(self, record: Record) -> None:
        now = workflow.now().isoformat()
        record.reminders = sorted(moment for moment in record.reminders if moment > now)
        self._record = record

    @workflow.query
    def details(self) -> Record:
        """The appointment as the workflow knows it, also when it has ended."""
        return self._record

    @workflow.update
    async def reserved(self) -> Record:
        """Answers when it is reserved; fails with the reason when it was refused."""
        await workflow.wait_condition(lambda: self._record.status != "requested" or self._refused is not None)
        if self._refused is not None:
            raise self._refused
        return self._record

    @workflow.signal
    def check_in(self, by: int | None = None) -> None:
        """The patient is here."""
        self._ask("checked-in", by)

    @workflow.signal
    def no_show(self, by: int | None = None) -> None:
        """The patient did not come."""
        self._ask("noshow", by)

    @workflow.signal
    def refresh(self) -> None:
        """Somebody changed the appointment elsewhere: look at it anew."""
        self._ask("refresh", None)

    @workflow.signal
    def closing(self, remarks: str, by: int | None = None) -> None:
        """Why, and by whom, it is about to be cancelled."""
        self._why = Change(self._record.ticketid, "close", "cancelled", remarks, by)

    @workflow.update
    async def reschedule(self, move: Move) -> Record:
        """Move it; its reminders move with it. Fails with the reason when the new time cannot be had."""
        move.ticketid, move.key = self._record.ticketid, f"move {workflow.uuid4()}"
        try:
            await self._to_the_end("move_schedule", move)
        except ActivityError as error:
            raise _refusal(error) from None
        self._moved = True
        return self._record

    @reschedule.validator
    def _may_move(self, move: Move) -> None:
        if self._record.status not in ("booked", "pending"):
            raise ApplicationError(f"This appointment is {self._record.status} and cannot be moved.", type="conflict")
        for name, parse in (("date_scheduled", date.fromisoformat), ("time_scheduled", time.fromisoformat)):
            try:
                parse(getattr(move, name))
            except ValueError:
                told = {name: "No such day or time."}
                raise ApplicationError("invalid", told, type="invalid") from None

    def _ask(self, what: str, by: int | None) -> None:
        self._asked.append(Change(self._record.ticketid, f"{what} {workflow.uuid4()}", what, by=by))


@workflow.defn(name="AttendVisitWorkflow")
class AttendVisitWorkflow(ReserveAppointmentWorkflow):
    """Ends when the patient is in the room; fails with the appointment's status when that cannot happen any more.

    The appointment belongs to whoever booked it: cancelled, the workflow leaves it as it is.
    """

    @workflow.init
    def __init__(self, given: Reservation) -> None:
        super().__init__(given)

    @workflow.run
    async def run(self, given: Reservation) -> Record:
        await self._apply(Change(given.ticketid, "look", "refresh"))
        while self._record.status in AWAITED:
            await self._turn()
            if self._turns >= TURNS or workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(given)
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._record.status not in ("checked-in", "fulfilled"):
            told = f"The patient will not come: the appointment is {self._record.status}."
            raise ApplicationError(told, type=self._record.status, non_retryable=True)
        return self._record


def _refusal(error: ActivityError) -> ApplicationError:
    """What the activity said; a workflow that fails with it is not retried."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return ApplicationError(cause.message, *cause.details, type=cause.type, non_retryable=True)
    return ApplicationError("The activity failed.", type=type(cause).__name__, non_retryable=True)
