"""That the measurements measure: counters count, percentiles are those of the values, the loads end as they must."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bench import drawings, engine, plans, usage
from app.bench.clients import percentile
from app.bench.pages import PAGES
from app.core.root import ROOT
from app.engines.spiff import steps
from app.engines.spiff.specs import BundleFile, check_bundle

BURN = "import time\nwhile time.process_time() < 0.5: pass\nprint('done', flush=True)\ninput()"


@given(st.lists(st.floats(0, 1000), min_size=1))
def test_a_percentile_is_one_of_the_values_and_in_order(values: list[float]) -> None:
    assert percentile(values, 0) == min(values)
    assert percentile(values, 1) == max(values)
    assert min(values) <= percentile(values, 0.5) <= percentile(values, 0.99) <= max(values)


def test_no_values_have_no_percentile() -> None:
    assert percentile([], 0.5) == 0.0


def test_a_process_tree_counts_the_work_of_its_children() -> None:
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        cpu, memory = usage.trees({"it": process.pid})["it"]
        process.communicate("\n")
    assert 0.5 <= cpu < 30
    assert memory > 5


async def test_the_database_counts_one_transaction_for_one_that_wrote(owner_url: str) -> None:
    from sqlalchemy import text

    from app.db.session import reading, transaction

    before = await usage.counters(owner_url)
    async with reading() as session:
        await session.execute(text("select 1"))
    async with transaction() as session:
        await session.execute(text("insert into candidate_group (name) values ('a')"))
        await session.execute(text("insert into candidate_group (name) values ('b')"))
    spent = (await usage.counters(owner_url)).since(before)
    assert spent["commits"] >= 1  # the server is shared, so others' may be among them
    assert spent["statements"] >= 5
    assert spent["wal_bytes"] > 0


def test_the_measured_appointment_is_a_model_without_findings() -> None:
    assert check_bundle([BundleFile("a.bpmn", engine.APPOINTMENT.read_bytes())]).problems == []


def test_the_measured_appointment_ends_with_what_was_entered() -> None:
    figures = engine.appointment(rounds=2)
    assert figures["completed"]
    assert len(figures["state_bytes"]) == 1 + len(engine.FORMS)


def test_the_loops_end_after_as_many_turns_as_were_asked_for() -> None:
    assert engine.endless(1000)["script_loop_ends_correctly"]
    assert engine.growth(320)["form_loop_turns"] == 320


def test_a_row_of_forms_has_as_many_as_were_asked_for() -> None:
    spec = drawings.loaded(drawings.row_of_forms(12))
    outcome, count = steps.start(spec, {}, bounds=engine.BOUNDS, now=engine.NOW), 0
    while outcome.status == "running":
        outcome, count = engine.complete(spec, outcome, {})[0], count + 1
    assert count == 12


LOG = """2026-11-26 02:00:00.000 UTC [7] LOG:  duration: 0.052 ms  plan:
\tQuery Text: select 1
\t  from login
\tSeq Scan on login  (cost=0.00..1.00 rows=1 width=4) (actual time=0.010..0.020 rows=1 loops=1)
\t  Buffers: shared hit=1
2026-11-26 02:00:00.100 UTC [7] LOG:  duration: 4.500 ms  plan:
\tQuery Text: update login set email = ''
\tUpdate on login  (cost=0.00..1.00 rows=0 width=0) (actual time=4.000..4.000 rows=0 loops=1)
2026-11-26 02:00:00.200 UTC [7] WARNING:  something else
"""


def test_plans_are_read_from_the_servers_log_slowest_first(tmp_path: Path) -> None:
    log = tmp_path / "postgresql.log"
    log.write_text("what was before\n" + LOG)
    slow, fast = plans.read(log, len("what was before\n"))
    assert (slow.ms, slow.sql) == (4.5, "update login set email = ''")
    assert fast.sql == "select 1 from login"
    assert fast.plan.splitlines()[1] == "  Buffers: shared hit=1"
    assert plans.read(log, log.stat().st_size) == []


def bench(folder: Path, *arguments: str, limit: int = 800) -> dict[str, Any]:
    """The figures of one `dams bench … --json` of a service of its own, of which nothing is left."""
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "bench", *arguments, "--json"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("DAMS_")}
        | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_pages_are_measured_each_with_the_plan_of_its_slowest_query(tmp_path: Path) -> None:
    figures = bench(tmp_path, "pages", "--patients", "1000", "--appointments", "10000", "--rounds", "3")
    assert set(figures["pages"]) == set(PAGES)
    for name, found in figures["pages"].items():
        assert 0 < found["p50"] <= found["p95"], name
        assert found["statements"] >= 1, name
        assert "actual time=" in found["slowest"]["plan"], name
    assert "from appointment" in figures["pages"]["schedule, day"]["slowest"]["sql"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_flow_is_measured_on_a_service_of_its_own_that_is_gone_afterwards(tmp_path: Path) -> None:
    small = ("--seconds", "2", "--warm-up", "1", "--clients", "2", "--web-workers", "1")
    figures = bench(tmp_path, "flow", *small)
    assert figures["instances"] >= 1
    assert figures["errors"] == 0
    for name in ("complete_p99_ms", "cpu_ms", "statements", "commits", "wal_bytes", "web_pss_mb"):
        assert figures[name] > 0, name
