"""What a service task of a model can have done elsewhere, by the topic it names.

An engine joins with one function in its own module and its line in `HOMES`, and where a model can be wrong about its
inputs or its name with further ones:

    @topics.serves("pipeline")
    async def serve(session: Session, asked: Asked) -> None: ...

    @topics.checks("pipeline")
    def faults(name: str, inputs: Mapping[str, str | None]) -> list[Fault]: ...

    @topics.knows("pipeline")
    async def known(session: Session, name: str) -> Doubt | None: ...

The first works in the transaction of the step that reached the task, reaches its engine through the outbox, and leaves
a run whose `instance_id` and `task_id` are those of the task. How the run ends comes back to the task: `spiff.jobs`.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.errors import DamsError
from app.db.session import Session
from app.engines import runs

HOMES = {
    "pipeline": "app.engines.pipelines",
    "zeebe": "app.engines.zeebe.instances",
    "temporal": "app.engines.catalogue",
    "http": "app.engines.calls",
    "mail": "app.engines.letters",
}
"""The module of each kind of topic; importing it registers its functions."""
ENGINES = {"pipeline": "celery"}
"""The engine of a kind where it has another name."""
SYNTAX = "pipeline:NAME, zeebe:PROCESS, temporal:WORKFLOW, http or mail"
_TOPIC = re.compile(r"(pipeline|zeebe|temporal):([\w.-]{1,200})|(http|mail)", re.ASCII)


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
Fault = tuple[str, str]
"""What is wrong, and its cure."""
Check = Callable[[str, Mapping[str, str | None]], list[Fault]]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A name that nothing is known by, and the cure; not *sure* where it may become known."""

    message: str
    fix: str
    sure: bool


Known = Callable[[Session, str], Awaitable[Doubt | None]]
_served: dict[str, Serve] = {}
_checked: dict[str, Check] = {}
_known: dict[str, Known] = {}


def serves(kind: str) -> Callable[[Serve], Serve]:
    """Register what is done for topics of *kind*."""

    def register(function: Serve) -> Serve:
        if kind in _served:
            raise RuntimeError(f"two functions for {kind!r}")
        _served[kind] = function
        return function

    return register


def checks(kind: str) -> Callable[[Check], Check]:
    """Register what looks at topics of *kind* when a model is deployed."""

    def register(function: Check) -> Check:
        _checked[kind] = function
        return function

    return register


def knows(kind: str) -> Callable[[Known], Known]:
    """Register who knows the names of *kind*, where they stand in the database."""

    def register(function: Known) -> Known:
        _known[kind] = function
        return function

    return register


def read(topic: str) -> tuple[str, str] | None:
    """Kind and name of a topic, or None for one that nothing here serves. The kinds `http` and `mail` have no names."""
    found = _TOPIC.fullmatch(topic.strip())
    return (found[1] or found[3], found[2] or "") if found else None


def faults(topic: str, inputs: Mapping[str, str | None]) -> list[Fault]:
    """What a model gets wrong about a topic. *inputs* are its parameters; None is a value that is computed."""
    kind, name = read(topic) or ("", "")
    importlib.import_module(HOMES[kind])
    check = _checked.get(kind)
    return check(name, inputs) if check is not None else []


async def doubt(session: Session, topic: str) -> Doubt | None:
    """Why nothing might answer to a topic's name; None where something does."""
    kind, name = read(topic) or ("", "")
    importlib.import_module(HOMES[kind])
    known = _known.get(kind)
    return await known(session, name) if known is not None else None


def nearest(name: str, names: Iterable[str], otherwise: str) -> str:
    """The cure for a name that is wrong."""
    near = difflib.get_close_matches(name, list(names), 3)
    return f"did you mean {' or '.join(near)}?" if near else otherwise


async def ask(session: Session, topic: str, asked: Asked) -> None:
    """Have it done. What its engine refuses at once is a failed run with an incident, never a lost step; a retry asks
    anew.
    """
    kind, _ = read(topic) or ("", "")
    if kind not in _served:
        importlib.import_module(HOMES[kind])
    try:
        async with session.begin_nested():
            await _served[kind](session, asked)
    except DamsError as error:
        run_id = await runs.request(
            session,
            ENGINES.get(kind, kind),
            asked.name or kind,
            {runs.ANEW: topic},
            case=asked.case,
            instance_id=asked.instance_id,
            task_id=asked.task_id,
            started_by=asked.started_by,
        )
        if run_id is not None:
            await runs.failed(session, run_id, error.code, error.detail)
