"""A process runs step by step, each step on the state the last one saved."""

from __future__ import annotations

import pytest

from app.core.errors import Conflict, Invalid
from app.engines.spiff import steps
from app.engines.spiff.outcome import Bounds
from tests.drawing import definitions, field, flow, gateway, manual_task, script, sequence, user_task
from tests.engines.spiff.runs import NOW, WIDE, Run, compiled, loaded

CHOICE = definitions(
    "choice",
    '<bpmn:startEvent id="start" />',
    user_task("ask", field("age", "long")),
    gateway("exclusive", "which", default="rest"),
    script("minor", "kind = 'minor'"),
    script("adult", "kind = 'adult'"),
    script("odd", "kind = 'odd'"),
    '<bpmn:endEvent id="end" />',
    flow("start", "ask"),
    flow("ask", "which"),
    flow("which", "odd", flow_id="rest"),
    flow("which", "minor", "age < 18"),
    flow("which", "adult", "age < 100"),
    flow("minor", "end"),
    flow("adult", "end"),
    flow("odd", "end"),
)


def test_a_task_is_completed_and_the_flow_runs_to_its_end() -> None:
    run = Run(loaded(sequence("p", user_task("a"), script("b", "total = price * 2"), manual_task("c"))), price=4)
    assert (run.status, run.open) == ("running", ["a"])
    run.complete("a", note="well")
    assert (run.open, run.outcome.open_tasks[0].type) == (["c"], "manualTask")
    assert run.variables == {"price": 4, "note": "well", "total": 8}
    run.complete("c")
    assert (run.status, run.open, run.outcome.waiting) == ("completed", [], [])
    assert run.variables == {"price": 4, "note": "well", "total": 8}
    assert run.trace == [
        ("start", "entered"), ("start", "completed"), ("a", "entered"),
        ("a", "completed"), ("b", "entered"), ("b", "completed"), ("c", "entered"),
        ("c", "completed"), ("end", "entered"), ("end", "completed"),
    ]  # fmt: skip


@pytest.mark.parametrize(("age", "kind"), [(7, "minor"), (30, "adult"), (200, "odd")])
def test_a_gateway_takes_the_first_condition_in_the_order_of_the_file(age: int, kind: str) -> None:
    run = Run(loaded(CHOICE)).complete("ask", age=age)
    assert (run.status, run.variables["kind"]) == ("completed", kind)


def test_a_task_completed_once_is_not_completed_again() -> None:
    spec = loaded(sequence("p", user_task("a"), user_task("b")))
    run = Run(spec)
    task = run.outcome.open_tasks[0].id
    run.complete("a")
    with pytest.raises(Conflict):
        steps.complete(spec, run.state, task, {}, bounds=WIDE, now=NOW)


def test_values_that_cannot_be_kept_are_refused_by_name_before_anything_happens() -> None:
    spec = loaded(sequence("p", user_task("a")))
    for bad in ({1, 2}, float("nan"), print, 2**70, b"x", {"inner": [object()]}, {3: "x"}):
        with pytest.raises(Invalid) as refused:
            Run(spec, given=bad)
        assert list(refused.value.errors) == ["given"]
    run = Run(spec)
    with pytest.raises(Invalid):
        run.complete("a", note="x" * (WIDE.variable_bytes + 1))
    assert run.complete("a", note="short").status == "completed"


def test_a_failing_script_is_an_incident_that_names_variables_and_the_retry_with_them_corrected_goes_on() -> None:
    run = Run(loaded(sequence("p", script("sum", "a = 1\ntotal = price + 1"))), price="five")
    assert run.status == "failed"
    incident = run.outcome.incidents[0]
    assert (incident.element_id, incident.line) == ("sum", 2)
    assert "price" in incident.message
    assert "five" not in incident.message
    assert run.of("sum") == ["entered", "failed"]
    run.proceed()
    assert (run.status, run.of("sum")) == ("failed", ["entered", "failed"])
    run.retry(price=5)
    assert (run.status, run.variables["total"], run.incidents) == ("completed", 6, [])


def test_one_branch_fails_and_the_other_goes_on() -> None:
    spec = loaded(
        definitions(
            "p", '<bpmn:startEvent id="start" />', gateway("parallel", "fork"), script("bad", "x = missing"),
            user_task("good"), gateway("parallel", "join"), '<bpmn:endEvent id="end" />',
            flow("start", "fork"), flow("fork", "bad"), flow("fork", "good"), flow("bad", "join"),
            flow("good", "join"), flow("join", "end"),
        )
    )  # fmt: skip
    run = Run(spec)
    assert (run.status, run.incidents, run.open) == ("running", [("bad", "name-not-set")], ["good"])
    run.complete("good")
    assert (run.status, run.incidents) == ("failed", [("bad", "name-not-set")])
    assert run.retry(missing=1).status == "completed"
    assert run.variables == {"missing": 1, "x": 1}


def test_a_gateway_without_a_way_is_an_incident() -> None:
    xml = definitions(
        "p", '<bpmn:startEvent id="start" />', gateway("exclusive", "g"), '<bpmn:endEvent id="a" />',
        '<bpmn:endEvent id="b" />', flow("start", "g"), flow("g", "a", "n == 1"), flow("g", "b", "n == 2"),
    )  # fmt: skip
    run = Run(loaded(xml), n=3)
    assert (run.status, run.incidents) == ("failed", [("g", "no-flow-matches")])
    assert run.retry(n=2).done() == ["start", "g", "b"]


def test_a_call_stops_at_its_bound_and_the_next_goes_on() -> None:
    run = Run(loaded(sequence("p", *(script(f"s{n}", f"x{n} = {n}") for n in range(30)))), Bounds(steps=7, seconds=60))
    assert (run.outcome.unfinished, run.status, run.outcome.steps) == (True, "running", 7)
    run.finish()
    assert (run.status, len(run.variables)) == ("completed", 30)
    assert run.done() == ["start", *(f"s{n}" for n in range(30)), "end"]


def test_a_loop_without_end_is_an_incident_and_not_a_hanging_service() -> None:
    xml = definitions(
        "p", '<bpmn:startEvent id="start" />', script("s", "m = n"), gateway("exclusive", "g", default="back"),
        '<bpmn:endEvent id="end" />', flow("start", "s"), flow("s", "g"), flow("g", "s", flow_id="back"),
        flow("g", "end", "n > 1"),
    )  # fmt: skip
    run = Run(loaded(xml), Bounds(steps=100, seconds=60, steps_between_waits=250), n=1).finish()
    assert (run.status, run.incidents[0][1]) == ("failed", "endless-loop")
    assert run.retry(n=2).finish().status == "completed"


def test_a_variable_that_grows_too_large_is_an_incident() -> None:
    spec = loaded(sequence("p", script("s", "text = 'x' * size")))
    run = Run(spec, size=400_000)
    assert (run.status, run.incidents) == ("failed", [("s", "variable-size")])
    assert "text" in run.outcome.incidents[0].message
    assert run.retry(size=10).status == "completed"
    many = loaded(sequence("p", script("s", "\n".join(f"t{n} = 'x' * 200000" for n in range(8)))))
    assert Run(many).incidents == [("s", "variable-size")]


def test_the_type_of_a_variable_that_cannot_be_kept_is_an_incident() -> None:
    run = Run(loaded(sequence("p", script("s", "found = set([1])"))))
    assert run.incidents == [("s", "variable-type")]
    assert "found" in run.outcome.incidents[0].message


def test_who_may_do_a_task_comes_from_the_model() -> None:
    task = user_task("a", attributes='camunda:candidateGroups="staff, doctor" camunda:assignee="ana"')
    info = compiled(sequence("p", task))[0].tasks["a"]
    assert (info.candidate_roles, info.assignee) == (("staff", "doctor"), "ana")


def test_an_empty_output_parameter_says_that_the_script_must_set_the_name() -> None:
    output = '<camunda:inputOutput><camunda:outputParameter name="proceed" /></camunda:inputOutput>'
    element = (
        f'<bpmn:scriptTask id="s"><bpmn:extensionElements>{output}</bpmn:extensionElements>'
        "<bpmn:script>if n:\n    proceed = True</bpmn:script></bpmn:scriptTask>"
    )
    spec = loaded(sequence("p", element))
    assert Run(spec, n=1).variables["proceed"] is True
    assert Run(spec, n=0).status == "failed"


def test_a_result_variable_takes_the_value_of_the_last_expression() -> None:
    spec = loaded(sequence("p", script("s", "n * 2", 'camunda:resultVariable="double"')))
    assert Run(spec, n=4).variables["double"] == 8
