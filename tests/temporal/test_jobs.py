"""Service tasks whose work Temporal does: what a real run gives, or why it failed, comes back to its task."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.db.session import reading, transaction
from app.engines import control, relay, workflows
from app.engines import temporal as engine
from temporal.worker import worker
from tests import drawing
from tests.engines.spiff.test_instances import deploy, start
from tests.engines.spiff.test_jobs import asked, kept, run_of, service, shown
from tests.temporal import branches
from tests.temporal.conftest import connected, ledger, person, value
from tests.waiting import until

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("visit")]
TOO_MUCH = "60000.00"
CAUGHT = (
    '<bpmn:boundaryEvent id="caught" attachedToRef="job"><bpmn:errorEventDefinition errorRef="not-paid" />'
    '</bpmn:boundaryEvent><bpmn:endEvent id="else" />'
)
DECLINED = '<bpmn:error id="not-paid" name="Not paid" errorCode="declined" />'


@pytest.fixture
async def visit(clinic: str) -> None:
    await branches.book()


def bill(charge: str, *, caught: bool = False) -> bytes:
    """A process that has the visit paid."""
    inner = asked("ticketid", "TK-1") + asked("charge", charge) + kept("paid", "${payment.state}")
    task = service("temporal:BillVisitWorkflow", inner, 'camunda:resultVariable="payment"')
    model = drawing.sequence("Paid", task, before=DECLINED if caught else "")
    further = CAUGHT + drawing.flow("caught", "else") if caught else ""
    return model.replace(b"</bpmn:process>", f"{further}</bpmn:process>".encode())


async def begun(model: bytes) -> Any:
    actor = await person("admin")
    await deploy(actor, model)
    return await start(actor, "Paid")


async def carry() -> None:
    """What the relay does with everything that is due, but for mails."""
    for effect in await relay.claim(50):
        if not effect.kind.startswith("mail"):
            await relay.deliver(effect)


async def ends(instance_id: UUID, *, run: str) -> None:
    """Until the run has ended so, and its task was told."""

    async def ended() -> bool:
        await carry()
        told = "select count(*) from outbox where kind = 'bpmn-job' and state <> 'sent'"
        now = await value("select status from engine_run where instance_id = :id order by id desc", id=instance_id)
        return now == run and await value(told) == 0

    await until(ended)


async def write(sql: str) -> None:
    async with transaction() as session:
        await session.execute(text(sql))


async def left() -> list[str]:
    async with reading() as session:
        found = await session.execute(text("select code from incident where resolved_at is null"))
        return [code for (code,) in found]


@pytest.mark.usefixtures("workers")
async def test_the_result_of_a_run_goes_on_in_the_process_that_waits_for_it(payment_sink: str) -> None:
    instance = await begun(bill("80.00"))
    assert [one["name"] for one in instance.waiting] == ["temporal:BillVisitWorkflow"]
    await ends(instance.id, run="completed")
    after = await shown(await person("admin"), instance.id)
    assert (after.status, after.variables) == ("completed", {"paid": "released"})
    assert [entry["kind"] for entry in await ledger(payment_sink)] == ["charge"]


@pytest.mark.usefixtures("workers")
async def test_a_failure_of_a_run_is_the_error_that_the_model_catches(payment_sink: str) -> None:
    instance = await begun(bill(TOO_MUCH, caught=True))
    await ends(instance.id, run="failed")
    after = await shown(await person("admin"), instance.id)
    assert (after.status, after.variables, await left()) == ("completed", {}, [])
    assert await ledger(payment_sink) == []


@pytest.mark.usefixtures("temporal")
async def test_a_failure_that_nothing_catches_is_an_incident_until_ops_has_it_done_anew(payment_sink: str) -> None:
    client = await connected()
    async with worker(client, "dams_billing_queue"):
        instance = await begun(bill("80.00"))
        await carry()
        await until(lambda: value("select 1 from payment"))  # billed; nobody serves the queue of the charge yet
        await write("update appointment set status = 'cancelled'")
        async with worker(client, "dams_payment_queue"):
            await ends(instance.id, run="failed")
            admin = await person("admin")
            waiting = await shown(admin, instance.id)
            assert (waiting.status, [one["kind"] for one in waiting.waiting]) == ("running", ["job"])
            assert await left() == ["conflict"]
            await write("update appointment set status = 'booked'")
            async with transaction() as session:
                await control.retry(session, admin, (await run_of(instance.id)).id)
            await ends(instance.id, run="completed")
    assert ((await shown(admin, instance.id)).status, await left()) == ("completed", [])
    assert [entry["kind"] for entry in await ledger(payment_sink)] == ["charge", "refund", "charge"]
    assert await value("select count(*) from payment where status") == 1


@pytest.mark.usefixtures("temporal", "payment_sink")
async def test_a_run_that_was_ended_in_temporal_is_an_incident_at_its_task() -> None:
    instance = await begun(bill("80.00"))
    await carry()  # no worker takes it up
    run = await run_of(instance.id)
    await (await engine.client()).get_workflow_handle(run.external_id).terminate()
    assert await workflows.reconcile(quiet=0) == 1
    await ends(instance.id, run="failed")
    assert await left() == ["ended-elsewhere"]
    assert (await shown(await person("admin"), instance.id)).status == "running"
