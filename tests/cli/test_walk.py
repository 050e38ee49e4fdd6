"""The whole walk with commands on the service of a state folder: deploy, start, claim, complete, the case."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CommandLine


def deployed(dams: CommandLine, visit: Path) -> None:
    dams.here("deploy", str(visit), "--as", "modeler", "--note", "for a test")


def started(dams: CommandLine, process: str, *more: str) -> dict[str, Any]:
    return dams.here("start", process, "--as", "staff", "--json", *more).json()


def test_a_model_is_deployed_started_and_completed_from_the_shell(dams: CommandLine, visit: Path, process: str) -> None:
    assert "v" not in dams.here("deploy", str(visit), "--as", "modeler").err
    assert "unchanged" in dams.here("deploy", str(visit), "--as", "modeler").out
    instance = started(dams, process, "--case", f"C-{process}", "--var", "origin=front desk")
    [task] = instance["tasks"]
    assert instance["variables"] == {"origin": "front desk"}
    assert task["id"] in dams.here("tasks", "--as", "staff", "--process", process).out
    shown = dams.here("tasks", "show", task["id"], "--as", "staff").out
    assert "Why" in shown
    dams.here("tasks", "claim", task["id"], "--as", "staff")
    assert "no open task" in dams.here("tasks", "--as", "doctor", "--process", process, "--mine").err
    dams.here("tasks", "release", task["id"], "--as", "staff")
    given = ["--var", "reason=7", "--var", "days=3"]
    after = dams.here("tasks", "complete", task["id"], "--as", "staff", "--json", *given).json()
    assert after["variables"] == {"origin": "front desk", "reason": "7", "days": 3, "doubled": 6}
    [task] = after["tasks"]
    done = dams.here("tasks", "complete", task["id"], "--as", "staff", "--variables", '{"sure": true}')
    assert "status    completed" in done.out
    case = dams.here("cases", "show", f"C-{process}", "--as", "staff").out
    assert "instance.started" in case
    assert case.count("task.completed") == 2
    listed = dams.here("cases", "list", "--as", "staff", "--json").json()
    assert [row["instances"] for row in listed if row["case"] == f"C-{process}"] == [1]


@pytest.mark.slow
def test_the_token_of_a_state_is_kept_beside_its_secrets(dams: CommandLine) -> None:
    dams.here("tasks", "--as", "ops")
    kept = dams.state / "tokens.json"
    token = json.loads(kept.read_text())["ops"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    dams.here("tasks", "--as", "ops")
    assert json.loads(kept.read_text())["ops"] == token


@pytest.mark.slow
def test_a_token_that_ended_is_replaced_without_asking(dams: CommandLine) -> None:
    (dams.state / "tokens.json").write_text(json.dumps({"staff": "one of last week"}))
    dams.here("tasks", "--as", "staff")


@pytest.mark.slow
def test_nobody_acts_as_an_account_that_is_not_there(dams: CommandLine) -> None:
    assert "No open account 'ghost'" in dams.here("tasks", "--as", "ghost", code=1).err


@pytest.mark.slow
def test_a_state_on_which_nothing_runs_is_named(dams: CommandLine, tmp_path: Path) -> None:
    answer = dams("tasks", "--state", str(tmp_path / "other"), code=3)
    assert str(tmp_path / "other") in answer.err
    assert "dams up" in answer.err


@pytest.mark.slow
def test_a_refused_model_is_a_list_with_cures_and_stores_nothing(dams: CommandLine, broken: Path) -> None:
    answer = dams.here("deploy", str(broken), "--as", "modeler", code=1)
    assert "The model was refused and nothing was stored" in answer.err
    assert "error: Steal" in answer.err
    assert "cure: " in answer.err


@pytest.mark.slow
def test_a_version_can_be_stored_without_being_started(dams: CommandLine, visit: Path, process: str) -> None:
    deployed(dams, visit)
    visit.write_bytes(visit.read_bytes().replace(b"Say why", b"Say it"))
    dams.here("deploy", str(visit), "--as", "modeler", "--no-activate")
    assert started(dams, process)["version"] == 1
    assert started(dams, process, "--version", "2")["version"] == 2


@pytest.mark.slow
def test_the_same_key_starts_once(dams: CommandLine, visit: Path, process: str) -> None:
    deployed(dams, visit)
    assert started(dams, process, "--key", process)["id"] == started(dams, process, "--key", process)["id"]


@pytest.mark.slow
def test_wrong_fields_are_told_each_on_its_line(dams: CommandLine, visit: Path, process: str) -> None:
    deployed(dams, visit)
    [task] = started(dams, process)["tasks"]
    answer = dams.here("tasks", "complete", task["id"], "--as", "staff", "--var", "days=many", code=1)
    lines = answer.err.splitlines()
    assert lines[0] == "dams: Some fields need attention"
    assert {line.split(":")[0] for line in lines[1:]} == {"  reason", "  days"}


@pytest.mark.slow
def test_who_was_first_is_told_to_the_second(dams: CommandLine, visit: Path, process: str) -> None:
    deployed(dams, visit)
    [task] = started(dams, process)["tasks"]
    dams.here("tasks", "claim", task["id"], "--as", "doctor")
    answer = dams.here("tasks", "claim", task["id"], "--as", "staff", code=1)
    assert "Somebody else was first" in answer.err
    assert "doctor" in answer.err


@pytest.mark.slow
def test_variables_come_from_a_file_or_standard_input(dams: CommandLine, visit: Path, process: str) -> None:
    deployed(dams, visit)
    file = dams.home / "given.json"
    file.write_text('{"a": 1}')
    assert started(dams, process, "--variables", f"@{file}")["variables"] == {"a": 1}
    piped = dams.here("start", process, "--as", "staff", "--json", "--variables", "-", stdin='{"b": [2]}')
    assert piped.json()["variables"] == {"b": [2]}
    for wrong in ("[1]", "{", "@nowhere.json"):
        dams.here("start", process, "--variables", wrong, code=2)
    dams.here("start", process, "--var", "no-value", code=2)


@pytest.mark.slow
def test_names_cannot_play_with_the_terminal(dams: CommandLine, visit: Path, process: str) -> None:
    visit.write_bytes(visit.read_bytes().replace(b"Say why", b"[red]Say&#10;why"))
    deployed(dams, visit)
    started(dams, process)
    assert "[red]Say why" in dams.here("tasks", "--as", "staff", "--process", process).out
