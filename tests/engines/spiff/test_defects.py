"""Defects of SpiffWorkflow 3.2.0 that a deployed model must not meet. Each is shown in stock, then not in ours."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from SpiffWorkflow.bpmn import BpmnWorkflow
from SpiffWorkflow.bpmn.parser.BpmnParser import BpmnParser
from SpiffWorkflow.bpmn.parser.ValidationException import ValidationException
from SpiffWorkflow.bpmn.serializer import BpmnWorkflowSerializer

from tests.drawing import definitions, flow, gateway, script, sequence, user_task
from tests.engines.spiff.runs import Run, compiled, loaded, unchecked
from tests.engines.spiff.shapes import END, START, around, sub_process

DATA_OBJECT = '<bpmn:dataObject id="obj" /><bpmn:dataObjectReference id="ref" dataObjectRef="obj" />'


def reads(task_id: str, reference: str) -> str:
    inside = (
        f'<bpmn:dataInputAssociation id="in"><bpmn:sourceRef>{reference}</bpmn:sourceRef></bpmn:dataInputAssociation>'
    )
    return f'<bpmn:userTask id="{task_id}">{inside}</bpmn:userTask>'


def nested(reference: str) -> bytes:
    inner = sub_process("inner", reads("ask", reference), around("inner", "ask", "ask"))
    outer = sub_process("outer", inner, around("outer", "inner", "inner"))
    write = (
        '<bpmn:scriptTask id="write"><bpmn:dataOutputAssociation id="out"><bpmn:targetRef>ref</bpmn:targetRef>'
        "</bpmn:dataOutputAssociation><bpmn:script>obj = 5</bpmn:script></bpmn:scriptTask>"
    )
    return definitions("p", DATA_OBJECT, START, write, outer, END, flow("start", "write"), flow("write", "outer"),
                       flow("outer", "end"))  # fmt: skip


def test_1_a_data_object_two_scopes_up_is_found_and_does_not_hang_the_deployment() -> None:
    run = Run(unchecked(nested("ref")))
    assert (run.open, run.outcome.open_tasks[0].values) == (["ask"], {"obj": 5})
    assert run.complete("ask").status == "completed"


def test_1_a_reference_to_a_data_object_that_is_nowhere_is_refused() -> None:
    with pytest.raises(ValidationException, match="Cannot resolve"):
        unchecked(nested("nowhere"))


def looping(turns: int, *inside: str) -> bytes:
    ids = [element.split('id="', 1)[1].split('"', 1)[0] for element in inside]
    flows = [flow(a, b) for a, b in pairwise(ids)]
    return definitions(
        "p", START, gateway("exclusive", "merge"), *inside, gateway("exclusive", "again", default="leave"), END,
        flow("start", "merge"), flow("merge", ids[0]), *flows, flow(ids[-1], "again"),
        flow("again", "merge", f"n < {turns}"), flow("again", "end", flow_id="leave"),
    )  # fmt: skip


def test_2_a_loop_of_a_thousand_turns_comes_to_its_end_which_stock_does_not() -> None:
    xml = looping(400, script("s", "n = n + 1"))
    parser = BpmnParser()
    parser.add_bpmn_xml(etree.fromstring(xml))
    stock = BpmnWorkflow(parser.get_spec("p"))
    stock.get_next_task(spec_name="Start").data["n"] = 0
    stock.do_engine_steps()
    assert stock.is_completed()
    assert stock.data == {}  # it says that it is complete, and the end was never reached

    run = Run(loaded(looping(1000, script("s", "n = n + 1"))), n=0).finish()
    assert (run.status, run.variables, run.done()[-1], run.done().count("s")) == ("completed", {"n": 1000}, "end", 1000)


def test_2_a_thousand_user_tasks_of_a_loop_come_to_their_end() -> None:
    run = Run(loaded(looping(1000, user_task("a"), script("s", "n = n + 1"))), n=0)
    for number in range(1000):
        assert run.open == ["a"]
        run.complete("a", last=number)
    assert (run.status, run.variables) == ("completed", {"n": 1000, "last": 999})
    assert run.of("a") == ["entered", "completed"] * 1000


SCALAR = st.text() | st.none() | st.integers(-(2**63), 2**63 - 1)


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.sampled_from(["typename", "value", "x"]), SCALAR))
def test_3_a_form_value_that_contains_typename_is_loaded_again_which_stock_does_not(value: dict[str, object]) -> None:
    run = Run(loaded(sequence("p", user_task("a"), user_task("b")))).complete("a", form=value).complete("b")
    assert run.variables == {"form": value}


def test_3_stock_cannot_load_such_an_instance() -> None:
    parser = BpmnParser()
    parser.add_bpmn_xml(etree.fromstring(sequence("p", user_task("a"))))
    stock = BpmnWorkflow(parser.get_spec("p"))
    stock.get_next_task(spec_name="Start").data["form"] = {"typename": "x"}
    stock.do_engine_steps()
    serializer = BpmnWorkflowSerializer()
    with pytest.raises(TypeError):
        serializer.deserialize_json(serializer.serialize_json(stock))


RESERVED = ["Start", "End", "Root", "StartEventSplit", "StartEventJoin", "p.EndJoin", "a.BoundaryEventSplit"]


@pytest.mark.parametrize("reserved", RESERVED)
def test_5_an_element_may_have_any_id_and_the_trace_shows_it(reserved: str) -> None:
    run = Run(loaded(sequence("p", user_task(reserved), script("s", "x = 1"))))
    assert run.open == [reserved]
    run.complete(reserved)
    assert (run.status, run.variables, run.of(reserved)) == ("completed", {"x": 1}, ["entered", "completed"])


def test_5_start_events_end_events_and_sub_processes_may_have_them_too() -> None:
    inner = sub_process("Root", user_task("End"), around("Root", "End", "End"))
    xml = definitions("p", '<bpmn:startEvent id="Start" />', inner, '<bpmn:endEvent id="StartEventJoin" />',
                      flow("Start", "Root"), flow("Root", "StartEventJoin"))  # fmt: skip
    run = Run(loaded(xml)).complete("End")
    assert run.status == "completed"
    assert run.done() == ["Start", "Root.start", "End", "Root.end", "Root", "StartEventJoin"]
    assert set(compiled(xml)[0].elements) >= {"Start", "Root", "End", "StartEventJoin"}


def test_a_thousand_tasks_in_a_row_are_read_and_run() -> None:
    spec = loaded(sequence("p", *(user_task(f"t{number}") for number in range(1000))))
    run = Run(spec)
    assert run.complete("t0").open == ["t1"]
