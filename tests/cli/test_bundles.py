"""`dams export-case`: what leaves the clinic of a case, and what does not."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from app.cli.bundles import redacted
from tests.cli.conftest import CommandLine
from tests.drawing import field, sequence, user_task

CANARY = "canary-5d1e-of-a-patient"


def test_a_bundle_tells_what_happened_and_nothing_about_the_patient(dams: CommandLine, tmp_path: Path) -> None:
    model = tmp_path / "talk.bpmn"
    model.write_bytes(sequence("Talk", user_task("Ask", field("words")), user_task("Next"), name="Talk"))
    dams.here("deploy", str(model), "--as", "modeler")
    names = ["--var", f"given={CANARY}", "--business-key", f"{CANARY}-key"]
    started = dams.here("start", "Talk", *names, "--as", "staff", "--json").json()
    task = started["tasks"][0]["id"]
    dams.here("tasks", "complete", task, "--var", f"words={CANARY}", "--as", "staff")
    case, target = started["case"], tmp_path / "b.zip"
    told = dams.here("export-case", case, "-o", str(target), "--as", "ops").out
    assert told.startswith(f"{target}: 1 instances, 2 events")
    assert target.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(target) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(parts) == {"case.json", "timeline.json", "models/Talk-v1.bpmn"}
    assert CANARY not in "".join(parts.values())
    assert parts["models/Talk-v1.bpmn"] == model.read_text()
    [instance] = json.loads(parts["case.json"])["instances"]
    assert instance["variables"] == {"given": "text of 24", "words": "text of 24"}
    assert ("Ask", "completed") in [(one["element_id"], one["event"]) for one in instance["trace"]]
    begun, completed = json.loads(parts["timeline.json"])
    assert (begun["actor"], completed["actor"], completed["actor_name"]) == ("person 1", "person 1", None)
    assert completed["data"] == {"element": "Ask", "entries": {"words": "text of 24"}}


def test_an_instance_that_has_completed_is_recorded_as_a_case_that_plays(dams: CommandLine, tmp_path: Path) -> None:
    model, cases = tmp_path / "kept.bpmn", tmp_path / "kept.test.json"
    model.write_bytes(sequence("Kept", user_task("Ask", field("words")), name="Kept"))
    dams.here("deploy", str(model), "--as", "modeler")
    started = dams.here("start", "Kept", "--as", "admin", "--json").json()
    assert "is running" in dams.here("record", started["id"], "--as", "admin", code=1).err
    dams.here("tasks", "complete", started["tasks"][0]["id"], "--var", "words=hello", "--as", "admin")
    cases.write_text(dams.here("record", started["id"], "--as", "admin").out)
    assert f"as {started['case']} went: holds" in dams("dry-run", str(model), str(cases)).out


def test_a_timeline_that_nobody_touched_is_verified(dams: CommandLine, tmp_path: Path) -> None:
    model = tmp_path / "kept.bpmn"
    model.write_bytes(sequence("Kept", user_task("Ask"), name="Kept"))
    dams.here("deploy", str(model), "--as", "modeler")
    case = dams.here("start", "Kept", "--as", "admin", "--json").json()["case"]
    assert "the timeline is as it was written" in dams.here("verify", "--case", case, "--as", "ops").out
    assert dams.here("verify", "--case", case, "--json", "--as", "ops").json()["events"] == 1


def test_a_case_that_is_not_there_is_said(dams: CommandLine, tmp_path: Path) -> None:
    target = tmp_path / "b.zip"
    assert "No such case" in dams.here("export-case", "A-0", "-o", str(target), "--as", "ops", code=1).err
    assert not target.exists()


def test_values_keep_their_shape_alone() -> None:
    given = {"a": [1, 2.5, None, True, {"b": "ä"}], "c": ""}
    assert redacted(given) == {"a": ["number", "number", None, True, {"b": "text of 1"}], "c": "text of 0"}
