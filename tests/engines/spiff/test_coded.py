"""Processes written as code or JSON: what is run, what is refused and how, and that stock SpiffWorkflow agrees."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from SpiffWorkflow.workflow import Workflow

from app.engines.spiff import library, specs
from app.engines.spiff.coded import writing
from app.engines.spiff.coded.operators import Sum
from app.engines.spiff.specs import BundleFile, CheckReport
from tests.drawing import sequence, user_task
from tests.engines.spiff.runs import Run

PATH = "SpiffWorkflow.specs"
KINDS = {"start": f"{PATH}.StartTask.StartTask", "simple": f"{PATH}.Simple.Simple"}
CHOICE = f"{PATH}.ExclusiveChoice.ExclusiveChoice"


def simple(*outputs: str, **further: Any) -> dict[str, Any]:
    return {"class": KINDS["simple"], "outputs": list(outputs), **further}


def choice(default: str, *ways: tuple[Any, str], **further: Any) -> dict[str, Any]:
    return {"class": CHOICE, "default_task_spec": default, "cond_task_specs": [list(way) for way in ways], **further}


def compare(operator: str, *terms: Any) -> list[Any]:
    given = [["Attrib", term] if isinstance(term, str) else ["value", term] for term in terms]
    return [f"SpiffWorkflow.operators.{operator}", given]


def file(name: str = "fee", first: str = "ask", **tasks: Any) -> bytes:
    start = {"class": KINDS["start"], "outputs": [first]}
    return json.dumps({"name": name, "task_specs": {"Start": start, **tasks}}, indent=1).encode()


def report(content: bytes, *others: BundleFile) -> CheckReport:
    return specs.check_bundle([BundleFile("fee.json", content), *others])


def run(content: bytes, **variables: Any) -> Run:
    made = report(content)
    assert made.ok, made.problems
    return Run(specs.load_spec(made.models[0].spec), **variables)


def decided(condition: Any, **variables: Any) -> str:
    """Where a choice of one condition leads: yes, no, or the code of an incident."""
    content = file(first="check", check=choice("no", (condition, "yes")), yes=simple(), no=simple())
    done = run(content, **variables)
    return done.incidents[0][1] if done.incidents else done.done()[-1]


@pytest.mark.parametrize(
    ("condition", "variables", "leads"),
    [
        (compare("Equal", "a", 1), {"a": 1}, "yes"),
        (compare("Equal", "a", "b"), {"a": 0.1, "b": "0.10"}, "yes"),
        (compare("Equal", "a", "b"), {"a": "x", "b": "y"}, "no"),
        (compare("Equal", "a", "b", 3), {"a": 3, "b": 3}, "yes"),
        (compare("NotEqual", "a", 1), {"a": 2}, "yes"),
        (compare("NotEqual", "a", 1), {"a": 1.0}, "no"),
        (compare("NotEqual", "a", "b", 3), {"a": 3, "b": 4}, "yes"),
        (compare("LessThan", "a", 2), {"a": 1.99}, "yes"),
        (compare("LessThan", "a", "b"), {"a": 2, "b": 2}, "no"),
        (compare("GreaterThan", "a", 10), {"a": 9}, "no"),
        (compare("GreaterThan", "a", 9), {"a": 10}, "yes"),
        (["SpiffWorkflow.operators.Equal", [["x.Sum", [["Attrib", "a"], ["value", 0.2]]], ["value", 0.3]]],
         {"a": 0.1}, "yes"),
        (compare("Equal", "a", 1), {}, "name-not-set"),
        (compare("LessThan", "a", 2), {"a": "soon"}, "script-error"),
    ],
)  # fmt: skip
def test_operators_compare_attributes_and_values(condition: Any, variables: dict[str, Any], leads: str) -> None:
    assert decided(condition, **variables) == leads


def test_a_simple_task_runs_once_for_each_way_in_and_starts_all_its_ways_out() -> None:
    content = file(
        first="a", a=simple("b", "c"), b=simple("d"), c=simple("d"), d=simple("e", "f"), e=simple(), f=simple()
    )
    done = run(content)
    assert done.status == "completed"
    assert Counter(done.done()) == {"Start": 1, "a": 1, "b": 1, "c": 1, "d": 2, "e": 2, "f": 2}


def test_a_manual_task_waits_and_each_event_is_told_once() -> None:
    content = file(ask=simple("then", manual=True), then=simple())
    waiting = run(content)
    assert waiting.open == ["ask"]
    assert waiting.of("ask") == ["reached", "ready"]
    done = waiting.complete("ask")
    assert done.of("ask") == done.of("then") == ["reached", "ready", "completed"]
    assert done.status == "completed"


def test_a_choice_may_lead_back_to_a_task_that_waits() -> None:
    ways = [(compare("LessThan", "n", 2), "ask")]
    content = file(ask=simple("check", manual=True), check=choice("end", *ways), end=simple())
    done = run(content).complete("ask", n=1).complete("ask", n=2)
    assert done.of("ask").count("completed") == 2
    assert done.status == "completed"


REFUSED: dict[str, tuple[bytes, str, str]] = {
    "no JSON": (b'{"name": "x",\n "task_specs": }', "json-syntax", ""),
    "another JSON": (b'["a"]', "json-syntax", ""),
    "not UTF-8": (b"\xff\xfe{}", "json-syntax", ""),
    "deep nesting": (b"[" * 100_000, "json-syntax", ""),
    "a name twice": (b'{"name": "x", "name": "y", "task_specs": {}}', "json-syntax", ""),
    "what XML cannot hold": (file(ask=simple(description="\x01")), "json-syntax", ""),
    "too large": (b" " * (2048 * 1024 + 1), "too-large", ""),
    "no name": (file(name="first name", ask=simple()), "spec-name", ""),
    "a task named like no variable": (file(**{"ask": simple("a b"), "a b": simple()}), "spec-name", "a b"),
    "a task named like the process": (file(name="ask", ask=simple()), "spec-name", "ask"),
    "no start": (json.dumps({"name": "x", "task_specs": {"a": simple()}}).encode(), "spec-flow", ""),
    "a join": (file(ask={"class": f"{PATH}.Join.Join", "outputs": []}), "spec-class", "ask"),
    "a class from elsewhere": (file(ask={"class": "os.Simple", "outputs": []}), "spec-class", "ask"),
    "a task that is no object": (file(ask=3), "spec-member", "ask"),
    "an assignment": (file(ask=simple(pre_assign=[1])), "spec-member", "ask"),
    "pickled data": (file(ask=simple(data={"a": {"__bytes__": "gAVLAS4="}})), "spec-member", "ask"),
    "an unknown member": (file(ask=simple(colour="red")), "spec-member", "ask"),
    "a form that is no list": (file(ask=simple(manual=True, data={"form": 3})), "spec-member", "ask"),
    "a field of no type": (
        file(ask=simple(manual=True, data={"form": [{"id": "a", "type": "file"}]})), "field-type", "ask"),
    "roles that are no list": (file(ask=simple(manual=True, data={"candidate_roles": 3})), "spec-member", "ask"),
    "a way to nowhere": (file(ask=simple("gone")), "spec-flow", "ask"),
    "a way back to the start": (file(ask=simple("Start")), "spec-flow", "ask"),
    "outputs that are no names": (file(ask=simple(manual=True, data={}) | {"outputs": [3]}), "spec-flow", "ask"),
    "inputs that are not so": (file(ask=simple(inputs=["other"])), "spec-flow", "ask"),
    "a task nothing leads to": (file(ask=simple(), alone=simple()), "spec-flow", "alone"),
    "a choice without default": (file(first="c", c={"class": CHOICE, "cond_task_specs": []}), "spec-flow", "c"),
    "a choice with other outputs": (
        file(first="c", c=choice("a", outputs=["b"]), a=simple(), b=simple()), "spec-flow", "c"),
    "a manual choice": (file(first="c", c=choice("a", manual=True), a=simple()), "spec-member", "c"),
    "a second way without condition": (
        file(first="c", c=choice("a", (None, "b")), a=simple(), b=simple()), "spec-operator", "c"),
    "an operator nobody runs": (
        file(first="c", c=choice("a", (compare("Match", "x", "y"), "a")), a=simple()), "spec-operator", "c"),
    "too many terms": (
        file(first="c", c=choice("a", (compare("LessThan", 1, 2, 3), "a")), a=simple()), "spec-operator", "c"),
    "an attribute that reaches inside": (
        file(first="c", c=choice("a", (compare("Equal", "__import__", 1), "a")), a=simple()), "spec-operator", "c"),
    "a value that is no value": (
        file(first="c", c=choice("a", (compare("Equal", "x", {"y": 1}), "a")), a=simple()), "spec-operator", "c"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_run_exactly_is_refused_with_its_place_and_cure(what: str) -> None:
    content, rule, element = REFUSED[what]
    found = report(content)
    assert not found.ok
    assert found.models == []
    problem = next(one for one in found.problems if one.severity == "error")
    assert (problem.rule, problem.element_id) == (rule, element)
    assert problem.fix
    assert problem.file == "fee.json"


def test_a_problem_names_the_line_of_its_task() -> None:
    content = file(ask=simple("then"), then=simple(colour="red"))
    problem = report(content).problems[0]
    assert b'"then": {' in content.splitlines()[problem.line - 1]


def test_a_loop_without_a_wait_and_a_name_nobody_sets_are_warnings() -> None:
    spinning = report(file(first="a", a=simple("b"), b=choice("a", (compare("Equal", "x", 1), "end")), end=simple()))
    assert spinning.ok
    assert {problem.rule for problem in spinning.problems} == {"loop-without-wait", "name-never-set"}


def test_json_and_a_drawing_are_one_bundle_and_share_no_process_id() -> None:
    drawn = BundleFile("other.bpmn", sequence("other", user_task("ask")))
    both = report(file(ask=simple()), drawn)
    assert both.ok
    assert {model.process_id for model in both.models} == {"fee", "other"}
    same = report(file(name="other", ask=simple()), drawn)
    assert [problem.rule for problem in same.problems if problem.severity == "error"] == ["duplicate-id"]


@given(some.binary(max_size=200) | some.text(max_size=200).map(str.encode))
def test_no_upload_breaks_the_reader(content: bytes) -> None:
    assert not report(content).ok


JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-5, 5) | some.text(max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(some.sampled_from(["form", "id", "type", "options", "name", "class"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    some.sampled_from(["class", "data", "outputs", "inputs", "cond_task_specs", "default_task_spec", "manual"]), JSON
)
def test_no_member_of_a_task_breaks_the_reader(member: str, value: Any) -> None:
    asked = simple(manual=True) | ({member: value} if member == "data" else {})
    report(file(first="c", c=choice("ask") | {member: value}, ask=asked))


@some.composite
def specification(draw: some.DrawFn) -> Any:
    """A tree of Simple tasks and choices over two attributes, as SpiffWorkflow's own classes."""
    flow = library.WorkflowSpec("random", addstart=True)
    grown = [library.Simple(flow, "t0", description="")]
    flow.start.connect(grown[0])
    for number in range(1, draw(some.integers(2, 8))):
        parent = grown.pop(draw(some.integers(0, len(grown) - 1)))
        children = [library.Simple(flow, f"t{number}_{n}") for n in range(draw(some.integers(1, 3)))]
        if len(children) > 1 and draw(some.booleans()):
            gate = library.ExclusiveChoice(flow, f"c{number}")
            parent.connect(gate)
            for child in children[1:]:
                operator = draw(some.sampled_from([library.Equal, library.NotEqual, library.LessThan]))
                gate.connect_if(operator(library.Attrib("x"), draw(some.integers(0, 2))), child)
            gate.connect(children[0])
        else:
            for child in children:
                parent.connect(child)
        grown += children
    return flow


@settings(max_examples=60, deadline=None)
@given(specification(), some.integers(0, 2))
def test_a_specification_in_python_does_what_stock_spiffworkflow_does(spec: Any, x: int) -> None:
    stock = Workflow(spec)
    stock.task_tree.set_data(x=x)
    stock.run_all()
    expected = Counter(task.task_spec.name for task in stock.get_tasks() if task.has_state(library.TaskState.COMPLETED))
    expected.pop("Root", None)
    ours = run(writing.dump(spec), x=x)
    assert Counter(ours.done()) == expected
    assert (ours.status == "completed") is stock.is_completed()


def test_a_sum_in_python_is_written_and_read() -> None:
    flow = library.WorkflowSpec("summed", addstart=True)
    gate, yes, no = library.ExclusiveChoice(flow, "gate"), library.Simple(flow, "yes"), library.Simple(flow, "no")
    flow.start.connect(gate)
    gate.connect_if(library.Equal(Sum(library.Attrib("a"), library.Attrib("b")), library.Attrib("c")), yes)
    gate.connect(no)
    assert run(writing.dump(flow), a=0.1, b=0.2, c=0.3).done()[-1] == "yes"
