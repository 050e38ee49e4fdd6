"""Who sends which kind of effect. A module that sends registers itself with :func:`sender`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.errors import DamsError


@dataclass(frozen=True, slots=True)
class Effect:
    """One row of the outbox on its way out. `id` is the same at every try: receivers know a repeat by it."""

    id: UUID
    kind: str
    key: str
    payload: dict[str, Any]
    attempts: int


class Undeliverable(DamsError):
    """This effect can never be sent as it is; trying again would not help"""

    code, status = "undeliverable", 422


Sender = Callable[[Effect], Awaitable[None]]
senders: dict[str, Sender] = {}


def sender(kind: str) -> Callable[[Sender], Sender]:
    """Register the function that sends effects of *kind*. It raises :class:`Undeliverable` for a permanent failure;
    any other error means: try again later.
    """

    def register(function: Sender) -> Sender:
        if kind in senders:
            raise RuntimeError(f"two senders for {kind!r}")
        senders[kind] = function
        return function

    return register
