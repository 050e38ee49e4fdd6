"""Activities that run several times, scopes, calls."""

from __future__ import annotations

from html import escape

from tests.drawing import definitions, flow, gateway, script, sequence, user_task
from tests.engines.spiff.conformance.drawn import beside, end, feature, path
from tests.engines.spiff.shapes import END, START, around, boundary, call, many, standard_loop, sub_process, with_loop

_ITEMS = {"items": [1, 2, 3]}
for _sequential in (True, False):
    _word = "sequential" if _sequential else "parallel"
    feature(
        "loops",
        f"{_word} multi-instance by cardinality",
        sequence("p", with_loop(script("a", "x = 1"), many(sequential=_sequential, cardinality="3"))),
        done="start a a a end",
    )
    feature(
        "loops",
        f"{_word} multi-instance over a collection, outputs collected in order",
        sequence(
            "p",
            with_loop(
                script("a", "o = i * 2"),
                many(sequential=_sequential, collection="items", item="i", output="outs", output_item="o"),
            ),
        ),
        done="start a a a end",
        given=_ITEMS,
        variables={"outs": [2, 4, 6]},
    )
    feature(
        "loops",
        f"{_word} multi-instance, item only",
        sequence("p", with_loop(script("a", "last = i"), many(sequential=_sequential, collection="items", item="i"))),
        done="start a a a end",
        given=_ITEMS,
    )
    feature(
        "loops",
        f"{_word} multi-instance over an empty collection",
        sequence("p", with_loop(script("a", "x = 1"), many(sequential=_sequential, collection="items", item="i"))),
        done="start end",
        given={"items": []},
    )
    feature(
        "loops",
        f"{_word} multi-instance with a completion condition",
        sequence(
            "p",
            with_loop(
                user_task("a"), many(sequential=_sequential, cardinality="5", until="nrOfCompletedInstances >= 2")
            ),
        ),
        done="start a a end",
        steps=lambda r: r.complete("a").complete("a"),
    )
    feature(
        "loops",
        f"{_word} multi-instance of a sub-process",
        sequence(
            "p",
            with_loop(
                sub_process("s", script("a", "x = i"), around("s", "a", "a")),
                many(sequential=_sequential, collection="items", item="i"),
            ),
        ),
        done=(
            "start s.start a s.end s s.start a s.end s end"
            if _sequential
            else "start s.start s.start a a s.end s.end s s end"
        ),
        given={"items": [1, 2]},
    )
    feature(
        "loops",
        f"{_word} multi-instance of a call activity",
        sequence("p", call("c", "q", many(sequential=_sequential, collection="items", item="i"))),
        definitions(
            "q",
            '<bpmn:startEvent id="qs" />',
            script("qa", "x = i"),
            '<bpmn:endEvent id="qe" />',
            path("qs", "qa", "qe"),
        ),
        done=("start qs qa qe c qs qa qe c end" if _sequential else "start qs qs qa qa qe qe c c end"),
        given={"items": [1, 2]},
    )
feature(
    "loops",
    "boundary event at a multi-instance activity ends all of it",
    beside(with_loop(user_task("a"), many(sequential=False, cardinality="3")), boundary("b", "a", "message", "m1")),
    done="start a b react e2",
    steps=lambda r: r.complete("a").deliver("message", "paid"),
)
feature(
    "loops",
    "error in one run of a multi-instance activity",
    beside(
        with_loop(
            sub_process("a", end("fail", "error", "err1"), path("a.start", "fail")),
            many(sequential=True, cardinality="3"),
        ),
        boundary("b", "a", "error", "err1"),
    ),
    done="start a.start fail b react e2",
)
feature(
    "loops",
    "multi-instance over a dictionary",
    sequence(
        "p",
        with_loop(
            script("a", "o = i * 2"),
            many(sequential=True, collection="items", item="i", output="outs", output_item="o"),
        ),
    ),
    done="start a a end",
    given={"items": {"x": 1, "y": 2}},
    variables={"outs": {"x": 2, "y": 4}},
)
feature(
    "loops",
    "Camunda's collection and element variable",
    sequence(
        "p",
        with_loop(
            script("a", "last = i"),
            '<bpmn:multiInstanceLoopCharacteristics isSequential="true" '
            'camunda:collection="${items}" camunda:elementVariable="i" />',
        ),
    ),
    done="start a a a end",
    given=_ITEMS,
)
feature(
    "loops",
    "nested multi-instance",
    sequence(
        "p",
        with_loop(
            sub_process(
                "s",
                with_loop(script("a", "x = j"), many(sequential=True, collection="i", item="j")),
                around("s", "a", "a"),
            ),
            many(sequential=True, collection="items", item="i"),
        ),
    ),
    done="start s.start a a s.end s s.start a s.end s end",
    given={"items": [[1, 2], [3]]},
)
feature(
    "loops",
    "standard loop, tested behind each turn",
    sequence("p", with_loop(script("a", "x = x + 1"), standard_loop("x < 3"))),
    done="start a a a end",
    given={"x": 0},
)
feature(
    "loops",
    "standard loop, tested before each turn",
    sequence("p", with_loop(script("a", "x = x + 1"), standard_loop("x < 0", before=True))),
    done="start end",
    given={"x": 0},
)
feature(
    "loops",
    "standard loop with a maximum",
    sequence("p", with_loop(script("a", "x = x + 1"), standard_loop("True", maximum=2))),
    done="start a a end",
    given={"x": 0},
)
feature(
    "loops",
    "standard loop of a sub-process",
    sequence("p", with_loop(sub_process("s", script("a", "x = x + 1"), around("s", "a", "a")), standard_loop("x < 2"))),
    done="start s.start a s.end s s.start a s.end s end",
    given={"x": 0},
)

feature(
    "scopes",
    "embedded sub-process",
    sequence("p", sub_process("s", script("a", "x = 1"), around("s", "a", "a"))),
    done="start s.start a s.end s end",
    variables={"x": 1},
)
feature(
    "scopes",
    "nested sub-processes",
    sequence("p", sub_process("s", sub_process("i", user_task("a"), around("i", "a", "a")), around("s", "i", "i"))),
    done="start s.start i.start a i.end i s.end s end",
    steps=lambda r: r.complete("a"),
)
feature(
    "scopes",
    "a sub-process waits for all its branches",
    sequence(
        "p",
        sub_process(
            "s",
            gateway("parallel", "g"),
            user_task("a"),
            user_task("b"),
            end("e2"),
            path("s.start", "g", "a", "s.end"),
            path("g", "b", "e2"),
        ),
    ),
    done="start s.start g a s.end b e2 s end",
    steps=lambda r: r.complete("a").complete("b"),
)
feature(
    "scopes",
    "call activity",
    sequence("p", call("c", "q")),
    sequence("q", user_task("a")).replace(b'"start"', b'"qs"').replace(b'"end"', b'"qe"'),
    done="start qs a qe c end",
    steps=lambda r: r.complete("a", x=1),
    variables={"x": 1},
)
feature(
    "scopes",
    "nested call activities",
    sequence("p", call("c", "q")),
    definitions(
        "q", '<bpmn:startEvent id="qs" />', call("qc", "r"), '<bpmn:endEvent id="qe" />', path("qs", "qc", "qe")
    ),
    definitions(
        "r", '<bpmn:startEvent id="rs" />', script("ra", "x = 1"), '<bpmn:endEvent id="re" />', path("rs", "ra", "re")
    ),
    done="start qs rs ra re qc qe c end",
    variables={"x": 1},
)
feature(
    "scopes",
    "a process that calls itself, to a bound",
    definitions(
        "p",
        START,
        script("a", "n = n + 1"),
        gateway("exclusive", "g", default="g_end"),
        call("c", "p"),
        END,
        path("start", "a", "g"),
        flow("g", "c", "n < 3"),
        flow("g", "end"),
        path("c", "end"),
    ),
    done="start a g start a g start a g end c end c end",
    given={"n": 0},
    variables={"n": 3},
)
feature(
    "scopes",
    "a process that calls itself for ever is an incident",
    sequence("p", call("c", "p")),
    done=" ".join(["start"] * 51),
    status="failed",
    incident="call-depth",
)
feature(
    "scopes",
    "lanes and pools",
    definitions(
        "p",
        '<bpmn:laneSet id="l"><bpmn:lane id="l1" name="Staff"><bpmn:flowNodeRef>a</bpmn:flowNodeRef>'
        "</bpmn:lane></bpmn:laneSet>",
        START,
        user_task("a"),
        END,
        path("start", "a", "end"),
        before='<bpmn:collaboration id="co"><bpmn:participant id="pa" processRef="p" /></bpmn:collaboration>',
    ),
    done="start a end",
    steps=lambda r: r.complete("a"),
)

# ad-hoc sub-processes


def _ad_hoc(condition: str = "", attributes: str = "") -> bytes:
    inner = f"<bpmn:completionCondition>{escape(condition)}</bpmn:completionCondition>" if condition else ""
    both = user_task("a") + user_task("b") + script("c", "z = 1") + flow("b", "c")
    return sequence("p", f'<bpmn:adHocSubProcess id="s" {attributes}>{both}{inner}</bpmn:adHocSubProcess>')


feature(
    "scopes", "ad-hoc sub-process: all that nothing leads to, in any order", _ad_hoc(),
    done="start b c a s end", steps=lambda r: r.complete("b").complete("a"),
)  # fmt: skip
feature(
    "scopes", "ad-hoc sub-process: its completion condition ends what is left", _ad_hoc("enough == True"),
    done="start a s end", given={"enough": False}, steps=lambda r: r.complete("a", enough=True),
)  # fmt: skip
feature(
    "scopes", "ad-hoc sub-process whose completion condition lets the rest go on",
    _ad_hoc("enough == True", 'cancelRemainingInstances="false"'),
    done="start a b c s end", given={"enough": False}, steps=lambda r: r.complete("a", enough=True).complete("b"),
)  # fmt: skip
feature(
    "scopes", "ad-hoc sub-process that is done and not complete is an incident", _ad_hoc("enough == True"),
    done="start a b c", given={"enough": False}, steps=lambda r: r.complete("a").complete("b"), status="failed",
    incident="ad-hoc",
)  # fmt: skip

feature(
    "scopes", "ad-hoc sub-process: one task at a time, in the order that people choose",
    sequence(
        "p",
        f'<bpmn:adHocSubProcess id="s" ordering="Sequential">{user_task("a")}{user_task("b")}</bpmn:adHocSubProcess>',
    ),
    done="start b a s end", steps=lambda r: r.complete("b").complete("a"),
)  # fmt: skip

# what goes into an activity and comes out of it


def _extended(element: str, inner: str) -> str:
    head, _, rest = element.partition(">")
    if head.endswith("/"):
        head, rest = head[:-1], f"</{head[1:].split(' ', 1)[0]}>"
    return f"{head}><bpmn:extensionElements>{inner}</bpmn:extensionElements>{rest}"


def _parameters(inputs: dict[str, str], outputs: dict[str, str]) -> str:
    rules = [f'<camunda:inputParameter name="{name}">{text}</camunda:inputParameter>' for name, text in inputs.items()]
    rules += [f'<camunda:outputParameter name="{n}">{text}</camunda:outputParameter>' for n, text in outputs.items()]
    return f"<camunda:inputOutput>{''.join(rules)}</camunda:inputOutput>"


feature(
    "mappings", "input and output parameters of a user task",
    sequence("p", _extended(user_task("a"), _parameters({"i": "${x + 1}", "t": "text"}, {"o": "${i + y}"}))),
    done="start a end", given={"x": 1, "i": 100}, steps=lambda r: r.complete("a", y=5),
    variables={"o": 7, "i": 100, "t": None},
)  # fmt: skip
feature(
    "mappings", "input and output parameters of a sub-process",
    sequence("p", _extended(sub_process("s", script("a", "r = i * 2"), around("s", "a", "a")),
                            _parameters({"i": "${x}"}, {"o": "${r}"}))),
    done="start s.start a s.end s end", given={"x": 4}, variables={"o": 8, "i": None},
)  # fmt: skip
feature(
    "mappings", "text with expressions in it as a parameter",
    sequence("p", _extended(user_task("a"), _parameters({"t": "Room ${room}, ${who.name}${none}: ${ok}"},
                                                        {"o": "${t}"}))),
    done="start a end", given={"room": 7, "who": {"name": "Ana"}, "none": None, "ok": True},
    steps=lambda r: r.complete("a"), variables={"o": "Room 7, Ana: true"},
)  # fmt: skip
feature(
    "mappings", "lists and maps as parameters",
    sequence("p", _extended(user_task("a"), _parameters(
        {"l": "<camunda:list><camunda:value>${x}</camunda:value><camunda:value>b</camunda:value></camunda:list>"},
        {"o": '<camunda:map><camunda:entry key="k">${l[0]}</camunda:entry></camunda:map>'}))),
    done="start a end", given={"x": 4}, steps=lambda r: r.complete("a"), variables={"o": {"k": 4}},
)  # fmt: skip
_CALLED = definitions("q", '<bpmn:startEvent id="qs" />', script("qa", "r = inner * 2\nsecret = 1"),
                      '<bpmn:endEvent id="qe" />', path("qs", "qa", "qe"))  # fmt: skip
feature(
    "mappings", "call activity: in and out, one by one",
    sequence("p", _extended('<bpmn:callActivity id="c" calledElement="q" />',
                            '<camunda:in source="x" target="inner" /><camunda:out source="r" target="result" />')),
    _CALLED, done="start qs qa qe c end", given={"x": 3}, variables={"result": 6, "secret": None, "inner": None},
)  # fmt: skip
feature(
    "mappings", "call activity: source expression, and all of it back",
    sequence("p", _extended('<bpmn:callActivity id="c" calledElement="q" />',
                            '<camunda:in sourceExpression="${x + 1}" target="inner" />'
                            '<camunda:out variables="all" />')),
    _CALLED, done="start qs qa qe c end", given={"x": 3}, variables={"r": 8, "secret": 1},
)  # fmt: skip
feature(
    "mappings", "call activity: nothing comes back unless it is mapped",
    sequence("p", _extended('<bpmn:callActivity id="c" calledElement="q" />',
                            '<camunda:in source="x" target="inner" />')),
    _CALLED, done="start qs qa qe c end", given={"x": 3}, variables={"r": None},
)  # fmt: skip
