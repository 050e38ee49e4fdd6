"""Pipelines that misbehave, for a worker that a test starts with `--include tests.celery.hazards`."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from celery.canvas import Signature
from pydantic import BaseModel
from sqlalchemy import text

from app.db.session import transaction
from workers.registry import pipeline
from workers.steps import Step
from workers.tasks import child, plain, task

ADMIN = ("admin",)


class Nothing(BaseModel):
    """Nothing is asked for."""


@pipeline("hazard-exit", Nothing, roles=ADMIN)
def hazard_exit(_: Nothing) -> Signature:
    """A task that takes its process with it, every time."""
    return exits.s()


@task("exits")
async def exits(step: Step) -> Any:
    os._exit(9)


@pipeline("hazard-sleep", Nothing, roles=ADMIN)
def hazard_sleep(_: Nothing) -> Signature:
    """A task that takes long, then writes."""
    return sleeps.s()


@task("sleeps")
async def sleeps(step: Step) -> int:
    await step.session.execute(text("insert into inbox (kind, key) values ('slept', :key)"), {"key": str(step.run_id)})
    await asyncio.sleep(300)
    return 1


@pipeline("hazard-block", Nothing, roles=ADMIN)
def hazard_block(_: Nothing) -> Signature:
    """A task that never gives the loop back: only the hard limit ends it."""
    return blocks.s()


@task("blocks")
async def blocks(step: Step) -> None:
    time.sleep(300)  # noqa: ASYNC251 - that is the hazard


@plain("hazard.waits", ignore_result=True)
def waits() -> None:
    """A task that asks Redis for nothing: it waits until it may read the patients, and is done."""
    child.run(_waits())


async def _waits() -> None:
    async with transaction() as session:
        await session.execute(text("lock table patient in share mode"))
