"""The Temporal worker: `python -m temporal.worker [queue …]`, all queues when none is named. Run as many as you like.

It waits for the server as long as it takes, polls again after the server was away, and is judged by its polls: a
sign of life is written only when the server says that this process still polls each of its queues.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from types import ModuleType
from typing import Any

import uvloop
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

import temporal.activities
import temporal.workflows
from app.core import log as logging
from app.core.lifetime import die_with_parent_if_asked
from app.core.log import log
from app.core.settings import settings
from app.db.session import dispose
from app.engines import heartbeat, schedules
from app.engines import workflows as workflows_of_dams
from app.engines.temporal import converter
from temporal import moments
from temporal.activities.failures import Translating
from temporal.workflows.reporting import Reporting

KIND = "temporal-worker"
DRAIN = timedelta(seconds=20)
DEAF_SECONDS = 180.0
"""A long poll lasts a minute. A process that has not polled for three, with a server that answers, is of no use."""


def _modules(package: ModuleType) -> list[ModuleType]:
    names = sorted(one.name for one in pkgutil.iter_modules(package.__path__, f"{package.__name__}."))
    return [importlib.import_module(name) for name in names]


def _defined(module: ModuleType, mark: str) -> list[Any]:
    return [one for one in vars(module).values() if hasattr(one, mark) and one.__module__ == module.__name__]


def workflows(queue: str) -> list[type]:
    """The workflows of a queue."""
    modules = [one for one in _modules(temporal.workflows) if getattr(one, "QUEUE", None) == queue]
    return [found for module in modules for found in _defined(module, "__temporal_workflow_definition")]


def activities(queue: str) -> list[Callable[..., Any]]:
    """The activities of a queue; those of a module without `QUEUE` belong to every queue."""
    modules = [one for one in _modules(temporal.activities) if getattr(one, "QUEUE", queue) == queue]
    return [found for module in modules for found in _defined(module, "__temporal_activity_definition")]


def queues() -> list[str]:
    """Every queue that a workflow or an activity names."""
    modules = [*_modules(temporal.workflows), *_modules(temporal.activities)]
    return sorted({module.QUEUE for module in modules if hasattr(module, "QUEUE")})


def worker(client: Client, queue: str) -> Worker:
    """A worker for one queue: sandboxed workflows, errors translated, ends reported."""
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows(queue),
        activities=activities(queue),
        interceptors=[moments.Telling(), Translating(), Reporting()],
        workflow_runner=moments.Overheard(moments.OURS),
        max_concurrent_activities=settings().database.pool_size,
        max_concurrent_local_activities=settings().database.pool_size,
        graceful_shutdown_timeout=DRAIN,
    )


class Process:
    """Workers of some queues, a pulse, and one stop."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self._queues = list(wanted)
        self._stop = asyncio.Event()
        self._heard = time.monotonic()
        self._polled: dict[str, tuple[int, float]] = {}
        """By queue: its last poll as the server dated it, and the moment (monotonic) at which that was news."""

    def stop(self) -> None:
        """Finish what is in hand, at most 20 s, and end."""
        self._stop.set()

    async def run(self) -> None:
        """Until :meth:`stop`. Raises what ended a worker by itself, and RuntimeError when it no longer polls."""
        client = await self._connected()
        if client is None:
            return
        workers = [worker(client, queue) for queue in self._queues]
        running = [asyncio.create_task(one.run()) for one in workers]
        pulse = asyncio.create_task(self._pulse(client))
        stopped = asyncio.create_task(self._stop.wait())
        log.info("temporal worker polls", queues=self._queues)
        await self._surviving(schedules.plan_shipped())
        await asyncio.wait([*running, pulse, stopped], return_when=asyncio.FIRST_COMPLETED)
        self.stop()
        await asyncio.gather(*(one.shutdown() for one in workers))
        ends = await asyncio.gather(*running, pulse, return_exceptions=True)
        await moments.all_told()
        with contextlib.suppress(Exception):  # the sign of life goes by itself when the database is away
            await heartbeat.rest(KIND)
        await dispose()
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _connected(self) -> Client | None:
        """The client, as soon as the server is there; `Client.connect` itself tries only once."""
        given = settings().temporal
        while not self._stop.is_set():
            with contextlib.suppress(RPCError, RuntimeError, OSError, TimeoutError):
                return await asyncio.wait_for(
                    Client.connect(
                        given.address,
                        namespace=given.namespace,
                        data_converter=converter(),
                        identity=heartbeat.own_name(KIND),
                    ),
                    10,
                )
            log.warning("temporal is away", address=given.address)
            await self._pause(1)
        return None

    async def _pulse(self, client: Client) -> None:
        while not self._stop.is_set():
            try:
                polls = all([await self._polls(client, queue) for queue in self._queues])
            except (RPCError, RuntimeError, TimeoutError):
                self._heard = time.monotonic()  # the server is away: nothing can be said about the polls
                polls = False
            if polls:
                self._heard = time.monotonic()
                await self._surviving(heartbeat.beat(KIND, {"queues": self._queues}))
                await self._surviving(workflows_of_dams.reconcile())
            elif time.monotonic() - self._heard > DEAF_SECONDS:
                raise RuntimeError("the server says that this worker polls no longer")
            await self._pause(heartbeat.EVERY_SECONDS)

    async def _polls(self, client: Client, queue: str) -> bool:
        """Whether this process polls the queue, as the server sees it.

        The server's date is compared with its own earlier one alone: held against this machine's clock it would have a
        worker whose clock is some minutes ahead end itself again and again.
        """
        request = DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
        answer = await client.workflow_service.describe_task_queue(request, timeout=timedelta(seconds=2))
        own = [one.last_access_time.ToNanoseconds() for one in answer.pollers if one.identity == client.identity]
        if not own:
            return False
        last, now = max(own), time.monotonic()
        if queue not in self._polled or self._polled[queue][0] != last:
            self._polled[queue] = last, now
        return now - self._polled[queue][1] < DEAF_SECONDS

    async def _surviving(self, work: Awaitable[object]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the database may be away in many ways; the next beat tries again
            log.warning("a beat was left out", error=type(error).__name__)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)


async def main(wanted: list[str]) -> None:
    """Serve *wanted* queues, or all. Exits with 2 for a queue that nothing belongs to."""
    logging.configure()
    known = queues()
    if unknown := sorted(set(wanted) - set(known)):
        sys.exit(f"unknown queue: {', '.join(unknown)}; there are {', '.join(known)}")
    one = Process(wanted or known)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, one.stop)
    await one.run()


if __name__ == "__main__":
    die_with_parent_if_asked()
    uvloop.run(main(sys.argv[1:]))
