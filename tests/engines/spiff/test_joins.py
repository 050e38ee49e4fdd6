"""Gateways split and join by tokens: what waits, what is consumed, in a loop too."""

from __future__ import annotations

from tests.drawing import definitions, flow, gateway, script, user_task
from tests.engines.spiff.runs import Run, loaded
from tests.engines.spiff.shapes import END, START


def forked(join: str = "parallel", *conditions: str) -> bytes:
    flows = [flow("fork", name, condition) for name, condition in zip("abc", conditions or ("", "", ""), strict=True)]
    return definitions(
        "p", START, gateway(join, "fork"), *(user_task(name) for name in "abc"), gateway(join, "join"),
        script("after", "done = True"), END, flow("start", "fork"), *flows,
        *(flow(name, "join") for name in "abc"), flow("join", "after"), flow("after", "end"),
    )  # fmt: skip


def test_a_parallel_join_waits_for_every_branch_and_goes_on_once() -> None:
    run = Run(loaded(forked())).complete("b", b=1).complete("a", a=1)
    assert (run.open, run.of("join")) == (["c"], [])
    run.complete("c", c=1)
    assert run.variables == {"a": 1, "b": 1, "c": 1, "done": True}
    assert (run.of("join"), run.done().count("after")) == (["entered", "completed"], 1)


def test_the_branch_that_finishes_last_decides_a_variable_both_set() -> None:
    run = Run(loaded(forked())).complete("b", x="b").complete("c", x="c").complete("a", x="a")
    assert run.variables["x"] == "a"


def test_an_inclusive_join_waits_only_for_branches_that_were_taken() -> None:
    spec = loaded(forked("inclusive", "n > 0", "n > 1", "n > 2"))
    run = Run(spec, n=2)
    assert run.open == ["a", "b"]
    assert run.complete("a").open == ["b"]
    run.complete("b")
    assert (run.status, run.done().count("after"), run.done().count("join")) == ("completed", 1, 1)
    assert Run(spec, n=1).complete("a").status == "completed"


def test_an_inclusive_join_sees_a_token_behind_a_gateway_inside_a_branch() -> None:
    xml = definitions(
        "p", START, gateway("inclusive", "fork", default="rest"), gateway("inclusive", "join"), script("s", "x = 1"),
        gateway("exclusive", "which", default="right"), user_task("a"), user_task("b"), gateway("exclusive", "merge"),
        user_task("c"), user_task("d"), user_task("after"), END, flow("start", "fork"),
        flow("fork", "d", flow_id="rest"), flow("fork", "which", "n > 0"), flow("fork", "s", "n > 1"),
        flow("which", "a", "n > 5"), flow("which", "b", flow_id="right"), flow("a", "merge"), flow("b", "merge"),
        flow("merge", "c"), flow("c", "join"), flow("s", "join"), flow("d", "join"), flow("join", "after"),
        flow("after", "end"),
    )  # fmt: skip
    run = Run(loaded(xml), n=2)
    assert run.open == ["b"]
    assert run.complete("b").complete("c").open == ["after"]


def test_a_fork_and_its_join_in_a_loop_wait_for_both_branches_each_turn_in_any_order() -> None:
    xml = definitions(
        "p", START, gateway("exclusive", "merge"), gateway("parallel", "fork"), user_task("a"), user_task("b"),
        gateway("parallel", "join"), script("count", "n = n + 1"), gateway("exclusive", "again", default="leave"), END,
        flow("start", "merge"), flow("merge", "fork"), flow("fork", "a"), flow("fork", "b"), flow("a", "join"),
        flow("b", "join"), flow("join", "count"), flow("count", "again"), flow("again", "merge", "n < 3"),
        flow("again", "end", flow_id="leave"),
    )  # fmt: skip
    run = Run(loaded(xml), n=0)
    for turn, order in enumerate(("ab", "ba", "ba")):
        assert run.complete(order[0]).open == [order[1]], turn
        run.complete(order[1])
    assert (run.status, run.variables["n"], run.done().count("join")) == ("completed", 3, 3)


def test_a_second_token_on_a_flow_stays_for_the_next_time() -> None:
    # Both users of the exclusive merge bring a token over one flow of the join before the other flow has any.
    xml = definitions(
        "p", START, gateway("parallel", "fork"), user_task("a"), user_task("b"), user_task("c"),
        gateway("exclusive", "merge"), gateway("parallel", "join"), user_task("after"), END,
        flow("start", "fork"), flow("fork", "a"), flow("fork", "b"), flow("fork", "c"), flow("a", "merge"),
        flow("b", "merge"), flow("merge", "join"), flow("c", "join"), flow("join", "after"), flow("after", "end"),
    )  # fmt: skip
    run = Run(loaded(xml)).complete("a").complete("b").complete("c")
    assert run.open == ["after"]
    run.complete("after")
    assert (run.status, run.incidents) == ("failed", [("join", "stuck")])


def test_tokens_that_end_apart_end_the_instance_together() -> None:
    xml = definitions(
        "p", START, gateway("parallel", "fork"), user_task("a"), user_task("b"), END, '<bpmn:endEvent id="other" />',
        flow("start", "fork"), flow("fork", "a"), flow("fork", "b"), flow("a", "end"), flow("b", "other"),
    )  # fmt: skip
    run = Run(loaded(xml)).complete("b", b=1)
    assert run.status == "running"
    assert run.complete("a", a=1).variables == {"a": 1, "b": 1}
    assert (run.status, run.done()[-1]) == ("completed", "end")


def test_a_flow_that_can_never_go_on_is_an_incident_and_not_a_silent_wait() -> None:
    xml = definitions(
        "p", START, gateway("inclusive", "which", default="left"), user_task("a"), user_task("b"),
        gateway("parallel", "join"), END, flow("start", "which"), flow("which", "a", flow_id="left"),
        flow("which", "b", "n == 2"), flow("a", "join"), flow("b", "join"), flow("join", "end"),
    )  # fmt: skip
    run = Run(loaded(xml), n=1).complete("a")
    assert (run.status, run.incidents) == ("failed", [("join", "stuck")])
