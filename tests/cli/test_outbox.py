"""`dams outbox`: what waits, what was given up, sending it again."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.cli.conftest import CommandLine, effect

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("outbox")]


def test_effects_that_were_given_up_are_listed_with_their_error_and_sent_again(dams: CommandLine) -> None:
    parked, sent = effect(dams.database, "dead"), effect(dams.database, "sent")
    listed = dams.here("outbox", "--dead", "--as", "ops").out
    assert parked in listed
    assert "no such mailbox" in listed
    assert sent not in listed
    assert dams.here("outbox", "retry", parked, "--as", "ops").out == "1 sent again\n"
    [row] = [row for row in dams.here("outbox", "--as", "ops", "--json").json() if row["id"] == parked]
    assert (row["state"], row["attempts"]) == ("pending", 0)


def test_all_that_were_given_up_are_sent_again_at_once(dams: CommandLine) -> None:
    for _ in range(3):
        effect(dams.database, "dead")
    dams.here("outbox", "retry", "--all", "--as", "ops")
    assert "no effect" in dams.here("outbox", "--dead", "--as", "ops").err


def test_retry_wants_to_know_what(dams: CommandLine) -> None:
    dams.here("outbox", "retry", "--as", "ops", code=2)
    dams.here("outbox", "retry", str(uuid4()), "--all", "--as", "ops", code=2)
    assert "No parked effect" in dams.here("outbox", "retry", str(uuid4()), "--as", "ops", code=1).err


def test_staff_do_not_operate(dams: CommandLine) -> None:
    assert "ops" in dams.here("outbox", "--as", "staff", code=1).err


def test_long_lists_are_read_page_by_page(dams: CommandLine) -> None:
    made = {effect(dams.database, "sent") for _ in range(3)}
    listed = dams.here("outbox", "--status", "sent", "--as", "ops", "--json", "--limit", "10000").json()
    assert made <= {row["id"] for row in listed}
    assert len(dams.here("outbox", "--as", "ops", "--json", "--limit", "2").json()) == 2
