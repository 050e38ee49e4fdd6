"""The clinic's letters by the specification's calls."""

from __future__ import annotations

import pytest

from tests.temporal.conftest import Caller, caller, value
from tests.waiting import until

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("workers")]
ADDRESS = {"email": "Ana@Example.org"}


async def test_a_subscription_welcomes_counts_and_says_goodbye(staff_calls: Caller) -> None:
    assert (await staff_calls("GET", "/get_details?email=Ana@example.org")).status_code == 404
    made = await staff_calls("POST", "/subscribe", ADDRESS)
    assert (made.status_code, made.json["email"]) == (201, "Ana@example.org")
    assert (await staff_calls("POST", "/subscribe", ADDRESS)).status_code == 409
    await until(lambda: value("select 1 from outbox where key like 'letter:%:welcome:0'"))
    seen = await staff_calls("GET", "/get_details?email=ana@example.org")
    assert (seen.status_code, seen.json) == (200, {"email": "Ana@example.org", "sent": 0, "subscribed": True})
    assert (await staff_calls("DELETE", "/unsubscribe", ADDRESS)).status_code == 202
    await until(lambda: value("select 1 from outbox where key like 'letter:%:goodbye:0'"))
    await until(lambda: value("select 1 from engine_run where status = 'cancelled'"))

    async def gone() -> bool:
        return (await staff_calls("DELETE", "/unsubscribe", ADDRESS)).status_code == 404

    await until(gone)
    assert (await staff_calls("POST", "/subscribe", ADDRESS)).status_code == 201
    assert await value("select payload->'to_address' from outbox limit 1") == ["Ana@example.org"]


async def test_an_address_is_checked_and_must_be_ones_own(staff_calls: Caller) -> None:
    wrong = await staff_calls("POST", "/subscribe", {"email": "no address"})
    assert (wrong.status_code, list(wrong.json["errors"])) == (422, ["email"])
    patient = await caller("patient")
    assert (await patient("POST", "/subscribe", ADDRESS)).status_code == 403
    assert (await patient("POST", "/subscribe", {"email": "patient@demo.example"})).status_code == 201
