"""Celery's configuration from the settings, and the client that sends tasks by name. No task lives here."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from app.core.errors import Unavailable
from app.core.settings import settings
from app.core.together import Together

SEND_SECONDS = 5.0
_clients: dict[int, Celery] = {}


def configured(app: Celery) -> Celery:
    """*app* with what `[celery]` says and nothing else: there is no second source of its settings."""
    app.conf.update(settings().celery.model_dump())
    return app


def client() -> Celery:
    """This process's client. It fails at once where Celery would try a broker that is away again and again."""
    found = _clients.get(os.getpid())
    if found is None:
        found = configured(Celery("dams-client", set_as_current=False))
        found.conf.task_publish_retry = False
        _clients.clear()
        _clients[os.getpid()] = found
    return found


def forget() -> None:
    """Make a new client at the next use. For a process that changes its settings, as a test run does."""
    for one in _clients.values():
        one.close()
    _clients.clear()


async def prepare() -> None:
    """Connect, so that the first task need not. Raises :class:`Unavailable`."""

    def connect() -> None:
        with client().producer_pool.acquire(block=True) as producer:
            producer.connection.ensure_connection(max_retries=1)

    await _spoken(connect)


async def send(task: str, args: list[Any], task_id: str) -> None:
    """Put a task into the queue. *args* are ids, never what they stand for.

    Raises:
        Unavailable: the broker does not take it within :data:`SEND_SECONDS`.
    """
    await _sending.add((task, args, task_id))


async def _send_all(tasks: list[tuple[str, list[Any], str]]) -> None:
    """In one thread and one message to Redis, since a change of threads and a round trip each cost as much as a task;
    where one is refused, all are sent again.
    """

    def send_each() -> None:
        app = client()
        with app.producer_pool.acquire(block=True) as producer, producer.batch():
            declared: dict[str, Any] = {}  # the first one declares its queue, and those behind it need not
            for task, args, task_id in tasks:
                # Nobody listens for a result: asking for one would subscribe this process to a channel per task.
                app.send_task(task, args, task_id=task_id, ignore_result=True, producer=producer, **declared)
                declared = {"declare": []}

    await _spoken(send_each)


_sending = Together(_send_all)


async def revoke(run_id: str) -> None:
    """Tell the workers to end what they do for a run and to drop the rest of it. Raises :class:`Unavailable`."""
    await _spoken(lambda: client().control.revoke_by_stamped_headers({"run": [run_id]}, terminate=True))


async def _spoken(call: Any) -> None:
    try:
        await asyncio.wait_for(asyncio.to_thread(call), SEND_SECONDS)
    except (KombuError, RedisError, OSError, TimeoutError) as error:
        raise Unavailable("Redis, the broker of the pipelines, does not answer.", engine="redis") from error
