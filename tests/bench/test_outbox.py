"""That the measurement of the outbox counts what arrives where it arrives."""

from __future__ import annotations

import os

import pytest
from redis import Redis

from app.bench.outbox import measure
from app.bench.place import Place
from tests.conftest import PASSWORD, REDIS, running


@pytest.fixture
def broker_url() -> str:
    """A database of Valkey of this test's own, empty."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw14").removeprefix("gw")) % 15 + 1
    url = f"redis://:{PASSWORD}@127.0.0.1:{os.environ[REDIS]}/{number}"
    with Redis.from_url(url) as valkey:
        valkey.flushdb()
    return url


@pytest.mark.timeout(300)
async def test_the_outbox_is_measured_and_each_row_is_counted_in_the_brokers_queue(
    owner_url: str, broker_url: str
) -> None:
    queue = {"DAMS_CELERY__BROKER_URL": broker_url, "DAMS_CELERY__RESULT_BACKEND": broker_url}
    with running(["-m", "workers.relay"], queue) as process:
        place = Place("", {"relay": process.pid}, owner_url)
        figures = await measure(place, broker_url, 60, 1, lambda _what: None)
    assert {name: figures[name] for name in ("rows", "lost", "doubled", "errors")} == {
        "rows": 60,
        "lost": 0,
        "doubled": 0,
        "errors": 0,
    }
    assert 0 < figures["sent_p50_ms"] <= figures["sent_p95_ms"]
    assert figures["rows_per_s"] > 0
    assert figures["relay_cpu_ms"] > 0


@pytest.mark.timeout(300)
async def test_a_row_that_the_broker_got_twice_is_seen(owner_url: str, broker_url: str) -> None:
    queue = {"DAMS_CELERY__BROKER_URL": broker_url, "DAMS_CELERY__RESULT_BACKEND": broker_url}
    with Redis.from_url(broker_url) as valkey:
        valkey.lpush("celery", "one more")
    with running(["-m", "workers.relay"], queue) as process:
        place = Place("", {"relay": process.pid}, owner_url)
        assert (await measure(place, broker_url, 10, 0.1, lambda _what: None))["doubled"] == 1
