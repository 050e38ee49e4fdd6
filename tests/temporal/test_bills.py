"""The saga of a payment over two queues: charged once, released; or everything given back, seen from the provider."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.clinic import appointments
from app.core import trust
from app.core.errors import Conflict
from app.db.session import transaction
from app.engines import payments, relay
from app.engines import temporal as engine
from temporal.worker import worker
from tests.temporal import branches
from tests.temporal.conftest import Caller, connected, ledger, value, working
from tests.waiting import until

ASKED = {"ticketid": "TK-1", "charge": "80.00", "discount": "5.00"}


@pytest.fixture
async def visit(clinic: str) -> None:
    await branches.book()


async def sent() -> None:
    """What the relay does: everything of this kind that is due."""
    effects = [effect for effect in await relay.claim(50) if effect.kind.startswith("workflow")]
    await asyncio.gather(*(relay.deliver(effect) for effect in effects))


async def test_the_certificates_are_read_once_for_all_charges(
    payment_sink: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(ssl, "create_default_context", _counting(ssl.create_default_context, made))
    trust.context.cache_clear()
    for key in ("one", "two"):
        await payments.charge(key, Decimal(10), "visit")
    assert len(made) == 1
    assert len(await ledger(payment_sink)) == 2


def _counting(call: Callable[..., Any], made: list[object]) -> Callable[..., Any]:
    def counted(*given: Any, **named: Any) -> Any:
        made.append(call)
        return call(*given, **named)

    return counted


@pytest.mark.engine
@pytest.mark.usefixtures("visit", "workers")
async def test_a_visit_is_billed_charged_once_and_released(staff_calls: Caller, payment_sink: str) -> None:
    asked = await staff_calls("POST", "/api/v1/bills", ASKED)
    assert asked.status_code == 202
    assert asked.json["status"] == "requested"
    assert asked.headers["Location"] == f"/api/v1/bills/{asked.json['id']}"
    await sent()
    await until(lambda: value("select 1 from engine_run where status = 'completed'"))
    shown = await staff_calls("GET", asked.headers["Location"])
    assert (shown.json["status"], shown.json["state"]) == ("completed", "released")
    (entry,) = await ledger(payment_sink)
    assert (entry["kind"], entry["amount"], entry["key"]) == ("charge", "75.00", asked.json["id"])
    assert await value("select count(*) from payment where status and amount = 75") == 1


@pytest.mark.engine
@pytest.mark.usefixtures("visit", "temporal")
async def test_a_visit_that_is_cancelled_meanwhile_is_given_back(staff_calls: Caller, payment_sink: str) -> None:
    client = await connected()
    async with worker(client, "dams_billing_queue"):
        await staff_calls("POST", "/api/v1/bills", ASKED)
        await sent()
        await until(lambda: value("select 1 from payment"))  # billed; nobody serves the queue of the charge yet
        async with transaction() as session:
            await appointments.cancel(session, None, "TK-1", "The doctor is ill.")
        async with worker(client, "dams_payment_queue"):
            await until(lambda: value("select 1 from engine_run where status not in ('requested', 'running')"))
    assert [entry["kind"] for entry in await ledger(payment_sink)] == ["charge", "refund"]
    assert await value("select not status and amount = 0 and voided_at is not null from payment")
    keys = "select array_agg(split_part(key, ':', 3) order by id) from outbox where key like 'payment:%'"
    assert await value(keys) == ["paid", "voided"]


@pytest.mark.engine
@pytest.mark.usefixtures("visit", "workers")
async def test_a_declined_charge_is_told_and_no_bill_stands(staff_calls: Caller, payment_sink: str) -> None:
    asked = await staff_calls("POST", "/api/v1/bills", ASKED | {"charge": "60000.00"})
    await sent()
    await until(lambda: value("select 1 from engine_run where status not in ('requested', 'running')"))
    shown = await staff_calls("GET", asked.headers["Location"])
    assert shown.json["state"] == "voided"
    assert await ledger(payment_sink) == []


@pytest.mark.engine
@pytest.mark.usefixtures("visit")
async def test_a_bill_that_is_called_off_while_it_is_charged_is_undone(
    temporal: str, staff_calls: Caller, payment_sink: str
) -> None:
    client = await connected()
    async with worker(client, "dams_billing_queue"):
        await staff_calls("POST", "/api/v1/bills", ASKED)
        await sent()
        await until(lambda: value("select 1 from payment"))
        name = await value("select external_id from engine_run")
        await (await engine.client()).get_workflow_handle(name).cancel()
        async with worker(client, "dams_payment_queue"):
            await until(lambda: value("select 1 from engine_run where status = 'cancelled'"))
    kinds = [entry["kind"] for entry in await ledger(payment_sink)]
    assert kinds in ([], ["charge", "refund"])
    assert await value("select voided_at is not null from payment")


@pytest.mark.engine
@pytest.mark.usefixtures("visit")
async def test_the_same_request_from_the_outbox_twice_is_one_charge(
    temporal: str, staff_calls: Caller, payment_sink: str
) -> None:
    await staff_calls("POST", "/api/v1/bills", ASKED)
    effects = [effect for effect in await relay.claim(50) if effect.kind == "workflow-start"]
    for _ in range(2):
        await asyncio.gather(*(relay.deliver(effect) for effect in effects))
    async with working():
        await until(lambda: value("select 1 from engine_run where status = 'completed'"))
    assert len(await ledger(payment_sink)) == 1


@pytest.mark.engine
@pytest.mark.usefixtures("visit", "temporal")
async def test_a_payment_that_is_submitted_fifty_times_under_one_key_is_one_charge(
    staff_calls: Caller, payment_sink: str
) -> None:
    key = {"Idempotency-Key": "one-click"}
    answers = await asyncio.gather(*(staff_calls("POST", "/api/v1/bills", ASKED, key) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["id"] for answer in answers}) == 1
    other = await staff_calls("POST", "/api/v1/bills", ASKED | {"charge": "90.00"}, key)
    assert (other.status_code, other.json["detail"]) == (409, "This Idempotency-Key belongs to another request.")
    await sent()
    async with working():
        await until(lambda: value("select 1 from engine_run where status = 'completed'"))
    assert [entry["amount"] for entry in await ledger(payment_sink)] == ["75.00"]
    assert await value("select count(*) from payment") == 1


@pytest.mark.usefixtures("visit")
async def test_what_cannot_be_billed_is_named(staff_calls: Caller) -> None:
    for change, field in (
        ({"ticketid": "NO"}, "ticketid"),
        ({"charge": "0.001"}, "charge"),
        ({"charge": "-1"}, "charge"),
        ({"discount": "80.00"}, "discount"),
    ):
        answer = await staff_calls("POST", "/api/v1/bills", ASKED | change)
        assert (answer.status_code, list(answer.json["errors"])) == (422, [field])
    assert await value("select count(*) from engine_run") == 0


async def test_a_key_is_one_charge_and_one_refund_whoever_asks_at_once(payment_sink: str) -> None:
    ids = await asyncio.gather(*(payments.charge("k", Decimal("9.99"), "r") for _ in range(20)))
    assert len(set(ids)) == 1
    backs = await asyncio.gather(*(payments.refund("k:refund", ids[0]) for _ in range(20)))
    assert len(set(backs)) == 1
    assert [entry["kind"] for entry in await ledger(payment_sink)] == ["charge", "refund"]
    with pytest.raises(Conflict):
        await payments.refund("another", ids[0])
    with pytest.raises(Conflict):
        await payments.charge("k", Decimal("1.00"), "r")
    assert await payments.find("k") == ids[0]
    assert await payments.find("nothing") is None


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"amount": "x", "currency": "USD", "reference": "r"}'])
async def test_the_provider_refuses_what_it_cannot_read(payment_sink: str, body: bytes) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{payment_sink}/charges", content=body, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 400
        assert (await client.post(f"{payment_sink}/charges", content=body)).status_code == 400
