"""Tasks that are sent at once go to Redis together, each as Celery itself would have sent it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from app.core.errors import Unavailable
from app.core.settings import settings
from app.dev.state import free_ports
from app.engines import broker
from tests.celery.conftest import Clinic
from tests.conftest import alone

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("celery")]
OF_ONE = ("id", "root_id", "delivery_tag", "reply_to")
"""What is another for each task, or for each thread that sends."""


@pytest.fixture
async def queue(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Redis]:
    """A Redis database that no worker reads."""
    nobody = alone("sending")
    monkeypatch.setenv("DAMS_CELERY__BROKER_URL", nobody)
    settings.cache_clear()
    broker.forget()
    async with Redis.from_url(nobody) as redis:
        await redis.flushdb()
        yield redis
        await redis.flushdb()
    broker.forget()


async def messages(queue: Redis) -> dict[str, dict[str, Any]]:
    """What waits, by the task's id; each once."""
    found = [json.loads(one) for one in await cast("Any", queue.lrange("celery", 0, -1))]
    by_id = {one["headers"]["id"]: one for one in found}
    assert len(by_id) == len(found)
    return by_id


def shape(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what is its own."""
    headers = {name: value for name, value in message["headers"].items() if name not in OF_ONE}
    properties = {name: value for name, value in message["properties"].items() if name not in OF_ONE}
    properties["correlation_id"] = properties["correlation_id"] == message["headers"]["id"]
    return message | {"headers": headers, "properties": properties}


async def test_each_task_is_there_once_and_as_celery_sends_it(queue: Redis) -> None:
    ids = [f"t-{number}" for number in range(60)]
    await asyncio.gather(*(broker.send("dams.launch", ["r-1"], one) for one in ids))
    broker.client().send_task("dams.launch", ["r-1"], task_id="plain", ignore_result=True)
    found = await messages(queue)
    assert set(found) == {*ids, "plain"}
    plain = shape(found.pop("plain"))
    for one in found.values():
        assert shape(one) == plain
    assert len({one["properties"]["delivery_tag"] for one in found.values()}) == len(ids)


async def test_without_redis_each_of_a_group_is_refused_and_the_next_group_leaves(
    queue: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = settings().celery.broker_url
    monkeypatch.setenv("DAMS_CELERY__BROKER_URL", f"redis://127.0.0.1:{free_ports(1)[0]}/0")
    settings.cache_clear()
    broker.forget()
    sends = [broker.send("dams.launch", [], f"t-{number}") for number in range(5)]
    ends = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(end) for end in ends] == [Unavailable] * 5
    monkeypatch.setenv("DAMS_CELERY__BROKER_URL", there)
    settings.cache_clear()
    broker.forget()
    await asyncio.gather(*(broker.send("dams.launch", [], f"t-{number}") for number in range(5)))
    assert set(await messages(queue)) == {f"t-{number}" for number in range(5)}
