"""`dams check`: offline, the same verdict as a deployment, an exit code that CI can trust."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import httpx

from tests.cli.conftest import SIGN_IN, TIMEOUT, CommandLine
from tests.drawing import field, script, sequence, user_task

NOTHING = "nothing to say"


def test_a_sound_model_ends_with_zero_and_no_findings(dams: CommandLine, visit: Path) -> None:
    answer = dams("check", str(visit))
    assert answer.out == ""
    assert answer.err == "1 file(s), 0 error(s), 0 warning(s)\n"


def test_warnings_end_with_one(dams: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "untyped.bpmn"
    untyped = user_task("Ask", '<camunda:formField id="x" />')
    path.write_bytes(sequence("p", untyped))
    answer = dams("check", str(path), code=1)
    assert f"{path}:" in answer.out
    assert "warning: Ask" in answer.out


def test_an_error_ends_with_two_and_names_place_element_and_cure(dams: CommandLine, broken: Path) -> None:
    first, second, *_ = dams("check", str(broken), code=2).out.splitlines()
    assert first.startswith(f"{broken}:")
    assert "error: Steal" in first
    assert second.startswith("    cure: ")


def test_the_verdict_is_the_one_of_the_service(
    dams: CommandLine, service: tuple[str, str], visit: Path, broken: Path
) -> None:
    token = httpx.post(
        f"{service[0]}/api/v1/token", json={"username": "modeler", "password": SIGN_IN}, timeout=TIMEOUT
    ).json()
    for path, code in ((visit, 0), (broken, 2)):
        offline = dams("check", str(path), "--json", code=code).json()
        there = httpx.post(
            f"{service[0]}/api/v1/checks",
            files=[("file", (str(path), path.read_bytes()))],
            headers={"Authorization": f"Bearer {token['access_token']}"},
            timeout=TIMEOUT,
        )
        assert offline == there.json()


def test_junit_the_service_and_the_editor_find_the_same_on_the_same_elements(
    dams: CommandLine, service: tuple[str, str], tmp_path: Path
) -> None:
    models = {
        "sound": sequence("Sound", user_task("Ask", field("n", "long", required=True)), script("Two", "m = n * 2")),
        "slips": sequence("Slips", script("Steal", "import os"), script("Open", "if n < 2\n  pass"), user_task("Ask")),
        "untyped": sequence("Untyped", user_task("Ask", '<camunda:formField id="x" />')),
        "unbound": sequence("Unbound", '<bpmn:serviceTask id="Work" name="Work" />'),
        "endless": sequence("Endless", user_task("Ask")).replace(b'<bpmn:endEvent id="end" />', b""),
        "table": sequence("Decided", '<bpmn:businessRuleTask id="r" name="r" camunda:decisionRef="none" />'),
        "half": sequence("Half", user_task("Ask"))[:-30],
        "person": sequence("Person", user_task("Ask", attributes='camunda:assignee="ana, bo"')),
    }
    token = httpx.post(
        f"{service[0]}/api/v1/token", json={"username": "modeler", "password": SIGN_IN}, timeout=TIMEOUT
    ).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    said: set[str] = set()
    for name, content in models.items():
        path = tmp_path / f"{name}.bpmn"
        path.write_bytes(content)
        there = [("file", (str(path), content))]
        draft = {"xml": content.decode(), "file": str(path)}
        with httpx.Client(base_url=f"{service[0]}/api/v1", headers=headers, timeout=TIMEOUT) as client:
            checked = client.post("/checks", files=there).json()["problems"]
            drawn = client.post("/drafts/checks", json=draft).json()
        code = max((2 if one["severity"] == "error" else 1 for one in checked), default=0)
        (suite,) = ElementTree.fromstring(dams("check", str(path), "--junit", code=code).out)  # noqa: S314 - our own output
        told = {(case.get("name"), case.find("failure") is not None) for case in suite if case.get("name") != NOTHING}
        wanted = {
            (f"{one['rule']} {one['element_id'] or 'line ' + str(one['line'])}", one["severity"] == "error")
            for one in checked
        }
        assert told == wanted, name
        assert drawn["problems"] == checked, name
        said |= {one["rule"] for one in checked}
    assert len(said) >= 6, said


def test_a_dry_run_ends_with_zero_where_everything_is_reached(dams: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "doubles.bpmn"
    path.write_bytes(
        sequence("Doubles", user_task("Ask", field("n", "long", required=True)), script("Two", "m = n * 2"))
    )
    assert "Doubles: 100 % of its elements reached" in dams("dry-run", str(path)).out


def test_a_dry_run_shows_what_fails_and_the_way_there(dams: CommandLine, broken: Path, tmp_path: Path) -> None:
    path = tmp_path / "halves.bpmn"
    path.write_bytes(sequence("Halves", user_task("Ask", field("n", "long")), script("Halve", "half = n / 2")))
    _, fails, start, form = dams("dry-run", str(path), code=2).out.splitlines()
    assert fails.startswith("  fails: Halve: ")
    assert (start, form) == ("    start start", "    form Ask: n=")
    run = dams("dry-run", str(path), "--json", code=2).json()
    assert run["models"][0]["failures"][0]["element_id"] == "Halve"
    root = ElementTree.fromstring(dams("dry-run", str(path), "--junit", code=2).out)  # noqa: S314 - our own output
    (suite,) = root.findall("testsuite")
    assert (suite.get("name"), suite.get("failures")) == ("Halves", "1")
    assert "error: Steal" in dams("dry-run", str(broken), code=2).out


def test_a_dry_run_plays_the_test_cases_beside_the_model(dams: CommandLine, tmp_path: Path) -> None:
    model, cases = tmp_path / "doubles.bpmn", tmp_path / "doubles.test.json"
    model.write_bytes(
        sequence("Doubles", user_task("Ask", field("n", "long", required=True)), script("Two", "m = n * 2"))
    )
    step = {"do": "form", "element": "Ask", "given": {"n": 4}}
    case = {"name": "four", "steps": [step], "data": {"m": 8}}
    cases.write_text(json.dumps({"process": "Doubles", "cases": [case, {**case, "name": "wrong", "data": {"m": 9}}]}))
    *_, first, second = dams("dry-run", str(model), str(cases), code=2).out.splitlines()
    assert (first, second) == ("  case four: holds", "  case wrong: m is 8 and not 9")
    junit = dams("dry-run", str(model), str(cases), "--junit", code=2).out
    root = ElementTree.fromstring(junit)  # noqa: S314 - our own output
    assert [suite.get("failures") for suite in root.findall("testsuite")] == ["0", "1"]
    answer = dams("dry-run", str(model), str(cases), "--json", code=2).json()
    assert [one["holds"] for one in answer["cases"]] == [True, False]


def test_junit_counts_errors_as_failures_and_a_sound_file_as_passed(
    dams: CommandLine, visit: Path, broken: Path
) -> None:
    root = ElementTree.fromstring(dams("check", str(visit), str(broken), "--junit", code=2).out)  # noqa: S314 - our own output
    sound, bad = root.findall("testsuite")
    assert (sound.get("tests"), sound.get("failures")) == ("1", "0")
    failures = bad.findall("testcase/failure")
    assert len(failures) == int(bad.get("failures") or 0) >= 1
    assert "cure: " in (failures[0].text or "")


def test_a_file_that_is_not_there_is_a_misuse(dams: CommandLine) -> None:
    assert "nowhere.bpmn" in dams("check", "nowhere.bpmn", code=2).err


def test_the_shipped_models_have_nothing_to_complain_about(dams: CommandLine) -> None:
    from app.core.settings import ROOT

    for path in sorted((ROOT / "bpmn").rglob("*.bpmn")):
        if path.parent.name == "spiff":
            dams("check", str(path))


def test_a_script_that_imports_is_found_without_a_service(dams: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "import.bpmn"
    path.write_bytes(sequence("p", script("Steal", "import os")))
    assert "import" in dams("check", str(path), code=2).out


def test_a_model_is_put_into_the_words_of_the_other_engine(dams: CommandLine, tmp_path: Path) -> None:
    path, target = tmp_path / "m.bpmn", tmp_path / "zeebe.bpmn"
    path.write_bytes(sequence("Ported", script("Sum", "m = n + 1")))
    told = dams("port", str(path), "--write", str(target)).out
    assert told.splitlines()[:2] == ["m.bpmn on Zeebe:", "  done: Sum: script: m = n + 1"]
    assert dams("check", str(target)).out == dams("check", str(target)).out
    assert dams("port", str(target), "--json").json()["target"] == "spiff"
    path.write_bytes(sequence("Ported", script("Sum", "m = n + 1\nk = 2")))
    assert "unbound-service" in dams("port", str(path), code=1).out
    path.write_text("no xml")
    assert "Error" in dams("port", str(path), code=1).err
