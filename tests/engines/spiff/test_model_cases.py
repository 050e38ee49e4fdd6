"""A model's own test cases: what holds, and what does not with the place at which it differs."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.core.root import ROOT
from app.engines.spiff import dry_run
from app.engines.spiff.dry_run import Verdict
from app.engines.spiff.specs import BundleFile, check_bundle
from tests.drawing import field, script, sequence, timer, user_task
from tests.engines.spiff.conformance.drawn import beside
from tests.engines.spiff.runs import NOW
from tests.engines.spiff.shapes import boundary

OWN = sorted((ROOT / "bpmn/tests").iterdir())
SUMS = sequence("Sums", user_task("Ask", field("n", "long", required=True)), script("Twice", "m = n * 2"))


def said(model: bytes, **case: Any) -> Verdict:
    content = orjson.dumps({"process": "Sums", "cases": [{"name": "one", **case}]})
    report = check_bundle([BundleFile("model.bpmn", model)])
    (verdict,) = dry_run.run([BundleFile("model.test.json", content)], report.models, NOW)
    return verdict


def ask(**given: Any) -> dict[str, Any]:
    return {"do": "form", "element": "Ask", "given": given}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_the_cases_of_the_shipped_processes_hold(path: Any) -> None:
    model = ROOT / "bpmn/spiff" / path.name.replace(".test.json", ".bpmn")
    report = check_bundle([BundleFile(model.name, model.read_bytes())])
    verdicts = dry_run.run([BundleFile(path.name, path.read_bytes())], report.models, NOW)
    assert verdicts
    assert [one.said for one in verdicts] == [""] * len(verdicts)


def test_a_case_holds_with_its_way_and_its_data() -> None:
    verdict = said(SUMS, steps=[ask(n=21)], path=["start", "Ask", "Twice", "end"], data={"m": 42})
    assert verdict == Verdict("Sums", "one", "", ("start", "Ask", "Twice", "end"))
    assert verdict.holds


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ({"steps": [ask(n=21)], "data": {"m": 43}}, "m is 42 and not 43"),
        ({"steps": [ask(n=21)], "data": {"k": 1}}, "k is None and not 1"),
        ({"steps": [ask(n=21)], "path": ["start", "Ask", "end"]}, "the way differs at place 3: Twice and not end"),
        ({"steps": [ask(n=21)], "path": ["start", "Ask", "Twice"]}, "the way differs at place 4: end and not nothing"),
        ({"steps": []}, "it is running and not completed: form Ask"),
        ({"steps": [ask(n="many")]}, "Ask: n: Enter a whole number."),
        ({"steps": [ask(n=1), ask(n=1)]}, "form Ask is not possible here: the instance is completed"),
        ({"steps": [{"do": "timer", "element": "Ask"}]}, "timer Ask is not possible here: form Ask"),
        ({"steps": [{"do": "form", "element": "Gone"}]}, "there is no element Gone in this version"),
        ({"steps": [ask(n=1)], "path": ["start", "Other"]}, "there is no element Other in this version"),
        ({"steps": [{"do": "dance", "element": "Ask"}]}, "cases.0.steps.0.do: "),
        ({"steps": [], "surplus": 1}, "cases.0.surplus: "),
    ],
)
def test_what_does_not_hold_says_where_and_why(case: dict[str, Any], why: str) -> None:
    verdict = said(SUMS, **case)
    assert not verdict.holds
    assert verdict.said.startswith(why)


def test_an_incident_is_a_failed_case_that_may_be_expected() -> None:
    halves = sequence("Sums", user_task("Ask", field("n", "long")), script("Half", "m = n / 2"))
    assert said(halves, steps=[ask()], status="failed").holds
    assert said(halves, steps=[ask()]).said.startswith("it is failed and not completed: Half failed: ")


def test_time_passes_and_events_happen_where_a_case_says_so() -> None:
    waits = sequence("Sums", timer("Later", "P30D"), script("Late", "m = 1"))
    assert said(waits, steps=[{"do": "timer", "element": "Later"}], data={"m": 1}).holds
    told = beside(user_task("Ask"), boundary("b", "Ask", "message", "m1"), "Ask").replace(b'id="p"', b'id="Sums"')
    verdict = said(told, steps=[{"do": "message", "element": "b", "given": {"x": 1}}], data={"x": 1})
    assert verdict.holds, verdict
    assert "react" in verdict.path


def test_cases_for_a_process_that_is_not_there_do_not_hold() -> None:
    content = orjson.dumps({"process": "Other", "cases": [{"name": "one"}]})
    (verdict,) = dry_run.run(
        [BundleFile("x.test.json", content)], check_bundle([BundleFile("m.bpmn", SUMS)]).models, NOW
    )
    assert verdict.said == "no process Other is among the files"
    (broken,) = dry_run.run([BundleFile("x.test.json", b"{")], [], NOW)
    assert not broken.holds
