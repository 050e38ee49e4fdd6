"""``@pipeline(name, Input)``: the pipelines of this worker, by name. One module of `workers.pipelines` is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from celery.canvas import Signature
from pydantic import BaseModel

from app.db.session import Session
from app.engines.runs import Run

I = TypeVar("I", bound=BaseModel)  # noqa: E741 - the input's type
Undo = Callable[[Session, Run, dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A dynamic workflow. `body` builds signatures from the input alone, so that building it again builds the same."""

    name: str
    title: str
    description: str
    input: type[BaseModel]
    body: Callable[[Any], Signature]
    roles: tuple[str, ...]
    undo: Undo | None
    answers: bool
    """Somebody waits for its answer: a refusal is told to them and is no incident."""
    private: bool
    """Its input is erased when it has ended well, or ill with nobody to run it again."""


pipelines: dict[str, Pipeline] = {}


def pipeline(
    name: str,
    input: type[I],  # noqa: A002 - the word of the recipe
    *,
    title: str = "",
    roles: tuple[str, ...] = (),
    undo: Undo | None = None,
    answers: bool = False,
    private: bool = False,
) -> Callable[[Callable[[I], Signature]], Callable[[I], Signature]]:
    """Declare a pipeline. Its docstring is the description on the page; *roles* may start it there.

    *undo* gets the run and the results of its finished tasks by task name, when the run failed or was cancelled.
    """

    def declare(body: Callable[[I], Signature]) -> Callable[[I], Signature]:
        if name in pipelines:
            raise RuntimeError(f"two pipelines are called {name!r}")
        told = " ".join((body.__doc__ or "").split())
        shown = title or name.replace("-", " ").capitalize()
        pipelines[name] = Pipeline(name, shown, told, input, body, roles, undo, answers, private)
        return body

    return declare
