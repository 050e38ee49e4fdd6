"""Job handlers of Zeebe, one module per topic. A handler is an async function under :func:`job`, found by itself.

    class Given(BaseModel):
        docid: str

    class Answer(BaseModel):
        data: list[dict[str, Any]]

    @job("select_diagnosis", Given, Answer, timeout=10)
    async def select_diagnosis(session: Session, given: Given, job: Job) -> Answer: ...

The members of `Given` are the variables that the job must find, those of `Answer` the variables that it sets; both
are checked. The session commits when the handler returns and rolls back when it raises. The broker may hand a job out
twice: what is done through the session happens once. An effect outside goes through `outbox.enqueue` with
`job.business_key` as its key. A business error is a :class:`BpmnError`; any other error is tried again.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel

from app.core.errors import DamsError
from app.db.session import Session
from app.engines.zeebe.variables import ClearMark

G = TypeVar("G", bound=BaseModel)
A = TypeVar("A", bound=BaseModel)


class BpmnError(DamsError):
    """A business error that the model catches with an error boundary event

    *code* is the one drawn there; *message* says nothing about a patient.
    """

    code, status = "bpmn-error", 422

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.error_code = code


class CalledOff(Exception):
    """This job must not be done: the instance with `root` as its key is not wanted any more."""

    def __init__(self, root: int) -> None:
        super().__init__(root)
        self.root = root


@dataclass(frozen=True, slots=True)
class Job:
    """What a handler may know about its job. `variables` are as the broker holds them, sealed."""

    key: int
    type: str
    run_id: UUID | None
    process_id: str
    element_id: str
    element_instance_key: int
    instance_key: int
    variables: Mapping[str, Any]

    @property
    def business_key(self) -> str:
        """Names this element of this run, the same at every try: the key of its effects."""
        return f"{self.run_id or self.instance_key}:{self.element_id}:{self.element_instance_key}"


@dataclass(frozen=True, slots=True)
class Handler:
    """One job type. `timeout` is in seconds for one try; `at_once` bounds the jobs of this type in one process."""

    type: str
    given: type[BaseModel]
    answer: type[BaseModel]
    function: Callable[[Session, Any, Job], Awaitable[BaseModel]]
    timeout: float
    at_once: int

    @property
    def clear(self) -> frozenset[str]:
        """The outputs that a gateway may read."""
        fields = self.answer.model_fields.items()
        return frozenset(name for name, field in fields if any(isinstance(mark, ClearMark) for mark in field.metadata))

    @property
    def wants_all(self) -> bool:
        return self.given.model_config.get("extra") == "allow"


handlers: dict[str, Handler] = {}


def job(
    type_: str, given: type[G], answer: type[A], *, timeout: float = 30.0, at_once: int = 16
) -> Callable[[Callable[[Session, G, Job], Awaitable[A]]], Callable[[Session, G, Job], Awaitable[A]]]:
    """Register the handler of a job type. Raises RuntimeError for a second one of the same type."""

    def register(function: Callable[[Session, G, Job], Awaitable[A]]) -> Callable[[Session, G, Job], Awaitable[A]]:
        if type_ in handlers:
            raise RuntimeError(f"two handlers for {type_!r}")
        handlers[type_] = Handler(type_, given, answer, function, timeout, at_once)
        return function

    return register


def load() -> dict[str, Handler]:
    """Every handler of this package, by its job type."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return handlers
