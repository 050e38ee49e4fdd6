"""The kinds of steps that a flow is made of. Adding one is a function here and its name in :data:`KINDS`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
from pydantic_core import to_jsonable_python
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from app.clinic import local_time
from app.core import trust
from app.core.settings import settings
from app.db.session import reading, transaction
from app.engines import connections, outbox, pipelines
from app.engines.spiff import sandbox
from temporal.activities.failures import is_passing
from temporal.workflows.flow import QUEUE as QUEUE
from temporal.workflows.flow import Call

TIMEOUT = 20.0
ROWS = 1_000
PATIENCE = 50.0
"""Seconds that one try of a step waits for a pipeline or a program; less than the workflow's limit for a try."""


@activity.defn(name="run_step")
async def run_step(call: Call) -> Any:
    """Do one step; what it gives is shared with those after it."""
    kind = KINDS.get(call.step.kind)
    if kind is None:
        raise _failed(f"there is no kind of step {call.step.kind!r}")
    given = call.step.given if kind in BY_NAME else filled(call.step.given, call.shared)
    return await kind(given, call.shared)


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
    async with reading() as session:
        connection = (await connections.known(session)).get(name)
    if connection is None:
        raise _failed(f"there is no connection {name!r}")
    token = connection.token.get_secret_value()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    trusted = trust.context()
    async with httpx.AsyncClient(base_url=connection.url, headers=headers, timeout=TIMEOUT, verify=trusted) as client:
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


async def python(given: dict[str, Any], shared: dict[str, Any]) -> Any:
    """Run `script` in the sandbox, with the shared values as its variables; gives what it sets as `result`."""
    try:
        script = sandbox.compile_script(str(given["script"]))
        found = await asyncio.to_thread(sandbox.sandbox().execute, script, shared)
    except (sandbox.ScriptRefused, sandbox.ScriptFailed) as error:
        raise _failed(f"the script did not end well: {error}") from None
    return found.get("result")


async def sql(given: dict[str, Any], shared: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of `query`, at most :data:`ROWS`, read as the role that serves in a transaction that can write nothing.

    ``:name`` stands for a shared value.
    """
    query = text(str(given["query"]))
    values = {name: shared.get(name) for name in query.compile().params}
    try:
        async with transaction() as session:
            await session.execute(text("set transaction read only"))
            rows = (await session.execute(query, values)).mappings().fetchmany(ROWS)
    except DBAPIError as error:
        if is_passing(error):
            raise
        raise _failed("the query was refused") from None  # the database's own words may hold values
    return [dict(to_jsonable_python(dict(row))) for row in rows]


async def mail(given: dict[str, Any], _shared: dict[str, Any]) -> None:
    """Send `text` under `subject` to the addresses in `to`, once, through the outbox."""
    info = activity.info()
    payload = {"to_address": list(given["to"]), "subject": str(given["subject"]), "text": str(given["text"])}
    async with transaction() as session:
        await outbox.enqueue(session, "mail", f"flow:{info.workflow_run_id}:{info.activity_id}", payload)


async def shell(given: dict[str, Any], _shared: dict[str, Any]) -> str:
    """Run `command`, a program with its arguments, where `flow.shell` allows it; what it printed, up to 64 KB."""
    if not settings().flow.shell:
        raise _failed("steps of this kind are off: see flow.shell")
    command = [str(part) for part in given["command"]]
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        printed, _ = await asyncio.wait_for(running.communicate(), PATIENCE)
    except (TimeoutError, asyncio.CancelledError):
        running.kill()
        await running.wait()
        raise
    if running.returncode:
        raise _failed(f"{command[0]} ended with {running.returncode}")
    return printed[:65_536].decode(errors="replace").strip()


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
    "python": python,
    "sql": sql,
    "mail": mail,
    "shell": shell,
}
BY_NAME = (python, sql, shell)
"""Shared values reach these by name: none is ever spliced into a program's text."""
