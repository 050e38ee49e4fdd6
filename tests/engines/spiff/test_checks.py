"""The deployment checks: every rule word for word, whole files, and what must pass."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.engines.spiff import checks
from app.engines.spiff.checks import RULES, Checked
from tests import drawing as draw
from tests.engines.spiff import (
    faulty,
    faulty_constructs,
    faulty_drawings,
    faulty_links,
    faulty_vendor,
    faulty_ways,
    test_coded,
)
from tests.engines.spiff.faulty import INNER, START, Fault
from tests.zeebe import faulty as zeebe

ROOT = Path(__file__).resolve().parents[3]
FAMILIES = (faulty_drawings, faulty_links, faulty_constructs, faulty_vendor, faulty_ways)
FAULTS = [fault for family in FAMILIES for fault in family.FAULTS]


@dataclass(frozen=True)
class File:
    name: str
    content: bytes


def checked(*contents: bytes) -> Checked:
    return checks.run([File(f"model{number}.bpmn", content) for number, content in enumerate(contents)])


def rules(*contents: bytes) -> list[str]:
    return [problem.rule for problem in checked(*contents).problems]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.rule)
def test_a_rule_names_the_element_the_fault_and_the_cure(fault: Fault) -> None:
    found = checked(fault.xml)
    mine = [problem for problem in found.problems if problem.rule == fault.rule]
    assert (fault.element, fault.message, fault.fix) in {(p.element_id, p.message, p.fix) for p in mine}, found.problems
    assert all(problem.line > 0 and problem.file == "model0.bpmn" for problem in mine)
    assert {problem.severity for problem in mine} == {RULES[fault.rule]}
    assert bool(found.files) == found.ok


def test_a_fault_gives_no_second_complaint_of_another_rule() -> None:
    noisy = {
        fault.rule: extra
        for fault in FAULTS
        if (extra := {p.rule for p in checked(fault.xml).problems if p.severity == "error"} - {fault.rule})
    }
    two_in_one_drawing = {"missing-id", "dangling-reference", "flow-crossing", "end-event-flow", "unsupported-element"}
    assert set(noisy) <= two_in_one_drawing, noisy


@pytest.mark.parametrize("xml", faulty_ways.SET_ON_EVERY_WAY.values(), ids=list(faulty_ways.SET_ON_EVERY_WAY))
def test_a_name_that_every_way_sets_is_no_matter(xml: bytes) -> None:
    assert not {"name-sometimes-set", "fake-join"} & set(rules(xml))


def test_a_boundary_event_leaves_before_what_it_stands_on_has_set_anything() -> None:
    assert "name-sometimes-set" in rules(faulty_ways.LEFT_EARLY)


def test_a_label_that_says_the_same_in_other_words_is_no_matter() -> None:
    for label in ("x = 1", "${x == 1}", "x", "large", "y == 2", "x === '1'"):
        named = faulty.choice("x == 1", "x == 2").replace(b'id="f1"', f'id="f1" name="{label}"'.encode())
        assert "label-condition" not in rules(named), label


@pytest.mark.parametrize("own", ["1t", "my task", "a:b"])
def test_an_id_that_xml_does_not_allow_is_a_fault_and_no_duplicate(own: str) -> None:
    model = faulty.around(draw.manual_task("t"), first="t").replace(
        b'manualTask id="t"', f'manualTask id="{own}"'.encode()
    )
    assert "schema" in rules(model)
    assert "duplicate-id" not in rules(model)


def test_every_rule_of_the_list_is_held_by_a_test() -> None:
    elsewhere = {
        "not-xml",
        "doctype",
        "too-large",
        "too-many-elements",
        "too-deep",
        "encoding",
        "decision-table",
    }
    of_zeebe = {fault.rule for fault in zeebe.FAULTS}
    of_coded = {rule for _, rule, _ in test_coded.REFUSED.values()}
    assert set(RULES) - {fault.rule for fault in FAULTS} - of_zeebe - (of_coded - elsewhere) == elsewhere


def test_every_rule_is_explained_in_the_modelling_guide() -> None:
    text = (ROOT / "docs/modelling.md").read_text()
    assert [rule for rule in RULES if f"| `{rule}` |" not in text] == []


WORKING = {
    "a user task with a form": faulty.field('id="a" type="long"', faulty.rule("min", "1")),
    "a manual task": faulty.task(kind="manualTask"),
    "a plain task": faulty.task(kind="task"),
    "a script": faulty.script("x = 1"),
    "a receive task": faulty.task("", 'messageRef="called"', "receiveTask"),
    "a send task with a message": faulty.task("", 'messageRef="called"', "sendTask"),
    "an exclusive gateway": faulty.choice("x == 1", "", default="f2"),
    "an inclusive gateway": faulty.choice("x == 1", "x == 2", kind="inclusive"),
    "a parallel gateway": faulty.choice("", "", kind="parallel"),
    "a sub-process": faulty.sub_process(INNER),
    "a call activity": faulty.task("", 'calledElement="P"', "callActivity"),
    "a message catch event": faulty.event(
        "intermediateCatchEvent", "message", 'messageRef="called"', before=faulty.MESSAGE
    ),
    "a signal end event": draw.definitions(
        "P",
        START,
        '<bpmn:endEvent id="end"><bpmn:signalEventDefinition signalRef="s" /></bpmn:endEvent>',
        draw.flow("start", "end"),
        before='<bpmn:signal id="s" name="S" />',
    ),
    "a timer": faulty.timer("timeDuration", "PT1H"),
    "a timer boundary event": faulty.boundary(
        "<bpmn:timerEventDefinition><bpmn:timeCycle>R3/PT10M</bpmn:timeCycle></bpmn:timerEventDefinition>",
        'cancelActivity="false"',
    ),
    "an error boundary event": faulty.boundary("<bpmn:errorEventDefinition />"),
    "a terminate end event": draw.definitions(
        "P",
        START,
        '<bpmn:endEvent id="end"><bpmn:terminateEventDefinition /></bpmn:endEvent>',
        draw.flow("start", "end"),
    ),
    "a multi-instance task": faulty.loop("", 'camunda:collection="${items}" camunda:elementVariable="item"'),
    "a counted loop": faulty.loop("<bpmn:loopCardinality>3</bpmn:loopCardinality>"),
    "a standard loop": faulty.task('<bpmn:standardLoopCharacteristics loopMaximum="3" />'),
    "harmless Camunda attributes": faulty.task("", 'camunda:asyncBefore="true" camunda:jobPriority="3"'),
    "an element called Start and one called End": draw.sequence(
        "P", draw.manual_task("Start"), draw.manual_task("End")
    ),
}


@pytest.mark.parametrize("what", WORKING)
def test_what_the_engine_runs_is_not_refused(what: str) -> None:
    found = checked(WORKING[what])
    assert [problem for problem in found.problems if problem.severity == "error"] == []
    assert len(found.files) == 1


def test_a_script_problem_names_the_line_of_the_file() -> None:
    xml = faulty.script("\n  x = 1\n  import os\n")
    line = next(n for n, text in enumerate(xml.decode().splitlines(), 1) if "import os" in text)
    assert [(p.rule, p.line) for p in checked(xml).problems] == [("script-import", line)]


def test_problems_of_all_files_come_in_one_list_in_order() -> None:
    found = checked(faulty.script("import os"), b"no xml", faulty.choice("x == 1", ""))
    assert [(p.file, p.rule) for p in found.problems if p.severity == "error"] == [
        ("model0.bpmn", "script-import"), ("model1.bpmn", "not-xml"), ("model2.bpmn", "duplicate-id"),
        ("model2.bpmn", "condition-missing"),
    ]  # fmt: skip
    assert found.files == ()


def test_a_call_into_another_file_of_the_bundle_is_fine() -> None:
    caller = faulty.task("", 'calledElement="Other"', "callActivity")
    other = draw.sequence("Other", draw.manual_task("m"))
    assert checked(caller, other).ok
    assert not checked(caller).ok


def test_elements_carry_name_lane_line_and_the_scope_they_stand_in() -> None:
    lanes = ('<bpmn:laneSet id="ls"><bpmn:lane id="l" name="Staff"><bpmn:flowNodeRef>t</bpmn:flowNodeRef></bpmn:lane>'
             "</bpmn:laneSet>")  # fmt: skip
    xml = faulty.around(lanes, f'<bpmn:subProcess id="t" name="Doctor&#10;part">{INNER}</bpmn:subProcess>', first="t")
    [process] = checked(xml).files[0].processes
    assert {"start", "t", "s1", "s2", "end", "start_t"} <= set(process.elements)
    sub, inner = process.elements["t"], process.elements["s1"]
    assert (sub.type, sub.name, sub.lane, sub.parent, sub.line) == ("subProcess", "Doctor part", "Staff", "", 5)
    assert (inner.lane, inner.parent) == ("Staff", "t")


def test_who_may_do_a_task_by_when_is_read_from_the_model() -> None:
    attributes = ('camunda:candidateGroups="staff, doctor" camunda:candidateUsers="ana" camunda:assignee="bob" '
                  'camunda:dueDate="P2D" camunda:followUpDate="2027-01-31" camunda:priority="70"')  # fmt: skip
    xml = faulty.task("<bpmn:documentation>Ask twice.</bpmn:documentation>", attributes)
    info = checked(xml).files[0].processes[0].tasks["t"]
    assert info.candidate_roles == ("staff", "doctor")
    assert info.candidate_users == ("ana",)
    assert (info.assignee, info.due, info.follow_up, info.priority) == ("bob", "P2D", "2027-01-31", 70)
    assert info.documentation == "Ask twice."


def test_a_form_is_read_with_its_constraints() -> None:
    inner = '<camunda:properties><camunda:property id="readonly" value="true" /></camunda:properties>' + faulty.rule(
        "min", "1.5"
    )
    form = (
        checked(faulty.field('id="p.age" label="Age" type="double" defaultValue="2"', inner))
        .files[0]
        .processes[0]
        .forms["t"]
    )
    [only] = form.fields
    assert (only.id, only.label, only.type, only.default, only.min, only.readonly) == (
        "p.age",
        "Age",
        "double",
        2.0,
        1.5,
        True,
    )


@pytest.mark.parametrize(
    ("attributes", "inner", "message"),
    [
        (
            'id="a" type="long"',
            faulty.rule("min", "9").replace("</camunda:validation>", "")
            + '<camunda:constraint name="max" config="1" /></camunda:validation>',
            "field a: min 9 is above max 1",
        ),
        (
            'id="a" type="string"',
            faulty.rule("pattern", "(?=x)"),
            "field a: its pattern cannot be used: look-around, including look-ahead and look-behind, is not supported",
        ),
        ('id="a" type="boolean"', faulty.rule("min", "1"), "field a: min has no meaning for the type boolean"),
        (
            'id="a" type="string"',
            faulty.rule("validator", "com.Foo"),
            "field a: the constraint 'validator' is not known",
        ),
        (
            'id="a" type="enum"',
            '<camunda:value id="r" name="R" /><camunda:value id="r" name="S" />',
            "field a: two values have the same id",
        ),
        (
            'id="a" type="enum" defaultValue="b"',
            '<camunda:value id="r" name="R" />',
            "field a: its default 'b' does not fit the field: Choose one of: R.",
        ),
        ('id="a" type="string" defaultValue="${x}"', "", "field a: its default is an expression"),
        ('id="" type="string"', "", "the field id '' cannot be the name of a variable"),
        ('id="a" type="string" /><camunda:formField id="a" type="long"', "", "the field a stands twice in the form"),
        (
            'id="a" type="string" /><camunda:formField id="a.b" type="long"',
            "",
            "the field a.b is a value and a group of values at once",
        ),
    ],
)
def test_a_form_that_makes_no_sense_is_refused(attributes: str, inner: str, message: str) -> None:
    found = checked(faulty.field(attributes, inner))
    assert message in [problem.message for problem in found.problems]
    assert not found.ok


@pytest.mark.parametrize(
    ("slot", "text", "python"),
    [
        ("timeDuration", "PT30M", "'PT30M'"),
        ("timeDuration", " P1Y2M10DT2H30M ", "'P1Y2M10DT2H30M'"),
        ("timeDuration", "${pause}", "pause"),
        ("timeDuration", "'PT1H'", "'PT1H'"),
        ("timeDate", "2027-03-31T09:00:00Z", "'2027-03-31T09:00:00+00:00'"),
        ("timeDate", "2027-03-31T09:00:00", "'2027-03-31T09:00:00-04:00'"),
        ("timeDate", "2027-01-31", "'2027-01-31T00:00:00-05:00'"),
        ("timeCycle", "R3/PT10M", "'R3/PT10M'"),
        ("timeCycle", "R/P1D", "'R/P1D'"),
        ("timeCycle", "R2/2027-01-31T00:00:00Z/P1D", "'R2/2027-01-31T00:00:00+00:00/P1D'"),
    ],
)
def test_a_time_reaches_the_engine_as_python(slot: str, text: str, python: str) -> None:
    found = checked(faulty.timer(slot, text))
    [holder] = found.files[0].tree.iter(f"{{*}}{slot}")
    assert holder.text == python


@pytest.mark.parametrize(
    "text", ["P1", "PT", "1H", "P1H", "PT1H1D", "0 0 9-17 * * MON-FRI", "R3/PT10M", "'soon'", "P-1D", "R/"]
)
def test_a_time_that_nobody_can_read_is_refused(text: str) -> None:
    assert not checked(faulty.timer("timeDuration", text)).ok


def test_expressions_reach_the_engine_as_python() -> None:
    found = checked(faulty.choice("${x == 1}", "#{x gt 1}"))
    texts = [node.text for node in found.files[0].tree.iter("{*}conditionExpression")]
    assert texts == ["juel_equal(x, 1)", "juel_less(1, x)"]


def test_a_result_variable_takes_the_last_value_of_a_script() -> None:
    found = checked(faulty.script("x = 2\nx * 3", 'camunda:resultVariable="six"'))
    assert [node.text for node in found.files[0].tree.iter("{*}script")] == ["x = 2\nsix = (x * 3\n)"]


def test_the_appointment_process_of_the_clinic_has_nothing_to_complain_about() -> None:
    path = ROOT / "bpmn/spiff/appointment.bpmn"
    found = checks.run([File(path.name, path.read_bytes())])
    assert found.problems == ()
    [process] = found.files[0].processes
    assert process.id == "Process_ApptDams01"
    assert [field.id for form in process.forms.values() for field in form.fields] == [
        "specialization", "docid", "date_scheduled", "time_scheduled", "patientid", "ticketid", "priority_level",
    ]  # fmt: skip


def test_five_hundred_elements_are_checked_in_a_moment() -> None:
    steps = [
        draw.script(f"s{n}", f"x{n} = {n}") if n % 2 else draw.user_task(f"t{n}", draw.field(f"f{n}"))
        for n in range(500)
    ]
    xml = draw.sequence("P", *steps)
    began = time.process_time()  # what other processes do meanwhile does not count
    assert checked(xml).ok
    assert time.process_time() - began < 2


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(st.sampled_from([fault.xml for fault in FAULTS]), st.data())
def test_a_damaged_file_gives_problems_and_never_an_exception(xml: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(250, len(xml) - 1))
    until = data.draw(st.integers(at, min(len(xml), at + 60)))
    put = data.draw(st.sampled_from([b"", b"x", b'"', b"<", b"/>", b"${", b"\x00", b"id=''", b"&amp;", "é".encode()]))
    checked(xml[:at] + put + xml[until:])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100)
@given(st.lists(st.sampled_from([fault.xml.decode() for fault in FAULTS]), min_size=2, max_size=2), st.data())
def test_elements_put_in_the_wrong_place_give_problems_and_never_an_exception(
    two: list[str], data: st.DataObject
) -> None:
    inside = [text.split('isExecutable="true">', 1)[-1].split("</bpmn:process>")[0] for text in two]
    pieces = inside[1].split("<bpmn:")
    piece = "<bpmn:" + data.draw(st.sampled_from(pieces[1:]))
    checked(two[0].replace("</bpmn:process>", f"{piece}</bpmn:process>", 1).encode())
