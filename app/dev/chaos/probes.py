"""The steady state: what the service must be able to do, each asked for anew and waited for to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from app.dev.chaos import models
from app.dev.chaos.clients import GivenUp
from app.dev.chaos.ground import Ground

LIMIT = 600.0
"""Seconds after which a part counts as not having come back."""
EVERY = 0.1
Probe = Callable[[Ground], Awaitable[None]]


async def form(ground: Ground) -> None:
    """An instance starts and its first form is completed."""
    view = await ground.client.start(models.FORM)
    done = await ground.client.complete(view["tasks"][0]["id"], {"entry_1": "probe"})
    if not done.is_well:
        raise GivenUp(f"a form was answered {done.status}")


def _job(kind: str) -> Probe:
    async def ask(ground: Ground) -> None:
        given = {} if kind == "timer" else ground.given
        view = await ground.client.start(models.JOBS[kind], given)
        while view["status"] == "running" and not view["incidents"]:
            await asyncio.sleep(EVERY)
            view = (await ground.client.show(view["id"])).body
        if view["status"] != "completed":
            raise GivenUp(f"the job for {kind} is {view['status']} with {view['incidents']}")

    return ask


PROBES: dict[str, Probe] = {"form": form} | {kind: _job(kind) for kind in models.JOBS}


NEEDS = {"form": "web", "timer": "relay", "celery": "celery", "zeebe": "zeebe-worker", "temporal": "temporal-worker"}


def possible(ground: Ground) -> list[str]:
    """The probes for which this run has the processes."""
    return [name for name in PROBES if NEEDS[name] in ground.place.supervisor.runs]


async def seconds(ground: Ground, names: Iterable[str], since: float) -> dict[str, float]:
    """Seconds from *since* (monotonic) until each probe was answered, all asked at once.

    Raises:
        GivenUp: which was not answered within :data:`LIMIT`, or what went wrong.
    """

    async def one(name: str) -> tuple[str, float]:
        try:
            async with asyncio.timeout(LIMIT):
                await PROBES[name](ground)
        except TimeoutError as error:
            raise GivenUp(f"no answer to the probe {name!r} within {LIMIT:.0f} s") from error
        return name, time.monotonic() - since

    return dict(await asyncio.gather(*(one(name) for name in names)))
