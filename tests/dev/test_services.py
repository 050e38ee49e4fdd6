"""What `dams up` starts, read off its list: no server is needed for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dev import servers
from app.dev.service import Wanted
from app.dev.services import services
from app.dev.state import State


def test_what_ships_for_zeebe_is_sent_when_the_embedded_broker_is_up_and_to_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(tmp_path / "state")
    state.prepare()
    listed = {one.name: one for one in services(state, Wanted(front_end=False))}
    assert {"zeebe", "migrate"} <= set(listed["zeebe-models"].needs)
    assert "zeebe-models" not in {one.name for one in services(state, Wanted(front_end=False, demo=False))}
    monkeypatch.setenv("DAMS_ZEEBE_ADDRESS", "broker.example:26500")
    assert "zeebe-models" not in {one.name for one in services(state, Wanted(front_end=False))}


def test_temporal_keeps_its_file_as_the_tests_of_its_outages_do(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    state.prepare()
    command = servers.temporal(state).command
    kept = servers.kept_in(state.data("temporal"))
    assert command[-len(kept) :] == kept
    assert {"journal_mode=WAL", "synchronous=FULL"} <= set(command)
