"""Two versions side by side: each difference is named with its part, and nothing that is none."""

from __future__ import annotations

import pytest

from app.core.root import ROOT
from app.engines.spiff.comparison import Difference, compare
from app.engines.spiff.specs import BundleFile, CompiledModel, check_bundle
from tests.drawing import field, script, sequence, user_task
from tests.engines.spiff.runs import compiled

APPOINTMENT = (ROOT / "bpmn/spiff/appointment.bpmn").read_bytes()


def model(content: bytes, name: str = "model.bpmn") -> CompiledModel:
    (found,) = check_bundle([BundleFile(name, content)]).models
    return found


@pytest.mark.parametrize(
    ("said", "instead", "element", "what"),
    [
        (b'name="Finalize Schedule"', b'name="Book it"', "Activity_SaveSched", ("name",)),
        (b"tries &gt;= 10", b"tries &gt;= 3", "Flow_17fp3hj", ("condition",)),
        (b"finalize_sched = proceed", b"finalize_sched = True", "Activity_SaveSched", ("script",)),
        (b"Which kind of doctor is needed?", b"Which kind?", "Activity_SpecialDoc", ("documentation",)),
        (b'<camunda:constraint name="required" />', b"", "Activity_SpecialDoc", ("form",)),
    ],
)
def test_what_changed_is_named_with_its_element(
    said: bytes, instead: bytes, element: str, what: tuple[str, ...]
) -> None:
    assert said in APPOINTMENT
    found = compare(model(APPOINTMENT), model(APPOINTMENT.replace(said, instead, 1)), {element: 3})
    assert [(one.element_id, one.kind, one.what, one.running) for one in found] == [(element, "changed", what, 3)]


def test_places_in_the_drawing_and_white_space_are_no_difference() -> None:
    moved = APPOINTMENT.replace(b'x="', b'x="1').replace(b"<bpmn:outgoing>", b"\n\n  <bpmn:outgoing>")
    assert moved != APPOINTMENT
    assert compare(model(APPOINTMENT), model(moved)) == []


def test_what_came_and_what_went_is_said_with_who_stands_there() -> None:
    old, new = (
        sequence("P", user_task("a"), script("b", "x = 1")),
        sequence("P", user_task("a"), user_task("c", field("x"))),
    )
    found = compare(compiled(old)[0], compiled(new)[0], {"b": 2})
    assert [(one.element_id, one.kind) for one in found if one.element_type != "sequenceFlow"] == [
        ("c", "added"),
        ("b", "removed"),
    ]
    assert Difference("b", "scriptTask", "b", "removed", (), 2) in found


def test_a_coded_process_is_compared_too() -> None:
    content = (ROOT / "bpmn/spiff/payment.json").read_bytes()
    changed = content.replace(b'"label": "Discount"', b'"label": "Reduction"')
    found = compare(model(content, "payment.json"), model(changed, "payment.json"))
    assert [(one.element_id, one.what) for one in found] == [("dams_patient_pay", ("form",))]
    assert compare(model(content, "payment.json"), model(content, "payment.json")) == []
