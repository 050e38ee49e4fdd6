"""What the relay carries to the broker: starts, cancels, jobs to be given out again. At least once, harmless twice."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from app.core.errors import NotFound
from app.core.settings import ROOT, settings
from app.db.session import reading
from app.engines import runs
from app.engines.runs import Run
from app.engines.senders import Effect, Undeliverable, sender
from app.engines.zeebe import broker
from app.engines.zeebe.variables import PROCESS, RUN

START, CANCEL, RELEASE = "zeebe.start", "zeebe.cancel", "zeebe.release"
AROUND = "dams-run"
"""Process id of `bpmn/zeebe/run.bpmn`, which calls the process that is wanted and tells how it ended."""
_deployed: set[str] = set()
_deploying: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


@sender(START)
async def start(effect: Effect) -> None:
    """Start a run, unless it runs or was called off meanwhile. A second instance of it calls itself off."""
    async with reading() as session:
        run = await runs.get(session, UUID(effect.payload["run"]))
    if run is None:
        raise Undeliverable("The run is not there any more.")
    if run.status == "requested" and run.external_id is None:
        await _around(lambda: broker.create(AROUND, _variables(run)))


@sender(CANCEL)
async def cancel(effect: Effect) -> None:
    await broker.cancel(effect.payload["instance"])


@sender(RELEASE)
async def release(effect: Effect) -> None:
    """Let the broker give parked jobs out again: their time in hand ends now."""
    for key in effect.payload["jobs"]:
        await broker.set_job_timeout(key, 1)


async def launch_with_result(run: Run, wanted: str, seconds: float) -> dict[str, Any]:
    """Start a run and wait for the variable *wanted*, sealed. Raises as :func:`broker.create_with_result`."""
    return await _around(lambda: broker.create_with_result(AROUND, _variables(run), [wanted], seconds))


def _variables(run: Run) -> dict[str, Any]:
    return {**run.input.get("variables", {}), RUN: str(run.id), PROCESS: run.name}


async def _around(call: Any) -> Any:
    """*call*, with the surrounding process deployed: once per process of ours, and again for a broker made anew."""
    await prepare()
    try:
        return await call()
    except NotFound:
        _deployed.discard(settings().zeebe.address)
        await prepare()
        return await call()


async def prepare() -> None:
    """Deploy the surrounding process where this one has not yet. Raises :class:`Unavailable`.

    One at a time: starts that come together would each deploy it, and each wait for all of these deployments.
    """
    address = settings().zeebe.address
    if address in _deployed:
        return
    async with _deploying.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        if address not in _deployed:
            await _deploy(address)


async def _deploy(address: str) -> None:
    await broker.deploy({"dams-run.bpmn": (ROOT / "bpmn/zeebe/run.bpmn").read_bytes()})
    _deployed.add(address)
