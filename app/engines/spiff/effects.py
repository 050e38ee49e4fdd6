"""Effects that a model names on a task: what DAMS writes for the clinic when the task is completed.

An effect runs in the transaction of the step, once for each time its task is completed. It reads the instance's
variables and may refuse the step with a `DamsError`; then nothing of the step is written. The effect of a user or
manual task comes before the process goes on, with what was entered, and may give variables to it; a script's after.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from app.core.errors import Conflict, Invalid
from app.db.session import Session
from app.engines.spiff.elements import EFFECTS
from app.engines.spiff.listeners import Heard

HOMES = ("app.engines.spiff.booking", "app.engines.spiff.consultation", "app.engines.spiff.enrolment")
"""Modules with effects; importing them registers what they do."""

Effect = Callable[[Session, Heard], Awaitable[Mapping[str, Any] | None]]
_known: dict[str, Effect] = {}


class Lost(Conflict):
    """Somebody else was first

    The step is taken once more with `variables`, so that the process can go another way; if it comes here again it is
    refused.
    """

    def __init__(self, cause: Conflict, variables: Mapping[str, Any]) -> None:
        super().__init__(cause.detail, **cause.context)
        self.variables = variables


def effect(name: str, *needs: str) -> Callable[[Effect], Effect]:
    """Register the one function of an effect of :data:`EFFECTS`; without a value of each of *needs* it is refused."""

    def register(function: Effect) -> Effect:
        if name in _known or name not in EFFECTS:
            raise RuntimeError(f"{name} is no effect, or has two functions")

        async def checked(session: Session, heard: Heard) -> Mapping[str, Any] | None:
            missing = [one for one in needs if heard.variables.get(one) in (None, "")]
            if missing:
                raise Invalid(dict.fromkeys(missing, f"This is needed to {name.replace('_', ' ')}."))
            return await function(session, heard)

        _known[name] = checked
        return checked

    return register


def load() -> Mapping[str, Effect]:
    """The function of every effect."""
    for module in HOMES:
        importlib.import_module(module)
    return _known


async def precede(session: Session, named: Mapping[str, str], heard: Heard) -> Mapping[str, Any]:
    """Run the effect of a task that somebody completes; what it gives to the process."""
    if heard.element_id not in named:
        return {}
    return await load()[named[heard.element_id]](session, heard) or {}


async def happen(session: Session, named: Mapping[str, str], happened: Iterable[Heard]) -> None:
    """Run the effects of the tasks that were completed, in order. *named* is the effect by the task's id."""
    for heard in happened:
        if heard.event == "completed" and heard.element_id in named:
            await load()[named[heard.element_id]](session, heard)
