"""Temporal from DAMS' side: one client per loop, sealed payloads, calls with a limit, workflows named by string.

Whoever starts a workflow gives it an opaque id (:func:`app.core.envelope.opaque`): ids are the one thing that the
server keeps in clear. Nothing connects before the first call, and the channel connects again by itself, so every
process starts with Temporal down.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary

from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from app.core import envelope
from app.core.errors import Conflict, DamsError, Forbidden, Invalid, NoAnswer, NotFound, Unavailable
from app.core.settings import settings
from app.db.session import transaction
from app.engines import runs

ENGINE = "temporal"
ENCODING = b"binary/sealed"
HEALTH_SECONDS = 1.0
"""The server's own word on its health takes no longer, or it is away."""
AWAY = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.CANCELLED, RPCStatusCode.RESOURCE_EXHAUSTED)
SLOW = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.FAILED_PRECONDITION)
"""A failed precondition is the server's answer to a query that no worker polls for."""

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[str, str, Client]] = WeakKeyDictionary()


class Sealing(PayloadCodec):
    """Puts every payload, with its metadata, into an envelope that only DAMS' processes open."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._sealed(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._opened(payload) for payload in payloads]

    @staticmethod
    def _sealed(payload: Payload) -> Payload:
        return Payload(metadata={"encoding": ENCODING}, data=envelope.seal(payload.SerializeToString(), ENGINE))

    @staticmethod
    def _opened(payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        return Payload.FromString(envelope.unseal(payload.data, ENGINE))


def converter() -> DataConverter:
    """JSON in envelopes; messages and stack traces of failures are sealed too."""
    return dataclasses.replace(
        DataConverter.default,
        payload_codec=Sealing(),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def client() -> Client:
    """The loop's client for the server and namespace of the settings; it connects at its first call."""
    loop, given = asyncio.get_running_loop(), settings().temporal
    known = _clients.get(loop)
    if known is None or known[:2] != (given.address, given.namespace):
        made = await Client.connect(
            given.address,
            namespace=given.namespace,
            data_converter=converter(),
            retry_config=RetryConfig(max_elapsed_time_millis=1_000, max_retries=3),
            lazy=True,
        )
        known = _clients[loop] = (given.address, given.namespace, made)
    return known[2]


async def prepare() -> None:
    """Connect, so that the first call need not. Raises :class:`Unavailable`."""
    async with limited() as one:
        await one.service_client.check_health()


@contextlib.asynccontextmanager
async def limited(seconds: float | None = None) -> AsyncGenerator[Client]:
    """The client, for calls that together may take *seconds* (by default `temporal.call_seconds`).

    Raises:
        Unavailable: the server does not answer.
        NoAnswer: the server does, but no worker has answered in time.
        NotFound: the server knows no such workflow or schedule.
    """
    limit = settings().temporal.call_seconds if seconds is None else seconds
    try:
        async with asyncio.timeout(limit):
            yield await client()
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise await _blame(limit) from error
    except RPCError as error:
        if is_away(error):
            raise _away() from error
        if error.status in SLOW:
            raise await _blame(limit) from error
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NotFound("Temporal knows no such workflow.") from error
        raise
    except WorkflowQueryFailedError as error:
        raise NoAnswer("The Temporal worker could not answer the query.") from error
    except RuntimeError as error:  # what the client raises when it cannot connect
        if "connect" not in str(error).lower():
            raise
        raise _away() from error


def is_away(error: RPCError) -> bool:
    """Whether the server is not there. A connection that breaks under a call has no status of its own."""
    broken = error.status is RPCStatusCode.UNKNOWN and "transport error" in error.message
    return error.status in AWAY or broken


def _away() -> Unavailable:
    return Unavailable("Temporal does not answer.", engine=ENGINE, retry_after=5)


async def _blame(limit: float) -> DamsError:
    """Whose silence it was: the server's, or that of the workers behind it."""
    try:
        async with asyncio.timeout(HEALTH_SECONDS):
            await (await client()).service_client.check_health(timeout=timedelta(seconds=HEALTH_SECONDS))
    except (TimeoutError, RPCError, RuntimeError):
        return _away()
    return NoAnswer(f"No Temporal worker has answered within {limit:g} s.", engine=ENGINE)


async def start(
    workflow: str,
    workflow_id: str,
    queue: str,
    given: Any,
    *,
    about: dict[str, Any] | None = None,
    started_by: int | None = None,
    again: bool = False,
) -> WorkflowHandle[Any, Any]:
    """Start *workflow* by name and write down its run; *about* is what ops may see of it.

    An id is used once; with *again*, once more when it has ended.

    Raises:
        Conflict: a workflow of this id runs, or has run.
        Unavailable: the server does not answer.
    """
    reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY
    async with limited() as one:
        try:
            handle = await one.start_workflow(
                workflow,
                given,
                id=workflow_id,
                task_queue=queue,
                id_reuse_policy=reuse,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            )
        except WorkflowAlreadyStartedError as error:
            raise Conflict("This was asked for before.") from error
    async with transaction() as session:
        name = external_id(workflow_id, handle.first_execution_run_id or "")
        await runs.request(session, ENGINE, workflow, about or {}, external_id=name, started_by=started_by)
    return handle


def external_id(workflow_id: str, first_run_id: str) -> str:
    """How `engine_run` names a chain of runs of one workflow."""
    return f"{workflow_id}/{first_run_id}"


async def status(workflow_id: str) -> WorkflowExecutionStatus | None:
    """Where the newest run of this id stands. Raises :class:`NotFound` and :class:`Unavailable`."""
    async with limited() as one:
        return (await one.get_workflow_handle(workflow_id).describe()).status


_ERRORS: dict[str, type[DamsError]] = {error.code: error for error in (Conflict, Forbidden, NotFound)}
REFUSALS = frozenset({*_ERRORS, Invalid.code, "declined"})
"""Codes of what people are told and what is no incident."""


def translated(error: BaseException | None) -> DamsError:
    """What a workflow's failure means to the caller: the error that its activity raised."""
    while error is not None:
        if isinstance(error, ApplicationError):
            if error.type == Invalid.code and error.details:
                return Invalid(dict(error.details[0]))
            if error.type in _ERRORS:
                return _ERRORS[error.type](error.message)
        error = error.__cause__
    return DamsError("The workflow failed; ops can see why.")
