"""Every workflow replays every history that was recorded of it, and a changed workflow is found out."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from app.engines.temporal import converter
from temporal import moments
from temporal.moments import Undisturbed
from temporal.worker import queues, workflows
from temporal.workflows.reporting import Reporting
from tests.temporal.branches import branches

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def history(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, json.loads(path.read_text()))


def replayer(*given: type) -> Replayer:
    return Replayer(
        workflows=given, interceptors=[Reporting()], data_converter=converter(), workflow_runner=Undisturbed()
    )


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    await replayer(*[one for queue in queues() for one in workflows(queue)]).replay_workflow(history(path))


def test_replays_let_nothing_of_ours_through_the_sandbox_as_the_workers_do() -> None:
    strict = replayer(*workflows(queues()[0])).config(active_config=True)["workflow_runner"]
    assert isinstance(strict, SandboxedWorkflowRunner)
    assert "temporal" not in strict.restrictions.passthrough_modules
    assert "temporal" in moments.OURS.passthrough_modules


def test_every_branch_has_a_history_and_every_workflow_a_branch() -> None:
    assert {path.stem for path in HISTORIES} == set(branches)
    told = {
        json.loads(path.read_text())["events"][0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"]
        for path in HISTORIES
    }
    assert told == {name_of(one) for queue in queues() for one in workflows(queue)}


def name_of(one: type) -> str:
    definition: Any = one.__dict__["__temporal_workflow_definition"]
    return str(definition.name)


@workflow.defn(name="FlowWorkflow", sandboxed=False)
class Changed:
    """A flow that waits first, which its recorded histories did not."""

    @workflow.run
    async def run(self, _given: Any) -> None:
        await asyncio.sleep(timedelta(hours=1).total_seconds())


async def test_a_workflow_that_was_changed_without_a_patch_is_found_out() -> None:
    path = next(path for path in HISTORIES if path.stem == "flow-completed")
    with pytest.raises(NondeterminismError):
        await replayer(Changed).replay_workflow(history(path))


def test_no_history_shows_a_patient() -> None:
    for path in HISTORIES:
        for name in ("HSP-200", "ana@example.org", "TK-1", "patientid"):
            assert name not in path.read_text(), path.name
