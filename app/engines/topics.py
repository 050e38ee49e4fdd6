"""What a service task of a model can have done elsewhere, by the topic it names: `pipeline:…` or `zeebe:…`.

An engine joins with one function in its own module and its line in `HOMES`:

    @topics.serves("pipeline")
    async def serve(session: Session, asked: Asked) -> None: ...

It works in the transaction of the step that reached the task, reaches its engine through the outbox, and leaves a run
whose `instance_id` and `task_id` are those of the task. How the run ends comes back to the task: `spiff.jobs`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.errors import DamsError
from app.db.session import Session
from app.engines import runs

HOMES = {"pipeline": "app.engines.pipelines", "zeebe": "app.engines.zeebe.instances"}
"""The module of each kind of topic; importing it registers its function."""
ENGINES = {"pipeline": "celery", "zeebe": "zeebe"}
_TOPIC = re.compile(rf"({'|'.join(HOMES)}):([\w.-]{{1,200}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """A task that waits for *name* to be done with *given*; *started_by* is whose step reached it."""

    name: str
    given: dict[str, Any]
    instance_id: UUID
    task_id: UUID
    case: str | None
    started_by: int | None


Serve = Callable[[Session, Asked], Awaitable[None]]
_served: dict[str, Serve] = {}


def serves(kind: str) -> Callable[[Serve], Serve]:
    """Register what is done for topics of *kind*."""

    def register(function: Serve) -> Serve:
        if kind in _served:
            raise RuntimeError(f"two functions for {kind!r}")
        _served[kind] = function
        return function

    return register


def read(topic: str) -> tuple[str, str] | None:
    """Kind and name of a topic, or None for one that nothing here serves."""
    found = _TOPIC.fullmatch(topic.strip())
    return (found[1], found[2]) if found else None


async def ask(session: Session, topic: str, asked: Asked) -> None:
    """Have it done. What its engine refuses at once is a failed run with an incident, never a lost step."""
    kind, _ = read(topic) or ("", "")
    if kind not in _served:
        importlib.import_module(HOMES[kind])
    try:
        async with session.begin_nested():
            await _served[kind](session, asked)
    except DamsError as error:
        run_id = await runs.request(
            session,
            ENGINES[kind],
            asked.name,
            {},
            case=asked.case,
            instance_id=asked.instance_id,
            task_id=asked.task_id,
            started_by=asked.started_by,
        )
        if run_id is not None:
            await runs.failed(session, run_id, error.code, error.detail)
