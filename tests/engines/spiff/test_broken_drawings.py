"""Two drawings of a sign-up and a diagnosis as clinics have them on paper: nothing in them says what happens.

A modeler who draws such a file learns all of it in one go, in the order of the file, and nothing is stored.
"""

from __future__ import annotations

from app.engines.spiff.specs import BundleFile, check_bundle
from tests.drawing import definitions, flow, gateway, user_task


def bare(task_id: str) -> str:
    """A script task that nobody has written a script for."""
    return f'<bpmn:scriptTask id="{task_id}" name="{task_id}" />'


SIGN_UP = definitions(
    "SignUp",
    '<bpmn:startEvent id="start" />',
    user_task("UserType"),
    bare("VerifyCredentials"),
    gateway("exclusive", "Kind"),
    *(user_task(f"{kind}Form") for kind in ("Admin", "Doctor", "Patient")),
    *(bare(f"Save{kind}") for kind in ("Admin", "Doctor", "Patient")),
    '<bpmn:endEvent id="end" />',
    flow("start", "UserType"),
    flow("UserType", "VerifyCredentials"),
    flow("VerifyCredentials", "Kind"),
    *(flow("Kind", f"{kind}Form") for kind in ("Admin", "Doctor", "Patient")),
    *(flow(f"{kind}Form", f"Save{kind}") for kind in ("Admin", "Doctor", "Patient")),
    *(flow(f"Save{kind}", "end") for kind in ("Admin", "Doctor", "Patient")),
)
DIAGNOSIS = definitions(
    "Diagnosis",
    '<bpmn:startEvent id="start" />',
    user_task("PatientSearch"),
    bare("Search"),
    gateway("exclusive", "Known"),
    user_task("NewPatient"),
    bare("SavePatient"),
    user_task("Diagnose"),
    bare("ComputeBill"),
    '<bpmn:endEvent id="end" />',
    flow("start", "PatientSearch"),
    flow("PatientSearch", "Search"),
    flow("Search", "Known"),
    flow("Known", "NewPatient"),
    flow("Known", "Diagnose"),
    flow("NewPatient", "SavePatient"),
    flow("SavePatient", "Diagnose"),
    flow("Diagnose", "ComputeBill"),
    flow("ComputeBill", "end"),
)


def errors(content: bytes) -> dict[str, list[str]]:
    report = check_bundle([BundleFile("drawing.bpmn", content)])
    assert report.models == []
    assert [one.line for one in report.problems] == sorted(one.line for one in report.problems)
    assert all(one.fix and one.message for one in report.problems)
    found: dict[str, list[str]] = {}
    for one in report.problems:
        if one.severity == "error":
            found.setdefault(one.rule, []).append(one.element_id)
    return found


def test_a_sign_up_without_scripts_and_conditions_is_told_all_of_it_at_once() -> None:
    assert errors(SIGN_UP) == {
        "condition-missing": ["Kind_AdminForm", "Kind_DoctorForm", "Kind_PatientForm"],
        "script-missing": ["SaveAdmin", "SaveDoctor", "SavePatient", "VerifyCredentials"],
    }


def test_a_diagnosis_without_scripts_and_conditions_is_told_all_of_it_at_once() -> None:
    assert errors(DIAGNOSIS) == {
        "condition-missing": ["Known_Diagnose", "Known_NewPatient"],
        "script-missing": ["ComputeBill", "SavePatient", "Search"],
    }
