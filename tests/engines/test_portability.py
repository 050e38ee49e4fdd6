"""A model in the words of the other engine: what is exact is done, what is not is told by its element."""

from __future__ import annotations

import pytest

from app.core.root import ROOT
from app.engines.portability import Ported, ported, texts
from app.engines.spiff import intake, specs
from app.engines.spiff.specs import BundleFile
from tests.drawing import definitions, field, flow, gateway, script, sequence, user_task
from tests.engines.spiff.shapes import END, START

CAMUNDA = 'xmlns:modeler="http://camunda.org/schema/modeler/1.0" modeler:executionPlatform="Camunda Platform"'
JOB = (
    '<bpmn:serviceTask id="job" camunda:type="external" camunda:topic="count"><bpmn:extensionElements>'
    '<camunda:inputOutput><camunda:inputParameter name="who">${patient.name}</camunda:inputParameter>'
    '<camunda:inputParameter name="kind">a "fixed" text</camunda:inputParameter>'
    '<camunda:outputParameter name="sum">${total + 1}</camunda:outputParameter></camunda:inputOutput>'
    "</bpmn:extensionElements></bpmn:serviceTask>"
)


def port(content: bytes) -> Ported:
    return ported(BundleFile("model.bpmn", content))


def camunda(*inside: str) -> bytes:
    return definitions("P", START, END, *inside).replace(b'id="definitions"', f'id="definitions" {CAMUNDA}'.encode())


def said(found: Ported) -> dict[str, str]:
    return {one.element_id: one.what for one in found.changes}


def left(found: Ported) -> dict[str, str]:
    return {one.element_id: one.rule for one in found.problems}


@pytest.mark.parametrize(
    ("juel", "feel"),
    [
        ("${proceed}", "proceed"),
        ("${a == 'x'}", 'a = "x"'),
        ("${a != null && !b}", "(a != null) and (not(b))"),
        ("${n >= 10 || m < 2}", "(10 <= n) or (m < 2)"),
        ("${patient.age > 17}", "17 < patient.age"),
        ("${a ? 1 : 2}", "if a then 1 else 2"),
        ("${(a + 1) * 2 == 4}", "((a + 1) * 2) = 4"),
        ("${true}", "true"),
    ],
)
def test_a_condition_goes_to_feel_and_means_the_same_when_it_comes_back(juel: str, feel: str) -> None:
    assert texts.to_feel(juel, "camunda") == feel
    back = texts.to_juel(feel)
    assert back is not None
    assert texts.to_feel(back, "camunda") == feel


@pytest.mark.parametrize("juel", ["${empty a}", "${a % 2 == 0}", "${a.size() > 1}", "${a", "${x in [1]}"])
def test_what_has_no_exact_words_is_left_alone(juel: str) -> None:
    assert texts.to_feel(juel, "camunda") is None


@pytest.mark.parametrize(
    ("feel", "python"),
    [("=a = 1", "a == 1"), ("=if a then b else c", "b if a else c"), ("=p.q", "p['q']"), ('="it\'s"', '"it\'s"'),
     ("=not(a)", "not (a)"), ("=null", "None")],
)  # fmt: skip
def test_an_expression_goes_to_a_script(feel: str, python: str) -> None:
    assert texts.to_python(feel) == python


def test_jobs_mappings_conditions_forms_and_plain_scripts_go_to_zeebe() -> None:
    ways = [flow("start", "ask"), flow("ask", "job"), flow("job", "s"), flow("s", "g"),
            flow("g", "end", "${sum > 3}"), flow("g", "no", flow_id="default")]  # fmt: skip
    ask = user_task("ask", field("sum", "long", required=True), field("word", default="hello"))
    no = '<bpmn:endEvent id="no" />'
    found = port(camunda(ask, JOB, script("s", "m = sum * 2"), gateway("exclusive", "g", "default"), no, *ways))
    assert said(found) == {
        "g_end": "condition: =3 < sum",
        "ask": "form: 2 fields",
        "job": "job type: count",
        "s": "script: m = sum * 2",
    }
    assert (found.target, found.runs, left(found)) == ("zeebe", True, {"ask": "user-task"})
    text = found.content.decode()
    assert '<zeebe:input source="=patient.name" target="who"/>' in text
    assert '<zeebe:input source="=&quot;a \\&quot;fixed\\&quot; text&quot;" target="kind"/>' in text
    assert '<zeebe:output source="=total + 1" target="sum"/>' in text
    again = port(found.content)
    assert (again.target, set(said(again))) == ("spiff", {"g_end", "ask", "job", "s"})
    assert left(again)["job"] == "unbound-service"  # nothing here serves the topic `count`
    assert 'camunda:formField id="sum" label="sum" type="long"' in again.content.decode()


def test_what_cannot_be_said_exactly_stays_and_is_named() -> None:
    rows = [script("s", "a = 1\nb = 2"), user_task("ask", field("x", "long"), attributes='camunda:dueDate="P1D"')]
    found = port(camunda(*rows, flow("start", "s"), flow("s", "ask"), flow("ask", "end")))
    assert (found.runs, left(found)["s"]) == (False, "unbound-service")
    assert "b = 2" in found.content.decode()


def test_a_process_gets_an_id_of_its_own_and_its_drawing_follows() -> None:
    content = (ROOT / "bpmn/spiff/appointment.bpmn").read_bytes()
    found = ported(BundleFile("a.bpmn", content), renamed={"Process_ApptDams01": "Other"})
    root = intake.read(found.content)
    assert [one.get("id") for one in root.iter("{*}process")] == ["Other"]
    assert [one.get("bpmnElement") for one in root.iter("{*}BPMNPlane")] == ["Other"]


def test_what_ships_for_zeebe_comes_back_from_dams_as_it_went() -> None:
    content = (ROOT / "bpmn/zeebe/diagnostics.bpmn").read_bytes()
    there = port(content)
    back = port(there.content)
    assert (there.target, back.target, back.runs) == ("spiff", "zeebe", True)
    first, last = [specs.check_bundle([BundleFile("d.bpmn", one)]).models[0] for one in (content, back.content)]
    assert first.elements.keys() == last.elements.keys()


def test_a_file_that_is_no_xml_is_refused() -> None:
    with pytest.raises(intake.XmlRefused):
        port(b"no xml")


def test_an_own_sequence_without_anything_to_port_says_so() -> None:
    found = port(sequence("P", user_task("ask")))
    assert (found.changes, found.target) == ([], "zeebe")
