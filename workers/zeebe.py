"""The Zeebe worker process: polls for the job types of `workers.jobs` and executes them. Run as many as you like.

It is alive as long as its polls come back. A poller that stops while the broker answers ends the process with 1, and
the supervisor starts it again; a broker that is away is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
import time
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import uvloop
from pyzeebe import Job as BrokerJob
from pyzeebe import ZeebeWorker
from pyzeebe.errors import (
    ZeebeBackPressureError,
    ZeebeDeadlineExceeded,
    ZeebeGatewayUnavailableError,
    ZeebeInternalError,
)
from pyzeebe.grpc_internals.types import CompleteJobResponse
from pyzeebe.grpc_internals.zeebe_adapter import ZeebeAdapter
from sqlalchemy.exc import SQLAlchemyError

from app.core import log as logging
from app.core.lifetime import die_with_parent_if_asked
from app.core.log import log
from app.core.settings import settings
from app.db.session import dispose
from app.engines import heartbeat
from app.engines.zeebe import broker
from workers import jobs
from workers.execution import execution, on_failure

KIND = "zeebe-worker"
DRAIN_SECONDS = 20
POLL_MS = 10_000
SPARE_SECONDS = 15
"""The broker waits so much longer than a handler may take, so that a slow answer is not a second delivery."""
LOST = (ZeebeBackPressureError, ZeebeGatewayUnavailableError, ZeebeInternalError, ZeebeDeadlineExceeded)
STOPPED, STALE = 0, 1
LONGEST_POLL_SECONDS = 25.0
"""A poll takes no longer: twice :data:`POLL_MS` with a broker that is not ready yet, and five that pyzeebe waits."""


class Pulse(ZeebeAdapter):
    """The gateway with a note of when each poll last came back, and with completions that are tried again."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel, -1)  # the library's default of 10 stops all polls for good after ten losses
        self.polled: dict[str, float] = {}

    async def activate_jobs(self, task_type: str, *args: Any, **named: Any) -> AsyncGenerator[BrokerJob]:
        try:
            async for job in super().activate_jobs(task_type, *args, **named):
                yield job
        except ZeebeBackPressureError:  # the broker is there and busy; the library would sit out five seconds
            await asyncio.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - no secret
        self.polled[task_type] = time.monotonic()

    async def complete_job(self, job_key: int, variables: Any) -> CompleteJobResponse:
        """Five tries: without the answer a job is handed out again when its time in hand has run out."""
        for attempt in range(5):
            try:
                return await super().complete_job(job_key, variables)
            except LOST as error:
                log.warning("completion is tried again", key=job_key, error=type(error).__name__)
                await asyncio.sleep(0.2 * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        return await super().complete_job(job_key, variables)

    def wait_anew(self) -> None:
        """The broker is away: no poll can come back, and none is late before it could have since."""
        self.polled = dict.fromkeys(self.polled, time.monotonic())

    def ages(self) -> dict[str, float]:
        """Seconds since the last poll of each job type came back."""
        now = time.monotonic()
        return {type_: round(now - at, 1) for type_, at in self.polled.items()}


async def _before(job: BrokerJob) -> BrokerJob:
    log.info("job", type=job.type, key=job.key, instance=job.process_instance_key, element=job.element_id)
    return job


class Worker:
    """Polls, signs of life and the watch over the polls, with one stop."""

    def __init__(self, handlers: dict[str, jobs.Handler]) -> None:
        self._handlers = handlers
        self._stop = asyncio.Event()

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> int:
        """Until :meth:`stop`, then at most 20 s for what is in hand; the process's exit code.

        A loop that ends by itself ends the process with its error.
        """
        pulse = Pulse(broker.channel())
        worker = self._worker(pulse)
        log.info("zeebe worker", types=sorted(self._handlers))
        working = asyncio.create_task(worker.work())
        watching = asyncio.create_task(self._watch(pulse))
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([working, watching, stopped], return_when=asyncio.FIRST_COMPLETED)
        code = watching.result() if watching.done() else STOPPED
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(worker.stop(), DRAIN_SECONDS)
        for task in (working, watching, stopped):
            task.cancel()
        ends = await asyncio.gather(working, watching, stopped, return_exceptions=True)
        await self._leave(pulse)
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return code

    def _worker(self, pulse: Pulse) -> ZeebeWorker:
        worker = ZeebeWorker(
            pulse._channel,  # pyright: ignore[reportPrivateUsage] - the adapter below is put in its place
            name=heartbeat.own_name(KIND),
            request_timeout=POLL_MS,
            poll_retry_delay=1,
            before=[_before],
            exception_handler=on_failure,
        )
        worker.zeebe_adapter = pulse
        for handler in self._handlers.values():
            wanted = [] if handler.wants_all else [*handler.given.model_fields, "dams_run"]
            pulse.polled[handler.type] = time.monotonic()
            worker.task(
                task_type=handler.type,
                variables_to_fetch=wanted,
                timeout_ms=int((handler.timeout + SPARE_SECONDS) * 1000),
                max_jobs_to_activate=handler.at_once,
                max_running_jobs=handler.at_once,
            )(execution(handler))
        return worker

    async def _watch(self, pulse: Pulse) -> int:
        """Write signs of life; end when a poll has stopped although the broker answers."""
        while True:
            ages = pulse.ages()
            clear = {type_: sorted(handler.clear) for type_, handler in self._handlers.items()}
            try:
                await heartbeat.beat(KIND, {"types": sorted(ages), "polled": ages, "clear": clear})
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                log.warning("the database is away", error=type(error).__name__)
            oldest, stale = max(ages.values()), settings().zeebe.stale_seconds
            if oldest > min(stale, LONGEST_POLL_SECONDS) and not await broker.answers():
                pulse.wait_anew()
            elif oldest > stale:
                log.error("polls have stopped", types=[type_ for type_, age in ages.items() if age > stale])
                return STALE
            await asyncio.sleep(heartbeat.EVERY_SECONDS)

    async def _leave(self, pulse: Pulse) -> None:
        with contextlib.suppress(SQLAlchemyError, OSError, TimeoutError):
            await heartbeat.rest(KIND)
        await pulse._channel.close()  # pyright: ignore[reportPrivateUsage] - the library has no other way
        await broker.close()
        await dispose()


async def main() -> int:
    logging.configure()
    worker = Worker(jobs.load())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    return await worker.run()


if __name__ == "__main__":
    die_with_parent_if_asked()
    sys.exit(uvloop.run(main()))
