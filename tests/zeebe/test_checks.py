"""Files for Zeebe before the broker sees them: every rule word for word, and what must pass."""

from __future__ import annotations

import pytest

from app.engines.spiff.checks import RULES
from app.engines.spiff.specs import BundleFile, check_bundle
from app.engines.zeebe.models import problems
from tests import drawing
from tests.zeebe.conftest import DIAGNOSTICS, ROOT, drawn
from tests.zeebe.faulty import FAULTS, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.rule}-{fault.message[:20]}")
def test_a_rule_names_the_element_the_fault_and_the_cure(fault: Fault) -> None:
    report = check_bundle([BundleFile("model.bpmn", fault.xml)])
    mine = [one for one in report.problems if one.rule == fault.rule]
    said = {(one.element_id, one.message, one.fix) for one in mine}
    assert (fault.element, fault.message, fault.fix) in said, report.problems
    assert {(one.severity, one.line > 0) for one in mine} == {(RULES[fault.rule], True)}
    assert {one.rule for one in report.problems if one.severity == "error"} <= {fault.rule}


@pytest.mark.parametrize("path", sorted((ROOT / "bpmn/zeebe").glob("*.bpmn")), ids=lambda path: path.name)
def test_the_shipped_models_have_nothing_to_complain_about(path: object) -> None:
    report = check_bundle([BundleFile("model.bpmn", (ROOT / "bpmn/zeebe" / str(path)).read_bytes())])
    assert report.problems == []


def test_a_file_goes_to_the_engine_that_it_is_drawn_for() -> None:
    task = '<bpmn:userTask id="t" name="Ask" />'
    files = [BundleFile("people.bpmn", drawing.sequence("P_people", task)), BundleFile("machines.bpmn", DIAGNOSTICS)]
    report = check_bundle(files)
    assert {model.process_id: model.engine for model in report.models} == {
        "P_people": "spiff",
        "Process_Diagnostics": "zeebe",
    }


def test_one_process_id_in_files_of_two_engines_is_refused() -> None:
    task = '<bpmn:userTask id="t" name="Ask" />'
    report = check_bundle([BundleFile("a.bpmn", drawing.sequence("P", task)), BundleFile("b.bpmn", drawn("P", "work"))])
    assert [one.rule for one in report.problems if one.severity == "error"] == ["duplicate-id"]


def test_zeebes_own_words_become_problems_with_element_and_line() -> None:
    report = check_bundle([BundleFile("upload.bpmn", DIAGNOSTICS)])
    said = """Command 'CREATE' rejected with code 'INVALID_ARGUMENT': Expected to deploy new resources, but encountered:
'Process_Diagnostics.bpmn': - Element: Activity_GetAnalysis > extensionElements > ioMapping > input
    - ERROR: failed to parse expression 'data +'
- Element: Activity_GetDiagnostics > extensionElements > taskDefinition
    - ERROR: failed to parse expression 'x +'
"""
    found = problems(said, {"Process_Diagnostics.bpmn": report.models[0]})
    assert [(one.file, one.element_id, one.element_name, one.message) for one in found] == [
        ("upload.bpmn", "Activity_GetAnalysis", "Get Analysis", "Zeebe says: failed to parse expression 'data +'"),
        ("upload.bpmn", "Activity_GetDiagnostics", "Get Diagnostics", "Zeebe says: failed to parse expression 'x +'"),
    ]
    assert all(one.line > 1 for one in found)
