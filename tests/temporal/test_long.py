"""A workflow that never ends: its history stays bounded however many turns it takes, and nothing is lost or doubled."""

from __future__ import annotations

import math
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import CancelledError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from temporal.moments import Undisturbed
from temporal.workflows.subscription import Letter, SendEmailWorkflow, Subscription
from tests.temporal import server
from tests.temporal.branches import failure

TURNS, MOST_EVENTS = 10_000, 10_240
"""The server warns at 10,240 events of one run and ends a workflow at 51,200."""


async def lengths(client: Client, workflow_id: str, run_id: str | None) -> list[int]:
    """How many events each run of a workflow had, to the last of the chain."""
    found: list[int] = []
    while run_id:
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        run_id, length = None, 0
        async for event in handle.fetch_history_events():
            length += 1
            if event.HasField("workflow_execution_continued_as_new_event_attributes"):
                run_id = event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
        found.append(length)
    return found


async def ended(handle: WorkflowHandle[Any, Any]) -> BaseException | None:
    """How it ended, asked for again when the answer takes longer than one call may on a busy machine."""
    while True:
        try:
            return await failure(handle)
        except RPCError as error:
            if error.status is not RPCStatusCode.DEADLINE_EXCEEDED:
                raise


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.xdist_group("turns")
async def test_ten_thousand_turns_stay_under_the_limit_of_a_history() -> None:
    sent: list[int] = []

    @activity.defn(name="send_email")
    async def post(letter: Letter) -> None:
        """The mail server's end: what is asked here is how the workflow goes on, not what it sends."""
        if letter.kind == "thanks":
            sent.append(letter.number)
        if letter.number == TURNS:
            await env.client.get_workflow_handle("long").cancel()

    env = await server.skipping()
    worker = Worker(
        env.client,
        task_queue="long",
        workflows=[SendEmailWorkflow],
        activities=[post],
        workflow_runner=Undisturbed(),
    )
    async with env, worker:
        given = Subscription("someone@example.org", 12, "key")
        first = await env.client.start_workflow("SendEmailWorkflow", given, id="long", task_queue="long")
        assert isinstance(await ended(first), CancelledError)
        found = await lengths(env.client, "long", first.first_execution_run_id)
    assert sent == list(range(1, TURNS + 1))
    assert len(found) == math.ceil(TURNS / given.turns) > 1
    assert max(found) < MOST_EVENTS
