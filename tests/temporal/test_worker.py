"""What belongs to which queue: nothing is forgotten, and names on both sides are the same."""

from __future__ import annotations

import ast
import asyncio
import gc
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueResponse

import temporal.activities
import temporal.workflows
from app.engines import bills, flows, reservations, schedules, subscriptions
from temporal import moments, worker
from temporal.activities import steps
from temporal.workflows import reporting, reservation

ROOT = Path(temporal.workflows.__file__).parents[1]


def defined(folder: str, decorator: str) -> set[str]:
    """The names that the source gives its workflows or activities."""
    found: set[str] = set()
    for path in (ROOT / folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef | ast.AsyncFunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == decorator:
                        found.add(str(ast.literal_eval(mark.keywords[0].value)))
    return found


def test_every_workflow_and_every_activity_is_registered() -> None:
    registered = {
        one.__dict__["__temporal_workflow_definition"].name for q in worker.queues() for one in worker.workflows(q)
    }
    assert registered == defined("workflows", "workflow.defn")
    done = {one.__temporal_activity_definition.name for q in worker.queues() for one in worker.activities(q)}  # type: ignore[attr-defined]
    assert done == defined("activities", "activity.defn")


def test_each_queue_that_dams_names_has_its_workflow() -> None:
    for engine in (reservations, subscriptions, bills, flows):
        names = [one.__dict__["__temporal_workflow_definition"].name for one in worker.workflows(engine.QUEUE)]
        assert engine.WORKFLOW in names, engine.__name__
    assert reservation.QUEUE == "dams_appointment_queue"
    assert set(flows.KINDS) == set(steps.KINDS)
    assert schedules.flows is flows


@pytest.mark.parametrize("path", sorted((ROOT / "workflows").glob("*.py")), ids=lambda path: path.stem)
def test_a_workflow_imports_only_the_sdk_and_the_standard_library(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = [name for name in names if name != "temporal.workflows"]  # of each other
    allowed = {*sys.stdlib_module_names, "temporalio"}
    assert {name for name in names if name.partition(".")[0] not in allowed} == set()


def test_workflows_keep_their_sandbox() -> None:
    for queue in worker.queues():
        assert all(one.__dict__["__temporal_workflow_definition"].sandboxed for one in worker.workflows(queue))


def test_an_unknown_queue_is_named_with_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "temporal.worker", "nobody"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT.parent,
    )
    assert done.returncode == 1
    assert "unknown queue: nobody; there are dams_appointment_queue" in done.stderr


@pytest.mark.parametrize("ahead", [-3600, 0, 3600])
async def test_whether_a_worker_polls_is_told_by_the_servers_clock_alone(
    monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """A worker whose clock was some minutes ahead of the server's wrote no sign of life and ended itself."""
    polled, here = 1_800_000_000, 50.0
    monkeypatch.setattr(time, "time", lambda: float(polled + ahead))
    monkeypatch.setattr(time, "monotonic", lambda: here)

    class Server:
        namespace, identity = "dams", "temporal-worker@here:1"

        @property
        def workflow_service(self) -> Server:
            return self

        async def describe_task_queue(self, *_: object, **__: object) -> DescribeTaskQueueResponse:
            own = PollerInfo(identity=self.identity, last_access_time=Timestamp(seconds=polled))
            other = PollerInfo(
                identity="temporal-worker@there:1", last_access_time=Timestamp(seconds=int(here) * 10**8)
            )
            return DescribeTaskQueueResponse(pollers=[own, other] if polled else [other])

    server, one = Server(), worker.Process(["q"])
    assert await one._polls(server, "q")  # type: ignore[arg-type]
    here += worker.DEAF_SECONDS - 1
    assert await one._polls(server, "q")  # type: ignore[arg-type]
    here += 2
    assert not await one._polls(server, "q")  # type: ignore[arg-type]
    polled += 1
    assert await one._polls(server, "q")  # type: ignore[arg-type]
    polled = 0
    assert not await one._polls(server, "q")  # type: ignore[arg-type]


async def test_a_workflow_that_its_worker_lets_go_of_reports_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that forgets a workflow closes it in the middle: it has not ended, and can wait for nothing any more."""
    told: list[str] = []

    class Waiting:
        async def execute_workflow(self, _input: object) -> None:
            await asyncio.get_running_loop().create_future()

    async def execute_activity(name: str, *_: object, **__: object) -> None:
        told.append(name)

    one = SimpleNamespace(workflow_id="w", first_execution_run_id="r", workflow_type="t")
    monkeypatch.setattr(reporting.workflow, "info", lambda: one)
    monkeypatch.setattr(reporting.workflow, "memo_value", lambda _name, default: default)
    monkeypatch.setattr(reporting.workflow, "execute_activity", execute_activity)
    running = reporting._Reported(Waiting()).execute_workflow(SimpleNamespace())  # type: ignore[arg-type]
    running.send(None)
    await asyncio.sleep(0)  # the report of its beginning is a task of its own
    running.close()
    assert told == ["record_began"]


async def test_nothing_is_collected_while_a_workflow_is_loaded() -> None:
    """Before Python 3.12 the import that a finalizer does within another fails that one with a KeyError."""
    within: list[bool] = []

    def collects(phase: str, info: dict[str, int]) -> None:
        frames = [frame.filename for frame in traceback.extract_stack()] if phase == "start" else []
        within.append(any(name.endswith("workflow_sandbox/_importer.py") for name in frames))

    thresholds = gc.get_threshold()
    gc.callbacks.append(collects)
    gc.set_threshold(10, 1, 1)
    try:
        for made in worker.workflows(reservation.QUEUE):
            moments.Overheard().prepare_workflow(made.__dict__["__temporal_workflow_definition"])
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(collects)
    assert gc.isenabled()
    assert True not in within
