"""Who sees what was set: branches of a process, runs of an activity, activities with inputs of their own."""

from __future__ import annotations

from tests.drawing import definitions, flow, gateway, script, user_task
from tests.engines.spiff.conformance.drawn import END, HOUR, NAMES, START, end, feature, path
from tests.engines.spiff.shapes import around, boundary, call, event, many, standard_loop, sub_process, with_loop

_BESIDE = sub_process(
    "s",
    gateway("parallel", "g"),
    script("a", "x = x + 1"),
    user_task("b"),
    gateway("parallel", "j"),
    path("s.start", "g", "a", "j", "s.end"),
    path("g", "b", "j"),
)
_ONE_WAIT = "s.start g a b j s.end s"
feature(
    "variables",
    "branches inside one turn of a loop work on the same variables",
    definitions("p", START, with_loop(_BESIDE, standard_loop(maximum=2)), END, path("start", "s", "end")),
    done=f"start {_ONE_WAIT} {_ONE_WAIT} end",
    given={"x": 0},
    steps=lambda r: r.complete("b").complete("b"),
    variables={"x": 2},
)
feature(
    "variables",
    "branches inside one run of a multi-instance activity work on the same variables",
    definitions(
        "p",
        START,
        with_loop(_BESIDE, many(sequential=True, collection="xs", item="i", output="ys", output_item="x")),
        END,
        path("start", "s", "end"),
    ),
    done=f"start {_ONE_WAIT} {_ONE_WAIT} end",
    given={"x": 0, "xs": [1, 2]},
    steps=lambda r: r.complete("b").complete("b"),
    variables={"x": 0, "ys": [1, 1]},
)
feature(
    "variables",
    "an event beside one run counts in the variables of that run",
    definitions(
        "p",
        START,
        with_loop(
            sub_process(
                "s",
                user_task("u"),
                boundary("b", "u", "message", "m1", interrupts=False),
                script("c", "n = n + 1"),
                end("z"),
                around("s", "u", "u"),
                path("b", "c", "z"),
            ),
            many(sequential=True, cardinality="1"),
        ),
        END,
        path("start", "s", "end"),
        before=NAMES,
    ),
    done="start s.start b c z b c z u s.end s end",
    given={"n": 0},
    steps=lambda r: r.deliver("message", "paid").deliver("message", "paid").complete("u"),
    variables={"n": 2},
)
feature(
    "variables",
    "what one parallel run has changed is not undone by another",
    definitions(
        "p",
        START,
        with_loop(user_task("a"), many(sequential=False, cardinality="2")),
        END,
        path("start", "a", "end"),
    ),
    done="start a a end",
    given={"one": 0, "two": 0},
    steps=lambda r: r.complete("a", one=1).complete("a", two=2),
    variables={"one": 1, "two": 2},
)
feature(
    "variables",
    "an error leaves the item and the counter of its run behind",
    definitions(
        "p",
        START,
        with_loop(
            sub_process("s", event("endEvent", "lost", "error", "err1"), path("s.start", "lost")).replace(
                '<bpmn:endEvent id="s.end" />', ""
            ),
            many(sequential=False, collection="xs", item="i"),
        ),
        boundary("b", "s", "error", "err1"),
        END,
        end("e2"),
        path("start", "s", "end"),
        path("b", "e2"),
        before=NAMES,
    ),
    done="start s.start s.start lost b e2",
    given={"xs": [1, 2]},
    variables={"i": None, "loopCounter": None},
)
feature(
    "variables",
    "a cycle beside a sub-process goes on with what it has counted",
    definitions(
        "p",
        START,
        sub_process("s", user_task("u"), around("s", "u", "u")),
        boundary("b", "s", "timeCycle", "R2/PT1H", interrupts=False),
        script("c", "n = n + 1"),
        END,
        end("e2"),
        path("start", "s", "end"),
        path("b", "c", "e2"),
    ),
    done="start s.start b c e2 b c e2 u s.end s end",
    given={"n": 0},
    steps=lambda r: r.proceed(r.now + HOUR).proceed(r.now + HOUR).complete("u"),
    variables={"n": 2},
)


def with_input(element: str, name: str, value: str) -> str:
    """The element with one input parameter."""
    parameter = f'<camunda:inputParameter name="{name}">{value}</camunda:inputParameter>'
    inside = f"<bpmn:extensionElements><camunda:inputOutput>{parameter}</camunda:inputOutput></bpmn:extensionElements>"
    head, rest = element.split(">", 1)
    return f"{head}>{inside}{rest}"


feature(
    "variables",
    "an input of a sub-process and the variable of the same name are two",
    definitions(
        "p",
        START,
        gateway("parallel", "f"),
        with_input(
            sub_process("s", user_task("u"), script("k", "x = x + 1\ny = x"), path("s.start", "u", "k", "s.end")),
            "x",
            "${10}",
        ),
        script("o", "x = 5"),
        script("q", "z = x"),
        gateway("parallel", "j"),
        END,
        path("start", "f", "s", "j", "end"),
        path("f", "o", "q", "j"),
    ),
    done="start f o s.start q u k s.end s j end",
    given={"x": 0},
    steps=lambda r: r.complete("u"),
    variables={"x": 5, "y": 11, "z": 5},
)
feature(
    "variables",
    "an input of a task hides the variable only as long as the task runs",
    definitions(
        "p",
        START,
        gateway("parallel", "f"),
        with_input(user_task("u"), "x", "${10}"),
        user_task("w"),
        script("o", "x = 5"),
        gateway("parallel", "j"),
        script("l", "q = x"),
        END,
        path("start", "f", "u", "j", "l", "end"),
        path("f", "w", "o", "j"),
    ),
    done="start f w o u j l end",
    given={"x": 0},
    steps=lambda r: r.complete("w").complete("u"),
    variables={"x": 5, "q": 5},
)
feature(
    "variables",
    "an error out of a called process brings what the call maps out",
    definitions(
        "p",
        START,
        call(
            "c",
            "q",
            '<bpmn:extensionElements><camunda:out source="m" target="got" /></bpmn:extensionElements>',
        ),
        boundary("b", "c", "error", "err1"),
        END,
        end("e2"),
        path("start", "c", "end"),
        path("b", "e2"),
        before=NAMES,
    ),
    definitions(
        "q",
        START,
        script("a", "m = 1\nown = 2"),
        event("endEvent", "lost", "error", "err3"),
        flow("start", "a") + flow("a", "lost"),
        before='<bpmn:error id="err3" name="lost" errorCode="LOST" />',
    ),
    done="start start a lost b e2",
    variables={"got": 1, "m": None, "own": None},
)
feature(
    "variables",
    "what one called process has changed is not undone by another beside it",
    definitions(
        "p",
        START,
        gateway("parallel", "f"),
        call("c", "q"),
        call("d", "r"),
        gateway("parallel", "j"),
        END,
        path("start", "f", "c", "j", "end"),
        path("f", "d", "j"),
    ),
    definitions("q", START, user_task("a"), script("k", "x = 1"), END, path("start", "a", "k", "end")),
    definitions("r", START, user_task("b"), script("m", "y = 1"), END, path("start", "b", "m", "end")),
    done="start f start start a k end c b m end d j end",
    given={"x": 0, "y": 0},
    steps=lambda r: r.complete("a").complete("b"),
    variables={"x": 1, "y": 1},
)
feature(
    "variables",
    "a dictionary that was replaced stays replaced: beside another branch",
    definitions(
        "p",
        START,
        gateway("parallel", "f"),
        script("a", "d = {'new': 1}"),
        user_task("b"),
        gateway("parallel", "j"),
        END,
        path("start", "f", "a", "j", "end"),
        path("f", "b", "j"),
    ),
    done="start f a b j end",
    given={"d": {"old": 1}},
    steps=lambda r: r.complete("b"),
    variables={"d": {"new": 1}},
)
for _name, _loop in (
    ("in a loop", standard_loop(maximum=1)),
    ("in a multi-instance activity", many(sequential=True, cardinality="1")),
):
    feature(
        "variables",
        f"a dictionary that was replaced stays replaced: {_name}",
        definitions("p", START, with_loop(script("a", "d = {'new': 1}"), _loop), END, path("start", "a", "end")),
        done="start a end",
        given={"d": {"old": 1}},
        variables={"d": {"new": 1}},
    )
