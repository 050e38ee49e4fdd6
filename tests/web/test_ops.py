"""The ops page: what it shows of servers and workers that are not there, and what can be done on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from lxml import html
from sqlalchemy import text

from app.db.session import transaction
from app.engines import health, runs
from app.engines.heartbeat import Sign
from app.engines.operations import Counts, Waiting
from app.web import tiles
from tests.web.conftest import Caller, Visitor, value

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def facts(*signs: tuple[str, bool], servers: dict[str, str] | None = None, queued: int | None = 3) -> tiles.Facts:
    up = dict.fromkeys(("postgresql", "redis", "zeebe", "temporal"), "up")
    shown = [Sign(f"{kind}@host:{n}", kind, n, NOW, NOW - timedelta(seconds=n), alive, {"types": ["a", "b"]})
             for n, (kind, alive) in enumerate(signs)]  # fmt: skip
    waiting = [Waiting("mail", "parked", 2, NOW)]
    return tiles.Facts(NOW, up | (servers or {}), shown, Counts(5, 1, 2, {"zeebe": 1000}), waiting, queued)


@pytest.mark.parametrize(
    ("signs", "servers", "title", "state"),
    [
        ([("relay", True)], {}, "SpiffWorkflow", "up"),
        ([], {}, "SpiffWorkflow", "down"),
        ([("relay", False)], {}, "SpiffWorkflow", "down"),
        ([("celery", True), ("beat", True)], {}, "Celery", "up"),
        ([("celery", True), ("celery", False), ("beat", True)], {}, "Celery", "partly"),
        ([("celery", True)], {}, "Celery", "partly"),
        ([("celery", True), ("beat", True)], {"redis": "down"}, "Celery", "down"),
        ([("zeebe-worker", True)], {}, "Zeebe", "up"),
        ([("zeebe-worker", True)], {"zeebe": "down"}, "Zeebe", "down"),
        ([("temporal-worker", False)], {}, "Temporal", "down"),
        ([], {}, "Airflow", "off"),
        ([], {"airflow": "down"}, "Airflow", "down"),
        ([], {"airflow": "up"}, "Airflow", "up"),
        ([], {}, "Mail", "partly"),
    ],
)
def test_an_engine_is_up_when_its_server_and_each_of_its_processes_live(
    signs: list[tuple[str, bool]], servers: dict[str, str], title: str, state: str
) -> None:
    found = {tile.title: tile for tile in tiles.all_of(facts(*signs, servers=servers))}
    assert found[title].state == state


def test_figures_that_stop_at_their_bound_say_so() -> None:
    found = {tile.title: tile for tile in tiles.all_of(facts(("zeebe-worker", True), queued=None))}
    assert "1000 or more runs under way" in found["Zeebe"].lines
    assert "2 job types served" in found["Zeebe"].lines
    assert "queue not known" in found["Celery"].lines


def test_the_page_is_there_while_every_engine_is_away(
    visitor: Callable[[str], Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_known", None)
    page = html.fromstring(visitor("ops").get("/ops").text)
    states = {card.xpath("normalize-space(h2/text())"): card.xpath("normalize-space(h2/span)")
              for card in page.xpath("//section[contains(@class, 'tile')]")}  # fmt: skip
    assert states["SpiffWorkflow"] == "down"  # no relay runs in this test
    assert states["Airflow"] == "off"
    assert "A stopped worker shows here within 10 s." in page.text_content()


async def _failed_run() -> None:
    async with transaction() as session:
        await session.execute(
            text(
                """insert into pipeline (name, title, description, input_schema, roles)
                   values ('signup', '', '', '{}', '{ops}')"""
            )
        )
        run_id = await runs.request(session, "celery", "signup", {}, external_id="job-1", case="A-9")
        assert run_id
        await runs.failed(session, run_id, "task-failed", "insert_profile failed")


async def test_a_failed_job_is_retried_from_the_page(visitor: Callable[[str], Visitor]) -> None:
    await _failed_run()
    ops = visitor("ops")
    page = html.fromstring(ops.get("/ops").text)
    assert "insert_profile failed" in page.text_content()
    ops.post(page.xpath("string(//form[contains(@action, '/retry')]/@action)"), 303)
    assert "Nothing is stuck." in ops.get("/ops").text
    assert await value("select status from engine_run where external_id = 'job-1'") == "requested"


async def test_a_cancel_needs_a_reason_and_happens_once(visitor: Callable[[str], Visitor]) -> None:
    await _failed_run()
    ops = visitor("ops")
    where = html.fromstring(ops.get("/ops").text).xpath("string(//form[contains(@action, '/cancel')]/@action)")
    assert "Say in up to 1,000 characters why." in ops.post(where, 422, reason=" ").text
    ops.post(where, 303, reason="asked for twice")
    assert "not open any more" in ops.post(where, 404, reason="again").text
    assert await value("select status from engine_run where external_id = 'job-1'") == "cancelled"


async def test_an_id_of_another_engine_is_found(visitor: Callable[[str], Visitor]) -> None:
    await _failed_run()
    page = html.fromstring(visitor("ops").get("/ops?q=job-1").text)
    assert "celery run: signup" in page.text_content()
    visitor("ops").get("/ops?q=%00job", 400)


async def test_the_page_shows_nothing_of_a_patient(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    caller("staff").start(variables={"patient": "Secretname"}, business_key="Secretname")
    async with transaction() as session:
        case = await session.scalar(text("select case_no from instance"))
    assert "Secretname" not in visitor("ops").get(f"/ops?q={case}").text
    assert case in visitor("ops").get(f"/ops?q={case}").text
