"""What every task of the pipelines is: an async body in one transaction, its effect once, its failure written down.

``@task("name")`` declares one. The body gets a `Step` and the task's arguments and gives ids or other JSON; it may
give a signature instead, which then takes its place. Messages carry ids: what they stand for is read by the body.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID, uuid4

import asyncpg
import uvloop
from celery import Task
from celery.canvas import Signature
from celery.exceptions import Ignore
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.core.errors import DamsError, Invalid
from app.core.log import log
from app.core.settings import settings
from app.db.session import transaction
from workers import canvas, failures, steps
from workers.celery_app import app
from workers.steps import Claim, Key, OverTaken, Step

AWAY = (OSError, OperationalError, InterfaceError, PoolTimeout, asyncpg.PostgresConnectionError)
"""PostgreSQL or a server that a body speaks to is not there: the task tries again, which does not count against it."""
LONGEST_WAIT = 10
MARGIN = 0.8
"""A body ends by itself at this part of the time limit, so that its failure can be written down."""

Body = Callable[..., Awaitable[Any]]
F = TypeVar("F", bound=Callable[..., Any])


class Declared(Protocol):
    """A task as others use it: what Celery makes of a body."""

    name: str

    def s(self, *args: Any, **kwargs: Any) -> Any: ...
    def si(self, *args: Any, **kwargs: Any) -> Any: ...
    def signature(self, *args: Any, **kwargs: Any) -> Any: ...
    def map(self, it: Any) -> Any: ...
    def starmap(self, it: Any) -> Any: ...
    def chunks(self, it: Any, n: int) -> Any: ...
    def delay(self, *args: Any, **kwargs: Any) -> Any: ...
    def apply_async(self, *args: Any, **kwargs: Any) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class TooSlow(Exception):
    """The body did not end within its part of the time limit"""


class StepFailed(Exception):
    """A step failed; what and why stands in PostgreSQL, and only its code goes through Redis"""


class Child:
    """The event loop of one process of the pool. Its connections never cross a fork."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._guard = threading.Lock()

    def start(self) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        with self._guard:
            if self._runner is None:
                self.start()
            assert self._runner is not None  # noqa: S101 - start() made it
            return self._runner.run(work)


child = Child()


def plain(name: str, **options: Any) -> Callable[[F], F]:
    """Celery's own decorator, typed: for the tasks around runs, which are no steps."""
    return cast("Callable[[F], F]", app.task(name=name, max_retries=None, **options))


def task(name: str) -> Callable[[Body], Declared]:
    """Declare a task. The body's module is loaded by the worker; others name it as `app.signature(name)`."""

    def declare(body: Body) -> Declared:
        def run(self: Task, *args: Any, **kwargs: Any) -> Any:
            return perform(self, body, args, kwargs)

        run.__doc__, run.__name__, run.__module__ = body.__doc__, body.__name__, body.__module__
        return cast("Declared", app.task(run, name=name, bind=True, typing=False, max_retries=None))

    return declare


def perform(self: Task, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run *body* as a step. Redelivered, it gives the result it gave before."""
    return _attempt(self, key_of(self), body, args, kwargs)


def _attempt(self: Task, key: Key | None, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if key is None:
        return child.run(_alone(body, args, kwargs))
    try:
        answer = child.run(_step(key, str(self.name), body, args, kwargs))
    except (*AWAY, failures.TryAgain) as error:
        code = error.code if isinstance(error, failures.TryAgain) else "unavailable"
        log.warning("a step is tried again", task=self.name, code=code, error=type(error).__name__)
        if self.request.called_directly:  # one call of a map: Celery can only give out the whole map again
            time.sleep(_wait(0))
            return _attempt(self, key, body, args, kwargs)
        raise self.retry(countdown=_wait(self.request.retries), exc=StepFailed(code)) from error
    if isinstance(answer, Signature):
        raise self.replace(answer)
    return answer


def _wait(tries: int) -> float:
    """Seconds before the next try: always shorter than the visibility timeout, or it would be given out twice."""
    vt = settings().celery.broker_transport_options.visibility_timeout
    return min(0.5 * 2 ** min(tries, 8), LONGEST_WAIT, vt / 3)


def key_of(self: Task) -> Key | None:
    """Which step this is: from the stamps of the run, else from the root task; None for a plain call.

    Inside `map`, `starmap` and `chunks` Celery calls the task itself: each call is a part of that step, by number.
    """
    if not self.request.called_directly:
        return _key(self.request)
    outer = app.current_worker_task
    if outer is None or outer.name not in canvas.MAPS:
        return None
    request = outer.request
    number = request.__dict__["calls"] = request.__dict__.get("calls", 0) + 1
    whole = _key(request)
    return Key(whole.run, f"{whole.step}.{number}", whole.task_id, whole.of_run)


def _key(request: Any) -> Key:
    stamps: dict[str, Any] = request.stamps or {}
    if "run" in stamps:
        return Key(UUID(canvas.single(stamps["run"])), canvas.single(stamps["step"]), request.id, of_run=True)
    return Key(UUID(request.root_id or request.id), request.id, request.id, of_run=False)


async def _alone(body: Body, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    async with transaction() as session:
        return await body(Step(session, Key(uuid4(), "", "", of_run=False)), *args, **kwargs)


async def _step(key: Key, task: str, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    async with transaction() as session:
        claimed = await steps.claim(session, key, task)
    if claimed.state == "done":
        return claimed.result
    if claimed.state == "over":
        raise Ignore
    limit = settings().pipelines.deliveries
    if claimed.attempts > limit:
        await failures.write(key, task, "poison", f"given up after {limit} deliveries: its process died each time")
        raise StepFailed("poison")
    try:
        return await _effect(key, body, args, kwargs)
    except OverTaken:
        raise Ignore from None
    except AWAY:
        raise
    except TooSlow:
        await failures.write(key, task, "no-answer", "it took longer than its time limit")
        raise StepFailed("no-answer") from None
    except DamsError as error:
        if error.retryable and claimed.attempts < limit:
            async with transaction() as session:
                await steps.retried(session, key, error.code)
            raise failures.TryAgain(error.code, claimed.attempts) from error
        errors = error.errors if isinstance(error, Invalid) else None
        await failures.write(key, task, error.code, error.detail or error.title(), errors)
        raise StepFailed(error.code) from error
    except Exception as error:
        log.error("a step failed unexpectedly", task=task, run=str(key.run), exc_info=error)
        # The message of an unknown error may hold a row: only its kind goes where ops reads it.
        await failures.write(key, task, "error", f"unexpected {type(error).__name__}; the worker's log has the trace")
        raise StepFailed("error") from error


async def _effect(key: Key, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    limit = asyncio.timeout(settings().celery.task_time_limit * MARGIN)
    try:
        async with limit:
            return await _transaction(key, body, args, kwargs)
    except TimeoutError as error:
        if limit.expired():
            raise TooSlow from error
        raise


async def _transaction(key: Key, body: Body, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    async with transaction() as session:
        # Two deliveries of one step at once: the second waits here and then finds the result of the first.
        already: Claim | None = await steps.finished(session, key, lock=True)
        if already is not None:
            return already.result
        value = await body(Step(session, key), *args, **kwargs)
        if isinstance(value, Signature):
            await steps.replaced(session, key, canvas.continued(value, key))
        else:
            await steps.done(session, key, value)
        return value
