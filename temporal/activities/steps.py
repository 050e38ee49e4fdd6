"""The kinds of steps that a flow is made of. Adding one is a function here and its name in :data:`KINDS`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
from sqlalchemy import text
from temporalio import activity
from temporalio.exceptions import ApplicationError

from app.clinic import local_time
from app.core.settings import settings
from app.db.session import reading, transaction
from app.engines import pipelines
from temporal.workflows.flow import QUEUE as QUEUE
from temporal.workflows.flow import Call

TIMEOUT = 20.0
PATIENCE = 50.0
"""Seconds that one try of a step waits for a pipeline; less than the workflow's limit for a try."""


@activity.defn(name="run_step")
async def run_step(call: Call) -> Any:
    """Do one step; what it gives is shared with those after it."""
    kind = KINDS.get(call.step.kind)
    if kind is None:
        raise _failed(f"there is no kind of step {call.step.kind!r}")
    return await kind(filled(call.step.given, call.shared), call.shared)


def filled(given: Any, shared: dict[str, Any]) -> Any:
    """The parameters with every ``{name}`` of a shared value filled in."""
    if isinstance(given, dict):
        return {name: filled(value, shared) for name, value in given.items()}
    if not isinstance(given, str):
        return given
    for name, value in shared.items():
        if isinstance(value, str | int | float):
            given = given.replace("{" + name + "}", str(value))
    return given


async def nothing(_given: dict[str, Any], _shared: dict[str, Any]) -> None:
    """Marks a point of the flow."""


async def http(given: dict[str, Any], _shared: dict[str, Any]) -> Any:
    """GET `path` of a named `connection` with `query`; anything but the status in `expects` (200) fails the step."""
    name = str(given.get("connection", "dams"))
    connection = settings().flow.connections.get(name)
    if connection is None:
        raise _failed(f"there is no connection {name!r}")
    token = connection.token.get_secret_value()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=connection.url, headers=headers, timeout=TIMEOUT) as client:
        answer = await client.get(str(given["path"]), params=given.get("query", {}))
    expected = int(given.get("expects", 200))
    if answer.status_code != expected:
        raise _failed(f"the answer was {answer.status_code}, not {expected}")
    return answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.text


async def logins(_given: dict[str, Any], _shared: dict[str, Any]) -> list[int]:
    """Every account's number, no name and no password."""
    async with reading() as session:
        return [int(row.id) for row in await session.execute(text("select id from login order by id"))]


async def count(given: dict[str, Any], shared: dict[str, Any]) -> int:
    """How many records the step `of` gave, in its `member` if that is named. None at all fails the step."""
    found = shared.get(str(given.get("of", "")))
    if isinstance(found, dict):
        found = found.get(str(given.get("member", "records")))
    if not isinstance(found, list) or not found:
        raise _failed("there is nothing to count")
    return len(found)


async def pipeline(given: dict[str, Any], _shared: dict[str, Any]) -> Any:
    """Run the Celery pipeline `name` with the input `given` and share its result. A try after the first waits for the
    same run; a pipeline that fails or is called off fails the step.
    """
    info = activity.info()
    key = f"{info.workflow_run_id}:{info.activity_id}"
    async with transaction() as session:
        run_id = await pipelines.start(session, str(given["name"]), dict(given.get("given", {})), key=key)
    return await pipelines.outcome(run_id, PATIENCE)


async def message(given: dict[str, Any], _shared: dict[str, Any]) -> str:
    """`text`, with ``{now}`` as the clinic's wall clock shows it."""
    now = datetime.now(local_time.zone())
    return str(given["text"]).replace("{now}", f"{now:%Y-%m-%d %H:%M}")


def _failed(why: str) -> ApplicationError:
    return ApplicationError(why, type="step-failed", non_retryable=True)


KINDS: dict[str, Callable[[dict[str, Any], dict[str, Any]], Awaitable[Any]]] = {
    "nothing": nothing,
    "http": http,
    "logins": logins,
    "count": count,
    "message": message,
    "pipeline": pipeline,
}
