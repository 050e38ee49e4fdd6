"""The timeline of a case tells the tries of a workflow's activities, its timers and signals, and a replay adds none."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.worker import Replayer, Worker

from app.db.session import reading, transaction
from app.engines import runs
from app.engines.temporal import converter
from temporal import moments
from temporal.activities.failures import Translating
from tests.temporal.conftest import connected
from tests.temporal.waits import Waits, second_try
from tests.waiting import until

pytestmark = [pytest.mark.engine]
CASE = "C-000042"


async def told() -> Counter[tuple[str, Any, Any]]:
    async with reading() as session:
        found = await session.execute(
            text("select kind, data from case_event where key is not null and case_no = :case"), {"case": CASE}
        )
        return Counter((row.kind, row.data.get("name"), row.data.get("attempt")) for row in found)


EXPECTED: Counter[tuple[str, Any, Any]] = Counter(
    {
        ("temporal.activity-started", "second_try", 1): 1,
        ("temporal.activity-failed", "second_try", 1): 1,
        ("temporal.activity-started", "second_try", 2): 1,
        ("temporal.activity-completed", "second_try", 2): 1,
        ("temporal.timer-fired", None, None): 1,
        ("temporal.signal-received", "call", None): 1,
    }
)


async def test_each_moment_is_told_once_though_every_task_replays_the_workflow(temporal: str) -> None:
    async with transaction() as session:
        await runs.request(session, "temporal", "Waits", {}, case=CASE, external_id="waits-1")
    client = await connected()
    async with Worker(
        client,
        task_queue="waiting",
        workflows=[Waits],
        activities=[second_try],
        interceptors=[moments.Telling(), Translating()],
        workflow_runner=moments.Overheard(),
        max_cached_workflows=0,  # each task begins with a replay
    ):
        handle = await client.start_workflow("Waits", id="waits-1", task_queue="waiting")

        async def fired() -> bool:
            return (await told())["temporal.timer-fired", None, None] == 1

        await until(fired)
        await handle.signal("call", "Ann Lee")
        await handle.result()

        async def whole() -> bool:
            return await told() == EXPECTED

        await until(whole)
    async with reading() as session:
        began = text("select count(*) from case_event where kind = 'temporal.running' and case_no = :case")
        assert await session.scalar(began, {"case": CASE}) == 1
    history = await handle.fetch_history()
    replayer = Replayer(workflows=[Waits], data_converter=converter(), workflow_runner=moments.Undisturbed())
    await replayer.replay_workflow(history)  # nothing was added to it
    async with reading() as session:
        written = await session.scalar(text("select string_agg(data::text, '') from case_event"))
    assert "Ann" not in written
