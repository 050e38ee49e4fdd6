"""Activities by themselves: each effect once, and errors that Temporal understands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import OperationalError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from app.core.errors import Conflict, Invalid, Unavailable
from app.engines import payments
from temporal.activities import appointments, billing, charging, letters
from temporal.activities.failures import is_passing, told
from temporal.workflows.billing import Visit
from temporal.workflows.reservation import Change, Move, Reservation
from temporal.workflows.subscription import Letter
from tests.temporal import branches
from tests.temporal.branches import ASKED
from tests.temporal.conftest import DAY, ledger, value

RESERVATION = Reservation(**ASKED)


async def twice(activity: Callable[[Any], Awaitable[Any]], given: Any) -> Any:
    """As after a lost answer: the same call of the same workflow."""
    first = await ActivityEnvironment().run(activity, given)
    assert await ActivityEnvironment().run(activity, given) == first
    return first


async def test_an_activity_that_runs_twice_has_its_effect_once(clinic: str, payment_sink: str) -> None:
    made = await twice(appointments.reserve_schedule, RESERVATION)
    assert made.status == "booked"
    assert await value("select count(*) from appointment") == 1
    assert await value("select count(*) from case_event where kind = 'appointment.booked'") == 1
    await twice(appointments.change_schedule, Change("TK-1", "remind x", "remind"))
    assert await value("select count(*) from outbox where key like 'reminder:%'") == 1
    await twice(appointments.move_schedule, Move(DAY.isoformat(), "15:00", ticketid="TK-1", key="move x"))
    assert await value("select count(*) from case_event where kind = 'appointment.rescheduled'") == 1
    visit = Visit(str(uuid4()), "TK-1", 1, "80.00")
    for activity in (billing.bill_visit, charging.charge_payment, billing.notify_payment, billing.release_payment):
        await twice(activity, visit)
    for activity in (charging.refund_payment, billing.void_bill):
        await twice(activity, visit)
    assert [entry["kind"] for entry in await ledger(payment_sink)] == ["charge", "refund"]
    assert await value("select count(*) from payment") == 1
    await twice(letters.send_email, Letter("a@example.org", "thanks", 1, "letter:x"))
    assert await value("select count(*) from outbox where key like 'letter:%'") == 1
    await twice(appointments.close_schedule, Change("TK-1", "close", "cancelled", "asked for"))
    assert await value("select count(*) from case_event where kind = 'appointment.cancelled'") == 1


@pytest.mark.parametrize("later", [False, True], ids=["before the provider has it", "after the provider has it"])
async def test_a_charge_that_is_called_off_while_it_is_made_is_given_back(
    clinic: str, payment_sink: str, monkeypatch: pytest.MonkeyPatch, later: bool
) -> None:
    visit, charge = Visit(str(uuid4()), "TK-1", 1, "80.00"), payments.charge

    async def called_off_meanwhile(*given: Any) -> str:
        made = await charge(*given) if later else ""
        await ActivityEnvironment().run(charging.refund_payment, visit)
        return made or await charge(*given)

    monkeypatch.setattr(payments, "charge", called_off_meanwhile)
    for _ in range(2):  # and once more, as after the end of a worker
        with pytest.raises(Conflict, match="given back"):
            await ActivityEnvironment().run(charging.charge_payment, visit)
    assert [entry["kind"] for entry in await ledger(payment_sink)] == ["charge", "refund"]


async def test_a_charge_that_comes_after_its_refund_is_not_made(clinic: str, payment_sink: str) -> None:
    await branches.book()
    visit = Visit(str(uuid4()), "TK-1", 1, "80.00")
    await ActivityEnvironment().run(charging.refund_payment, visit)
    with pytest.raises(Conflict):
        await ActivityEnvironment().run(charging.charge_payment, visit)
    assert await ledger(payment_sink) == []


async def test_a_bill_that_comes_after_it_was_voided_is_not_written(clinic: str) -> None:
    await branches.book()
    visit = Visit(str(uuid4()), "TK-1", 1, "80.00")
    await ActivityEnvironment().run(billing.void_bill, visit)
    await ActivityEnvironment().run(billing.bill_visit, visit)
    assert await value("select count(*) from payment") == 0


def test_an_error_of_ours_keeps_its_code_and_says_whether_to_try_again() -> None:
    refused, wrong, away = told(Conflict("taken")), told(Invalid({"docid": "No."})), told(Unavailable("gone"))
    assert (refused.type, refused.message, refused.non_retryable) == ("conflict", "taken", True)
    assert (wrong.type, wrong.details, wrong.non_retryable) == ("invalid", ({"docid": "No."},), True)
    assert (away.type, away.non_retryable) == ("unavailable", False)
    assert isinstance(refused, ApplicationError)


def test_a_database_that_comes_back_is_waited_for() -> None:
    class Lost(Exception):
        sqlstate = "57P01"

    class Wrong(Exception):
        sqlstate = "23505"

    assert is_passing(OperationalError("select", {}, Lost()))
    assert not is_passing(OperationalError("select", {}, Wrong()))
