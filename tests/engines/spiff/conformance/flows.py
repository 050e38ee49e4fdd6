"""Tasks, flows and gateways."""

from __future__ import annotations

from html import escape
from typing import Any

from tests.drawing import definitions, flow, gateway, script, sequence, user_task
from tests.engines.spiff.conformance.drawn import HOUR, NAMES, feature, path
from tests.engines.spiff.runs import NOW
from tests.engines.spiff.shapes import END, START, call, catch

feature("tasks", "user task", sequence("p", user_task("a")), done="start a end", steps=lambda r: r.complete("a"))
feature(
    "tasks",
    "manual task",
    sequence("p", '<bpmn:manualTask id="a" />'),
    done="start a end",
    steps=lambda r: r.complete("a"),
)
feature("tasks", "plain task", sequence("p", '<bpmn:task id="a" />'), done="start a end")
feature("tasks", "script task", sequence("p", script("a", "x = 1")), done="start a end", variables={"x": 1})
feature(
    "tasks",
    "receive task",
    sequence("p", '<bpmn:receiveTask id="a" messageRef="m1" />', before=NAMES),
    done="start a end",
    steps=lambda r: r.deliver("message", "paid", {"x": 2}),
    variables={"x": 2},
)
feature(
    "tasks", "send task", sequence("p", '<bpmn:sendTask id="a" messageRef="m1" />', before=NAMES), done="start a end"
)
feature(
    "tasks",
    "receive task that starts instances",
    definitions(
        "p",
        '<bpmn:receiveTask id="a" messageRef="m1" instantiate="true" />',
        script("b", "x = 1"),
        END,
        path("a", "b", "end"),
        before=NAMES,
    ),
    done="a b end",
)
_GLOBALS = (
    '<bpmn:globalUserTask id="gu" name="Ask"><bpmn:documentation>Ask once.</bpmn:documentation></bpmn:globalUserTask>'
    '<bpmn:globalScriptTask id="gs"><bpmn:script>x = 3</bpmn:script></bpmn:globalScriptTask>'
)
feature(
    "tasks",
    "global user task",
    sequence("p", call("c", "gu"), before=_GLOBALS),
    done="start gu c end",
    steps=lambda r: r.complete("gu"),
)
feature(
    "tasks",
    "global script task",
    sequence("p", call("c", "gs"), before=_GLOBALS),
    done="start gs c end",
    variables={"x": 3},
)

feature(
    "flows",
    "implicit split",
    definitions(
        "p",
        START,
        user_task("a"),
        script("b", "x = 1"),
        script("c", "y = 1"),
        END,
        '<bpmn:endEvent id="end2" />',
        path("start", "a", "b", "end"),
        path("a", "c", "end2"),
    ),
    done="start a b c end end2",
    steps=lambda r: r.complete("a"),
)
feature(
    "flows",
    "implicit merge: every token goes on",
    definitions(
        "p",
        START,
        gateway("parallel", "g"),
        script("a", "x = 1"),
        END,
        path("start", "g"),
        flow("g", "a", flow_id="f1"),
        flow("g", "a", flow_id="f2"),
        flow("a", "end"),
    ),
    done="start g a a end end",
)
feature(
    "flows",
    "conditional flow out of an activity",
    definitions(
        "p",
        START,
        script("a", "x = 5"),
        script("b", "y = 1"),
        script("c", "z = 1"),
        END,
        path("start", "a"),
        flow("a", "b", "x > 3"),
        flow("a", "c", "x > 9"),
        path("b", "end"),
        path("c", "end"),
    ),
    done="start a b end",
)
feature(
    "flows",
    "conditional and plain flow out of an activity",
    definitions(
        "p",
        START,
        script("a", "x = 5"),
        script("b", "y = 1"),
        script("c", "z = 1"),
        END,
        path("start", "a"),
        flow("a", "b", "x > 3"),
        flow("a", "c"),
        path("b", "end"),
        path("c", "end"),
    ),
    done="start a b c end end",
)
feature(
    "flows",
    "default flow of an activity",
    definitions(
        "p",
        START,
        script("a", "x = 1", 'default="a_c"'),
        script("b", "y = 1"),
        script("c", "z = 1"),
        END,
        path("start", "a"),
        flow("a", "b", "x > 3"),
        flow("a", "c"),
        path("b", "end"),
        path("c", "end"),
    ),
    done="start a c end",
)
feature(
    "flows",
    "no conditional flow holds",
    definitions(
        "p",
        START,
        script("a", "x = 1"),
        script("b", "y = 1"),
        END,
        path("start", "a"),
        flow("a", "b", "x > 3"),
        path("b", "end"),
    ),
    done="start a",
    status="failed",
    incident="no-flow-matches",
)


def _choice(kind: str, x: int, done: str, **more: Any) -> tuple[bytes, dict[str, Any]]:
    xml = definitions(
        "p",
        START,
        gateway(kind, "g", default=more.get("default", "")),
        script("a", "a = 1"),
        script("b", "b = 1"),
        script("c", "c = 1"),
        gateway(kind, "j"),
        END,
        path("start", "g"),
        flow("g", "a", "x > 1"),
        flow("g", "b", "x > 2"),
        flow("g", "c", "" if more.get("default") else "x > 3", "f3"),
        path("a", "j"),
        path("b", "j"),
        path("c", "j", "end"),
    )
    return xml, {"given": {"x": x}, "done": done}


for _kind, _x, _name, _done, _default in (
    ("exclusive", 5, "exclusive gateway: the first condition of the file that holds", "start g a j end", ""),
    ("exclusive", 0, "exclusive gateway: default flow", "start g c j end", "f3"),
    ("inclusive", 5, "inclusive gateway: all that hold", "start g a b c j end", ""),
    ("inclusive", 3, "inclusive gateway: some that hold, the join waits for those", "start g a b j end", ""),
    ("inclusive", 0, "inclusive gateway: default flow", "start g c j end", "f3"),
):
    _xml, _more = _choice(_kind, _x, _done, default=_default)
    feature("gateways", _name, _xml, **_more)
for _kind in ("exclusive", "inclusive"):
    feature(
        "gateways",
        f"{_kind} gateway: nothing holds",
        _choice(_kind, 0, "")[0],
        done="start",
        given={"x": 0},
        status="failed",
        incident="no-flow-matches",
    )
feature(
    "gateways",
    "parallel gateway: split and join",
    definitions(
        "p",
        START,
        gateway("parallel", "g"),
        user_task("a"),
        user_task("b"),
        gateway("parallel", "j"),
        END,
        path("start", "g", "a", "j", "end"),
        path("g", "b", "j"),
    ),
    done="start g b a j end",
    steps=lambda r: r.complete("b").complete("a"),
)
feature(
    "gateways",
    "parallel gateway: a join that can no longer be reached is an incident",
    definitions(
        "p",
        START,
        gateway("inclusive", "g", default="g_b"),
        script("a", "x = 1"),
        script("b", "x = 2"),
        gateway("parallel", "j"),
        END,
        path("start", "g"),
        flow("g", "a", "False"),
        flow("g", "b"),
        path("a", "j", "end"),
        path("b", "j"),
    ),
    done="start g b",
    status="failed",
    incident="stuck",
)
_RACE = definitions(
    "p",
    START,
    gateway("eventBased", "g"),
    catch("m", "message", "m1"),
    catch("s", "signal", "s1"),
    catch("t", "timeDuration", "PT1H"),
    '<bpmn:receiveTask id="r" messageRef="m2" />',
    END,
    path("start", "g", "m", "end"),
    path("g", "s", "end"),
    path("g", "t", "end"),
    path("g", "r", "end"),
    before=NAMES,
)
for _name, _steps, _taken in (
    ("message", lambda r: r.deliver("message", "paid"), "m"),
    ("signal", lambda r: r.deliver("signal", "closing"), "s"),
    ("timer", lambda r: r.proceed(NOW + HOUR), "t"),
    ("receive task", lambda r: r.deliver("message", "refused"), "r"),
):
    feature("gateways", f"event-based gateway: {_name} first", _RACE, done=f"start g {_taken} end", steps=_steps)

# complex gateways


def _complex(needed: str) -> bytes:
    """Three tasks side by side, then a complex gateway that waits for some of them."""
    count = f"<bpmn:activationCondition>{escape(needed)}</bpmn:activationCondition>"
    gate = f'<bpmn:complexGateway id="j">{count}</bpmn:complexGateway>'
    return definitions(
        "p", START, gateway("parallel", "g"), user_task("a"), user_task("b"), user_task("c"), gate,
        script("x", "n = n + 1"), END, path("start", "g", "a", "j", "x", "end"), path("g", "b", "j"),
        path("g", "c", "j"),
    )  # fmt: skip


feature(
    "gateways", "complex gateway: the first of several goes on, the others end there",
    _complex("activationCount >= 1"), done="start g b j x end a c", given={"n": 0},
    steps=lambda r: r.complete("b").complete("a").complete("c"), variables={"n": 1},
)  # fmt: skip
feature(
    "gateways", "complex gateway: two of three go on", _complex("${activationCount > 1}"),
    done="start g b a j x end c", given={"n": 0},
    steps=lambda r: r.complete("b").complete("a").complete("c"), variables={"n": 1},
)  # fmt: skip
feature(
    "gateways", "complex gateway: all that hold leave it",
    definitions("p", START, '<bpmn:complexGateway id="g" />', script("a", "a = 1"), script("b", "b = 1"),
                script("c", "c = 1"), END, path("start", "g"), flow("g", "a", "x > 1"), flow("g", "b", "x > 9"),
                flow("g", "c"), path("a", "end"), path("b", "end"), path("c", "end")),
    done="start g a c end end", given={"x": 5},
)  # fmt: skip
feature(
    "gateways", "complex gateway in a loop counts anew",
    definitions("p", START, gateway("exclusive", "m"), gateway("parallel", "g"), script("a", "n = n + 1"),
                script("b", "y = 1"), '<bpmn:complexGateway id="j"><bpmn:activationCondition>activationCount &gt;= 2'
                "</bpmn:activationCondition></bpmn:complexGateway>", gateway("exclusive", "x", default="x_end"), END,
                path("start", "m", "g", "a", "j", "x"), path("g", "b", "j"), flow("x", "m", "n < 2"), flow("x", "end")),
    done="start m g a b j x m g a b j x end", given={"n": 0},
)  # fmt: skip

# what branches know of each other

_BRANCHES = definitions(
    "p", START, gateway("parallel", "g"), script("a", "n = n + 1\nlist = list + ['a']"), user_task("b"),
    script("c", "n = n + 1\nlist = list + ['c']"), gateway("parallel", "j"), END, path("start", "g", "a", "j", "end"),
    path("g", "b", "c", "j"),
)  # fmt: skip
feature(
    "gateways", "branches work on the same variables", _BRANCHES, done="start g a b c j end",
    given={"n": 0, "list": []}, steps=lambda r: r.complete("b"), variables={"n": 2, "list": ["a", "c"]},
)  # fmt: skip
feature(
    "gateways", "what one branch has set is not undone by another that never touched it",
    definitions("p", START, gateway("parallel", "g"), script("a", "n = 5"), user_task("b"), gateway("parallel", "j"),
                END, path("start", "g", "a", "j", "end"), path("g", "b", "j")),
    done="start g a b j end", given={"n": 0}, steps=lambda r: r.complete("b"), variables={"n": 5},
)  # fmt: skip
feature(
    "gateways",
    "inclusive gateway: two flows between the same two are two",
    definitions(
        "p",
        START,
        gateway("inclusive", "g"),
        gateway("inclusive", "j"),
        script("a", "n = n + 1"),
        END,
        flow("start", "g"),
        flow("g", "j", "n == 0", "one"),
        flow("g", "j", "n < 5", "two"),
        path("j", "a", "end"),
    ),
    done="start g j a end",
    given={"n": 0},
)
