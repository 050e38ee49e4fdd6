"""Timers, messages, signals and errors, by the clock the engine is given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.core.errors import Conflict
from tests.drawing import definitions, flow, gateway, script, sequence, user_task
from tests.engines.spiff.runs import NOW, Run, loaded
from tests.engines.spiff.shapes import END, START, around, boundary, catch, event, many, sub_process, throw, with_loop

HOUR = timedelta(hours=1)
NAMES = (
    '<bpmn:message id="m1" name="paid" /><bpmn:message id="m2" name="refused" /><bpmn:signal id="s1" name="closing" />'
    '<bpmn:error id="e1" name="lost" errorCode="LOST" /><bpmn:error id="e2" name="other" errorCode="OTHER" />'
)


def beside(event_: str, *, host: str = "", before: str = NAMES) -> bytes:
    """A user task `work` (or *host*) with a boundary event `alarm` that leads to the user task `react`."""
    work = host or user_task("work")
    return definitions(
        "p", START, work, event_, user_task("react"), END, '<bpmn:endEvent id="done" />', flow("start", "work"),
        flow("work", "end"), flow("alarm", "react"), flow("react", "done"), before=before,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "text", "due"),
    [
        ("timeDuration", "PT90M", NOW + timedelta(minutes=90)),
        ("timeDuration", "P1M", datetime(2026, 12, 24, 9, tzinfo=UTC)),
        ("timeDuration", "wait", NOW + 2 * HOUR),
        ("timeDate", "2026-11-25T10:00:00Z", datetime(2026, 11, 25, 10, tzinfo=UTC)),
        ("timeDate", "2026-11-25T10:00:00", datetime(2026, 11, 25, 15, tzinfo=UTC)),
        ("timeDate", "until", datetime(2026, 12, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_timer_tells_when_it_is_due_and_fires_by_the_given_clock(kind: str, text: str, due: datetime) -> None:
    run = Run(loaded(sequence("p", catch("wait_here", kind, text))), wait="PT2H", until="2026-12-01T08:00:00Z")
    assert [(w.kind, w.element_id, w.due_at) for w in run.outcome.waiting] == [("timer", "wait_here", due)]
    assert run.proceed(due - timedelta(seconds=1)).status == "running"
    assert run.proceed(due).status == "completed"
    assert run.of("wait_here") == ["entered", "completed"]


def test_a_timer_that_is_long_over_fires_at_once() -> None:
    assert Run(loaded(sequence("p", catch("t", "timeDate", "2020-01-01T00:00:00Z")))).status == "completed"


def test_an_interrupting_timer_takes_the_place_of_the_work() -> None:
    run = Run(loaded(beside(boundary("alarm", "work", "timeDuration", "PT1H")))).proceed(NOW + HOUR)
    assert (run.open, run.outcome.waiting) == (["react"], [])
    assert run.trace[-4:] == [
        ("alarm", "entered"), ("alarm", "completed"), ("work", "cancelled"), ("react", "entered"),
    ]  # fmt: skip
    assert run.complete("react").status == "completed"


def test_of_two_events_that_interrupt_at_once_only_the_first_in_time_is_taken() -> None:
    both = boundary("alarm", "work", "timeDuration", "PT2H") + boundary("sooner", "work", "timeDuration", "PT1H")
    ends = event("endEvent", "stop") + flow("sooner", "stop")
    run = Run(loaded(beside(both).replace(b"</bpmn:process>", f"{ends}</bpmn:process>".encode())))
    run.proceed(NOW + 5 * HOUR)
    assert (run.status, run.of("alarm"), run.of("sooner")) == ("completed", [], ["entered", "completed"])
    signals = boundary("alarm", "work", "signal", "s1") + boundary("sooner", "work", "signal", "s1")
    run = Run(loaded(beside(signals).replace(b"</bpmn:process>", f"{ends}</bpmn:process>".encode())))
    run.deliver("signal", "closing")
    assert (run.open, run.of("alarm"), run.of("sooner")) == (["react"], ["entered", "completed"], [])


def test_work_done_in_time_leaves_no_timer_behind() -> None:
    run = Run(loaded(beside(boundary("alarm", "work", "timeDuration", "PT1H")))).complete("work")
    assert (run.status, run.outcome.waiting, run.of("alarm")) == ("completed", [], [])


def test_a_reminder_leaves_the_work_open_and_repeats_without_a_burst_for_what_was_missed() -> None:
    cycle = boundary("alarm", "work", "timeCycle", "R3/PT10M", interrupts=False)
    run = Run(loaded(beside(cycle)))
    assert [w.due_at for w in run.outcome.waiting] == [NOW + timedelta(minutes=10)]
    run.proceed(NOW + timedelta(minutes=10))
    assert (run.open, run.of("alarm")) == (["react", "work"], ["entered", "completed"])
    run.proceed(NOW + timedelta(hours=5))
    assert run.open == ["react", "react", "work"]
    assert [w.due_at for w in run.outcome.waiting] == [NOW + timedelta(hours=5, minutes=10)]
    run.proceed(NOW + timedelta(hours=6))
    assert (run.open, run.outcome.waiting) == (["react", "react", "react", "work"], [])
    for _ in range(3):
        run.complete("react")
    assert run.complete("work").status == "completed"
    assert run.of("alarm") == ["entered", "completed"] * 3


def test_the_event_that_comes_first_decides_behind_an_event_gateway() -> None:
    xml = definitions(
        "p", START, gateway("eventBased", "g"), catch("pay", "message", "m1"), catch("close", "signal", "s1"),
        catch("late", "timeDuration", "PT1H"), catch("later", "timeDuration", "PT2H"),
        *(user_task(f"after_{name}") for name in ("pay", "close", "late", "later")), END, flow("start", "g"),
        *(flow("g", name) + flow(name, f"after_{name}") + flow(f"after_{name}", "end")
          for name in ("pay", "close", "late", "later")), before=NAMES,
    )  # fmt: skip
    spec = loaded(xml)
    run = Run(spec)
    assert sorted((w.kind, w.name) for w in run.outcome.waiting) == [
        ("message", "paid"), ("signal", "closing"), ("timer", "g"), ("timer", "g"),
    ]  # fmt: skip
    run.deliver("message", "paid", {"amount": 12})
    assert (run.open, run.variables, run.outcome.waiting) == (["after_pay"], {"amount": 12}, [])
    assert Run(spec).deliver("signal", "closing").open == ["after_close"]
    assert Run(spec).proceed(NOW + HOUR).open == ["after_late"]
    assert Run(spec).proceed(NOW + 3 * HOUR).open in (["after_late"], ["after_later"])


def test_a_message_goes_only_to_whom_it_is_meant_for() -> None:
    run = Run(loaded(sequence("p", catch("m", "message", "m1"), before=NAMES)), order=7)
    with pytest.raises(Conflict):
        run.deliver("message", "paid", order=8)
    with pytest.raises(Conflict):
        run.deliver("message", "refused", order=7)
    run.deliver("message", "paid", {"amount": 3}, order=7)
    assert (run.status, run.variables) == ("completed", {"order": 7, "amount": 3})


def test_a_receive_task_waits_for_its_message() -> None:
    run = Run(loaded(sequence("p", '<bpmn:receiveTask id="r" messageRef="m1" />', before=NAMES)))
    assert [(w.kind, w.name, w.element_id) for w in run.outcome.waiting] == [("message", "paid", "r")]
    assert run.deliver("message", "paid").status == "completed"


def test_what_an_instance_throws_comes_out_without_its_data() -> None:
    xml = sequence("p", throw("t", "message", "m1"), throw("u", "signal", "s1"), before=NAMES)
    run = Run(loaded(xml), name="Ana Cruz")
    assert run.sent == [("message", "paid"), ("signal", "closing")]
    assert all(sent.payload == {} for sent in run.outcome.events_out)


def test_a_message_taken_inside_does_not_go_out() -> None:
    xml = definitions(
        "p", START, gateway("parallel", "fork"), catch("m", "message", "m1"), user_task("first"),
        throw("t", "message", "m1"), gateway("parallel", "join"), END, flow("start", "fork"), flow("fork", "m"),
        flow("fork", "first"), flow("first", "t"), flow("t", "join"), flow("m", "join"), flow("join", "end"),
        before=NAMES,
    )  # fmt: skip
    run = Run(loaded(xml)).complete("first")
    assert (run.status, run.sent) == ("completed", [])


def test_an_error_end_event_is_caught_at_the_sub_process_around_it_and_nowhere_else() -> None:
    inner = sub_process(
        "work", gateway("parallel", "split"), user_task("other"), script("s", "why = 'lost'"),
        event("endEvent", "fail", "error", "e1"), flow("work.start", "split"), flow("split", "other"),
        flow("split", "s"), flow("s", "fail"), flow("other", "work.end"),
    )  # fmt: skip
    run = Run(loaded(beside(boundary("alarm", "work", "error", "e1"), host=inner)))
    assert (run.open, run.of("other"), run.of("work")) == (
        ["react"],
        ["entered", "cancelled"],
        ["entered", "cancelled"],
    )
    assert run.variables["why"] == "lost"
    assert run.complete("react").status == "completed"


def test_an_error_goes_to_the_boundary_event_of_its_code_before_the_one_for_any() -> None:
    host = script("work", "raise BpmnError('LOST', 'gone')")
    both = boundary("any", "work", "error", "e2") + boundary("alarm", "work", "error", "e1")
    run = Run(loaded(beside(both, host=host).replace(b'sourceRef="alarm"', b'sourceRef="alarm"').replace(
        b"</bpmn:process>", flow("any", "end").encode() + b"</bpmn:process>")))  # fmt: skip
    assert (run.open, run.of("work"), run.of("any")) == (["react"], ["entered", "cancelled"], [])


def test_an_error_of_a_script_goes_up_to_the_activity_around_it() -> None:
    inner = sub_process("work", script("s", "raise BpmnError('LOST')"), around("work", "s", "s"))
    run = Run(loaded(beside(boundary("alarm", "work", "error", "e1"), host=inner)))
    assert (run.open, run.of("s"), run.of("work")) == (["react"], ["entered", "cancelled"], ["entered", "cancelled"])


def test_an_error_of_one_run_of_several_interrupts_them_all() -> None:
    host = with_loop(script("work", "if item == 2:\n    raise BpmnError('LOST')"),
                     many(sequential=False, collection="items", item="item"))  # fmt: skip
    run = Run(loaded(beside(boundary("alarm", "work", "error", "e1"), host=host)), items=[1, 2, 3])
    assert run.open == ["react"]
    assert "cancelled" in run.of("work")


def test_an_error_nobody_catches_is_an_incident() -> None:
    run = Run(loaded(sequence("p", script("s", "raise BpmnError('OTHER', 'x')"))))
    assert (run.status, run.incidents) == ("failed", [("s", "uncaught-error")])
    ended = definitions("p", START, event("endEvent", "fail", "error", "e1"), flow("start", "fail"), before=NAMES)
    run = Run(loaded(ended))
    assert (run.status, run.incidents) == ("failed", [("fail", "uncaught-error")])


def test_terminate_ends_the_scope_at_once() -> None:
    xml = definitions(
        "p", START, gateway("parallel", "fork"), user_task("a"), user_task("b"),
        event("endEvent", "stop", "terminate"), END, flow("start", "fork"), flow("fork", "a"), flow("fork", "b"),
        flow("a", "stop"), flow("b", "end"),
    )  # fmt: skip
    run = Run(loaded(xml)).complete("a", x=1)
    assert (run.status, run.open, run.of("b"), run.variables) == ("completed", [], ["entered", "cancelled"], {"x": 1})


def test_a_signal_boundary_event_without_interruption_may_come_more_than_once_for_tasks_in_a_loop() -> None:
    xml = definitions(
        "p", START, gateway("exclusive", "merge"), user_task("work"),
        boundary("alarm", "work", "signal", "s1", interrupts=False), script("heard", "n = n + 1"),
        gateway("exclusive", "again", default="leave"), END, '<bpmn:endEvent id="aside" />', flow("start", "merge"),
        flow("merge", "work"), flow("work", "again"), flow("again", "merge", "more"),
        flow("again", "end", flow_id="leave"), flow("alarm", "heard"), flow("heard", "aside"), before=NAMES,
    )  # fmt: skip
    run = Run(loaded(xml), n=0, more=True)
    for _ in range(3):
        run.deliver("signal", "closing").complete("work")
    assert run.of("alarm") == ["entered", "completed"] * 3
    assert run.complete("work", more=False).status == "completed"
