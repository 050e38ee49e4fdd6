"""One job from the broker to its handler and back: counted, checked, executed once, told how it ended.

What is logged and what the broker is told of a failure are codes, names and ids, never a value.
"""

# No postponed annotations here: pyzeebe finds the parameter for the job by its annotation, which must be the class.
import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from pyzeebe import Job as BrokerJob
from pyzeebe import JobController
from pyzeebe.errors import JobAlreadyDeactivatedError, JobNotFoundError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.core.envelope import Unreadable
from app.core.errors import DamsError, Unavailable
from app.core.log import log
from app.db.session import transaction
from app.engines.zeebe import broker, jobs
from app.engines.zeebe.jobs import Given, Held
from app.engines.zeebe.variables import RUN, opened, sealed
from workers.jobs import BpmnError, CalledOff, Handler, Job

PARKED_MS = 365 * 24 * 3600 * 1000
"""A parked job stays in hand for a year; who wants it again shortens that."""
LONGEST_BACK_OFF = 60.0
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout, ConnectionError)
GONE = (JobNotFoundError, JobAlreadyDeactivatedError)


class Parked(Exception):
    """Its tries are used up; nothing is done until ops asks for it."""


class Unusable(DamsError):
    """The job's variables are not what its handler needs"""

    code, status = "job-input", 422


Execute = Callable[..., Awaitable[dict[str, Any]]]


def execution(handler: Handler) -> Execute:
    """The function that pyzeebe calls for each job of *handler*; its answer completes the job."""

    async def execute(job: BrokerJob, **_variables: Any) -> dict[str, Any]:
        given = described(job)
        async with transaction() as session:
            held = await jobs.take(session, given)
        result = _again(held, given)
        if result is None:
            result = await _perform(handler, given, job.variables)
        _log_end(given, "done")
        return result

    return execute


def described(job: BrokerJob) -> Given:
    return Given(
        key=job.key,
        type=job.type,
        run_id=_uuid(job.variables.get(RUN)),
        process_id=job.bpmn_process_id,
        element_id=job.element_id,
        element_instance_key=job.element_instance_key,
        instance_key=job.process_instance_key,
        retries=job.retries,
    )


def _log_end(given: Given, status: str, **further: Any) -> None:
    log.info("job ended", type=given.type, key=given.key, status=status, **further)


def _again(held: Held, given: Given) -> dict[str, Any] | None:
    """The answer of an earlier try, or None if there is something to do."""
    if held.called_off:
        raise CalledOff(held.root or given.instance_key)
    if held.state == "parked":
        raise Parked
    if held.state == "error":
        code, _, message = (held.error or "").partition(": ")
        raise BpmnError(code, message)
    if held.state == "done":
        return held.result or {}
    if held.attempts > given.retries:
        raise Unusable(f"It ended its worker {held.attempts - 1} times.")
    return None


async def _perform(handler: Handler, given: Given, variables: Mapping[str, Any]) -> dict[str, Any]:
    values = _checked(handler, variables)
    known = {field.name: getattr(given, field.name) for field in fields(Job) if field.name != "variables"}
    async with asyncio.timeout(handler.timeout), transaction() as session:
        answer = await handler.function(session, values, Job(**known, variables=variables))
        result = sealed(answer.model_dump(mode="json"), handler.clear)
        await jobs.done(session, given.key, result)
    return result


def _checked(handler: Handler, variables: Mapping[str, Any]) -> Any:
    if handler.wants_all:
        return handler.given()
    try:
        return handler.given.model_validate(opened(variables))
    except Unreadable as error:
        raise Unusable(error.detail) from error
    except ValidationError as error:
        said = [_fault(".".join(map(str, one["loc"])), one["type"], one["msg"]) for one in error.errors()]
        raise Unusable("; ".join(said)) from error


def _fault(name: str, kind: str, message: str) -> str:
    return f"variable {name} is missing" if kind == "missing" else f"variable {name}: {message}"


async def on_failure(error: Exception, job: BrokerJob, controller: JobController) -> None:
    """Tell the broker how a job failed: called off, a BPMN error, to be tried again later, or parked."""
    given = described(job)
    try:
        if isinstance(error, CalledOff):
            _log_end(given, "called-off")
            await broker.cancel(error.root)
        elif isinstance(error, Parked):
            _log_end(given, "parked")
            await broker.set_job_timeout(job.key, PARKED_MS)
        elif isinstance(error, BpmnError):
            await _throw(error, given, controller)
        elif isinstance(error, DATABASE_AWAY):
            await _later(given, "the database is away", 1)
        else:
            await _fail(error, given)
    except GONE:
        _log_end(given, "gone")
    except DATABASE_AWAY:
        await _later(given, "the database is away", 1)
    except Unavailable:  # its time in hand runs out, then it is given out again
        log.warning("the broker is away", type=job.type, key=job.key)


async def _throw(error: BpmnError, given: Given, controller: JobController) -> None:
    async with transaction() as session:
        await jobs.threw(session, given.key, error.error_code, error.detail)
    _log_end(given, "error", code=error.error_code)
    await controller.set_error_status(error.detail, error.error_code)


async def _fail(error: Exception, given: Given) -> None:
    text = _said(error)
    if not isinstance(error, DamsError):
        log.error("handler raised", type=given.type, key=given.key, error=text, at=_place(error))
    async with transaction() as session:
        tries = await jobs.failed(session, given, text, final=isinstance(error, Unusable))
    if tries is None:
        _log_end(given, "parked", error=text)
        await broker.set_job_timeout(given.key, PARKED_MS)
    else:
        await _later(given, text, tries)


async def _later(given: Given, text: str, tries: int) -> None:
    """Give the job back for another try. The broker's count stays: DAMS counts, since crashes count too."""
    _log_end(given, "failed", error=text, tries=tries)
    seconds = min(0.5 * 2**tries, LONGEST_BACK_OFF) * random.uniform(0.67, 1.33)  # noqa: S311 - no secret
    await broker.fail_job(given.key, given.retries, text, int(seconds * 1000))


def _said(error: Exception) -> str:
    """Codes and names. The text of an unknown exception may hold anything, so it stays out."""
    if isinstance(error, DamsError):
        return error.detail
    return "it took longer than its time limit" if isinstance(error, TimeoutError) else type(error).__name__


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(text)
    except (ValueError, TypeError, AttributeError):
        return None
