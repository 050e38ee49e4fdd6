"""Loops, multi-instance activities, sub-processes and called processes."""

from __future__ import annotations

import pytest

from tests.drawing import definitions, flow, gateway, script, sequence, user_task
from tests.engines.spiff.runs import Run, loaded
from tests.engines.spiff.shapes import END, START, around, boundary, call, many, standard_loop, sub_process, with_loop


def one(element: str, *extra: str) -> bytes:
    name = element.split('id="', 1)[1].split('"', 1)[0]
    return definitions("p", START, element, END, flow("start", name), flow(name, "end"), *extra)


def test_a_standard_loop_runs_while_its_condition_holds() -> None:
    spec = loaded(one(with_loop(script("s", "n = n + 1"), standard_loop("n < 5"))))
    run = Run(spec, n=0)
    assert (run.variables, run.done().count("s")) == ({"n": 5}, 5)
    assert Run(spec, n=9).variables == {"n": 10}
    before = loaded(one(with_loop(script("s", "n = n + 1"), standard_loop("n < 5", before=True))))
    assert Run(before, n=9).variables == {"n": 9}


def test_a_loop_of_user_tasks_opens_one_task_per_turn_and_stops_at_its_maximum() -> None:
    run = Run(loaded(one(with_loop(user_task("a"), standard_loop(maximum=3)))))
    for turn in range(3):
        assert run.open == ["a"]
        run.complete("a", turn=turn)
    assert (run.status, run.variables, run.of("a")) == ("completed", {"turn": 2}, ["entered", "completed"] * 3)


@pytest.mark.parametrize("sequential", [True, False])
def test_each_item_of_a_collection_is_worked_on_and_the_outputs_stand_in_the_order_of_the_items(
    sequential: bool,
) -> None:
    loop = many(sequential=sequential, collection="items", item="item", output="doubled", output_item="twice")
    run = Run(loaded(one(with_loop(script("s", "twice = item * 2"), loop))), items=[3, 1, 2])
    assert run.variables == {"items": [3, 1, 2], "doubled": [6, 2, 4]}
    assert run.of("s") == ["entered", "completed"] * 3 if sequential else sorted(run.of("s")).count("completed") == 3


def test_parallel_runs_completed_in_any_order_give_outputs_in_the_order_of_the_items() -> None:
    loop = many(sequential=False, collection="items", item="item", output="answers", output_item="answer")
    run = Run(loaded(one(with_loop(user_task("a"), loop))), items=["x", "y", "z"])
    assert [task.values["item"] for task in run.outcome.open_tasks] == ["x", "y", "z"]
    for wanted in ("z", "x", "y"):
        task = next(t for t in run.outcome.open_tasks if t.values["item"] == wanted)
        run.outcome.open_tasks[:] = [task]
        run.complete("a", answer=wanted.upper())
    assert (run.status, run.variables) == ("completed", {"items": ["x", "y", "z"], "answers": ["X", "Y", "Z"]})


@pytest.mark.parametrize("sequential", [True, False])
def test_an_input_item_without_output_does_not_leak_and_does_not_break_the_second_run(sequential: bool) -> None:
    loop = many(sequential=sequential, collection="items", item="item")
    run = Run(loaded(one(with_loop(script("s", "last = item"), loop))), items=[1, 2])
    assert (run.status, run.variables) == ("completed", {"items": [1, 2], "last": 2})


def test_a_completion_condition_ends_the_runs_that_are_left() -> None:
    loop = many(sequential=False, cardinality="4", until="nrOfCompletedInstances == 2")
    run = Run(loaded(one(with_loop(user_task("a"), loop)))).complete("a").complete("a")
    assert (run.status, run.open) == ("completed", [])
    assert sorted(run.of("a")) == ["cancelled"] * 2 + ["completed"] * 2 + ["entered"] * 4


def test_an_empty_collection_runs_nothing() -> None:
    loop = many(sequential=True, collection="items", item="item", output="out", output_item="x")
    run = Run(loaded(one(with_loop(script("s", "x = item"), loop))), items=[])
    assert (run.status, run.variables, run.of("s")) == ("completed", {"items": [], "out": []}, [])


def test_a_collection_that_is_none_is_an_incident() -> None:
    loop = many(sequential=True, collection="items", item="item")
    run = Run(loaded(one(with_loop(script("s", "x = item"), loop))), items=3)
    assert (run.status, run.incidents) == ("failed", [("s", "multi-instance")])
    assert run.retry(items=[1]).status == "completed"


def test_a_failing_run_of_several_is_retried_alone() -> None:
    loop = many(sequential=False, collection="items", item="item", output="out", output_item="x")
    run = Run(loaded(one(with_loop(script("s", "x = 10 / item"), loop))), items=[1, 0, 2])
    assert (run.status, run.incidents) == ("failed", [("s", "script-error")])
    run.retry(item=5)
    assert (run.status, run.variables["out"]) == ("completed", [10, 2, 5])


def test_camundas_words_for_a_collection_are_understood() -> None:
    words = 'isSequential="true" camunda:collection="${items}" camunda:elementVariable="item"'
    loop = f"<bpmn:multiInstanceLoopCharacteristics {words} />"
    run = Run(loaded(one(with_loop(script("s", "total = total + item"), loop))), items=[1, 2, 3], total=0)
    assert run.variables["total"] == 6


def test_a_sub_process_shares_the_data_and_its_tasks_are_open_with_the_others() -> None:
    inner = sub_process("sub", user_task("inner"), around("sub", "inner", "inner"))
    run = Run(loaded(sequence("p", inner, user_task("after"))), x=1)
    assert (run.open, run.variables) == (["inner"], {"x": 1})
    assert run.complete("inner", y=2).open == ["after"]
    assert run.variables == {"x": 1, "y": 2}
    run.complete("after")
    assert run.status == "completed"
    assert run.of("sub") == ["entered", "completed"]
    assert run.done() == ["start", "sub.start", "inner", "sub.end", "sub", "after", "end"]


def test_a_called_process_gets_the_data_and_gives_it_back() -> None:
    called = sequence("called", user_task("inner"), script("calc", "y = x + 1"))
    caller = sequence("caller", call("call", "called"), script("after", "z = y + 1"))
    run = Run(loaded(caller, called), x=1)
    assert run.open == ["inner"]
    run.complete("inner")
    assert (run.status, run.variables) == ("completed", {"x": 1, "y": 2, "z": 3})
    assert run.of("call") == ["entered", "completed"]


def test_sub_processes_of_the_same_id_in_caller_and_called_are_kept_apart() -> None:
    def process(process_id: str, *inside: str) -> bytes:
        return sequence(process_id, sub_process("sub", *inside))

    caller = process("caller", call("call", "called"), around("sub", "call", "call"))
    called = process("called", user_task("inner"), around("sub", "inner", "inner"))
    run = Run(loaded(caller, called)).complete("inner")
    assert (run.status, run.of("sub")) == ("completed", ["entered", "entered", "completed", "completed"])


def test_a_process_that_calls_itself_for_ever_is_an_incident() -> None:
    run = Run(loaded(sequence("p", call("again", "p"))))
    assert (run.status, run.incidents) == ("failed", [("again", "call-depth")])
    ending = definitions(
        "p", START, script("less", "n = n - 1"), gateway("exclusive", "g", default="stop"), call("again", "p"), END,
        flow("start", "less"), flow("less", "g"), flow("g", "again", "n > 0"), flow("g", "end", flow_id="stop"),
        flow("again", "end"),
    )  # fmt: skip
    assert Run(loaded(ending), n=30).status == "completed"


def test_a_multi_instance_of_sub_processes_ends_with_all_of_them_when_it_is_interrupted() -> None:
    inner = sub_process("sub", user_task("inner"), around("sub", "inner", "inner"))
    xml = definitions(
        "p", START, with_loop(inner, many(sequential=False, cardinality="3")),
        boundary("late", "sub", "timeDuration", "PT1H"), user_task("instead"), END,
        flow("start", "sub"), flow("sub", "end"), flow("late", "instead"), flow("instead", "end"),
    )  # fmt: skip
    run = Run(loaded(xml))
    assert run.open == ["inner"] * 3
    run.proceed(run.now.replace(hour=12))
    assert (run.open, run.outcome.waiting) == (["instead"], [])
    assert run.of("inner").count("cancelled") == 3
    assert run.complete("instead").status == "completed"
