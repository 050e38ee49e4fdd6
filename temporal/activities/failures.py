"""What an activity's error means to Temporal: tried again, or an end with a reason that may be stored and shown."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio import activity
from temporalio.exceptions import ApplicationError, is_cancelled_exception
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from app.core.errors import DamsError, Invalid
from app.core.log import log

TRIES = 5
"""How often an error that nobody foresaw is tried again. A server that is away is waited for without end."""
AWAY = (OSError, TimeoutError, PoolTimeout, InterfaceError, OperationalError)


class Translating(Interceptor):
    """Adds the translation to every activity of a worker."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        return _Translated(next)


class _Translated(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        try:
            return await self.next.execute_activity(input)
        except (ApplicationError, *AWAY):
            raise
        except DamsError as error:
            raise told(error) from error
        except Exception as error:
            if is_cancelled_exception(error) or is_passing(error):
                raise
            info = activity.info()
            log.error("activity failed", activity=info.activity_type, attempt=info.attempt, exc_info=error)
            # The text of a foreign error may hold anything, so only its kind is kept.
            name = type(error).__name__
            raise ApplicationError(name, type=name, non_retryable=info.attempt >= TRIES) from None


def told(error: DamsError) -> ApplicationError:
    """An error of ours keeps its code, its sentence and, for fields, their sentences."""
    details = [error.errors] if isinstance(error, Invalid) else []
    return ApplicationError(error.detail or error.title(), *details, type=error.code, non_retryable=not error.retryable)


def is_passing(error: Exception) -> bool:
    """A database that restarts, is full of connections or had to choose between two transactions."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(error, DBAPIError) and (state is None or state[:2] in ("08", "57", "53", "40", "55"))
