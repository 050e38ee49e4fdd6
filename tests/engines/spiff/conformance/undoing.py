"""Compensation and transactions."""

from __future__ import annotations

from tests.drawing import definitions, gateway, script, user_task
from tests.engines.spiff.conformance.drawn import ERROR, NAMES, compensate, end, event_sub, feature, path, undone
from tests.engines.spiff.shapes import END, START, around, many, standard_loop, sub_process, with_loop

_DO = [script("a", "log = log + ['a']"), script("b", "log = log + ['b']")]
_UNDO = [undone("a", script("ua", "log = log + ['ua']")), undone("b", script("ub", "log = log + ['ub']"))]
feature(
    "compensation",
    "throw event: all, last one first",
    definitions(
        "p",
        START,
        *_DO,
        *_UNDO,
        compensate("intermediateThrowEvent", "t"),
        script("c", "z = 1"),
        END,
        path("start", "a", "b", "t", "c", "end"),
    ),
    done="start a b ub ua t c end",
    given={"log": []},
    variables={"log": ["a", "b", "ub", "ua"]},
)
feature(
    "compensation",
    "throw event: one activity",
    definitions(
        "p",
        START,
        *_DO,
        *_UNDO,
        compensate("intermediateThrowEvent", "t", "a"),
        END,
        path("start", "a", "b", "t", "end"),
    ),
    done="start a b ua t end",
    given={"log": []},
)
feature(
    "compensation",
    "end event",
    definitions("p", START, *_DO, *_UNDO, compensate("endEvent", "e"), path("start", "a", "b", "e")),
    done="start a b ub ua e",
    given={"log": []},
)
feature(
    "compensation",
    "nothing is done twice",
    definitions(
        "p",
        START,
        *_DO,
        *_UNDO,
        compensate("intermediateThrowEvent", "t"),
        compensate("intermediateThrowEvent", "t2"),
        END,
        path("start", "a", "b", "t", "t2", "end"),
    ),
    done="start a b ub ua t t2 end",
    given={"log": []},
)
feature(
    "compensation",
    "what has not finished is not undone",
    definitions(
        "p", START, *_DO, *_UNDO, compensate("intermediateThrowEvent", "t"), END, path("start", "a", "t", "b", "end")
    ),
    done="start a ua t b end",
    given={"log": []},
)
feature(
    "compensation",
    "a person undoes",
    definitions(
        "p",
        START,
        script("a", "x = 1"),
        undone("a", user_task("ua")),
        compensate("intermediateThrowEvent", "t"),
        END,
        path("start", "a", "t", "end"),
    ),
    done="start a ua t end",
    steps=lambda r: r.complete("ua"),
)
feature(
    "compensation",
    "a finished sub-process is undone by what was done in it",
    definitions(
        "p",
        START,
        sub_process("s", *_DO, *_UNDO, path("s.start", "a", "b", "s.end")),
        compensate("intermediateThrowEvent", "t"),
        END,
        path("start", "s", "t", "end"),
    ),
    done="start s.start a b s.end s ub ua t end",
    given={"log": []},
)
feature(
    "compensation",
    "a finished sub-process with a handler of its own",
    definitions(
        "p",
        START,
        sub_process("s", *_DO, *_UNDO, path("s.start", "a", "b", "s.end")),
        undone("s", script("us", "z = 1")),
        compensate("intermediateThrowEvent", "t"),
        END,
        path("start", "s", "t", "end"),
    ),
    done="start s.start a b s.end s us t end",
    given={"log": []},
)
feature(
    "compensation",
    "a sub-process as handler",
    definitions(
        "p",
        START,
        script("a", "x = 1"),
        undone("a", sub_process("us", script("ua", "x = 0"), around("us", "ua", "ua"))),
        compensate("intermediateThrowEvent", "t"),
        END,
        path("start", "a", "t", "end"),
    ),
    done="start a us.start ua us.end us t end",
    variables={"x": 0},
)
feature(
    "compensation",
    "event sub-process",
    definitions(
        "p",
        START,
        sub_process(
            "s",
            *_DO,
            *_UNDO,
            event_sub("h", "<bpmn:compensateEventDefinition />", script("x", "r = 1")),
            path("s.start", "a", "b", "s.end"),
        ),
        compensate("intermediateThrowEvent", "t"),
        END,
        path("start", "s", "t", "end"),
    ),
    done="start s.start a b s.end s h.on x h.off h t end",
    given={"log": []},
)
feature(
    "compensation",
    "event sub-process that undoes what is inside",
    definitions(
        "p",
        START,
        sub_process(
            "s",
            *_DO,
            *_UNDO,
            event_sub("h", "<bpmn:compensateEventDefinition />", compensate("intermediateThrowEvent", "ht")),
            path("s.start", "a", "b", "s.end"),
        ),
        compensate("intermediateThrowEvent", "t"),
        END,
        path("start", "s", "t", "end"),
    ),
    done="start s.start a b s.end s h.on ub ua ht h.off h t end",
    given={"log": []},
)
feature(
    "compensation",
    "thrown by the handler of an error",
    definitions(
        "p",
        START,
        *_DO,
        *_UNDO,
        script("c", "raise BpmnError('LOST')"),
        END,
        event_sub("h", ERROR, compensate("intermediateThrowEvent", "t")),
        path("start", "a", "b", "c", "end"),
        before=NAMES,
    ),
    done="start a b h.on ub ua t h.off h",
    given={"log": []},
)
feature(
    "compensation",
    "each run of a multi-instance activity",
    definitions(
        "p",
        START,
        with_loop(script("a", "x = 1"), many(sequential=True, cardinality="3")),
        undone("a", script("ua", "y = 1")),
        compensate("intermediateThrowEvent", "t"),
        END,
        path("start", "a", "t", "end"),
    ),
    done="start a a a ua ua ua t end",
)
_CANCEL = "<bpmn:cancelEventDefinition />"
feature(
    "compensation",
    "transaction that completes",
    definitions(
        "p",
        START,
        sub_process("s", *_DO, *_UNDO, path("s.start", "a", "b", "s.end"), tag="transaction"),
        f'<bpmn:boundaryEvent id="x" attachedToRef="s">{_CANCEL}</bpmn:boundaryEvent>',
        END,
        end("e2"),
        path("start", "s", "end"),
        path("x", "e2"),
    ),
    done="start s.start a b s.end s end",
    given={"log": []},
)
feature(
    "compensation",
    "transaction that is cancelled: undone, then left by the cancel event",
    definitions(
        "p",
        START,
        sub_process(
            "s",
            *_DO,
            *_UNDO,
            gateway("parallel", "g"),
            user_task("u"),
            f'<bpmn:endEvent id="c">{_CANCEL}</bpmn:endEvent>',
            path("s.start", "a", "b", "g", "c"),
            path("g", "u", "s.end"),
            tag="transaction",
        ),
        f'<bpmn:boundaryEvent id="x" attachedToRef="s">{_CANCEL}</bpmn:boundaryEvent>',
        END,
        end("e2"),
        path("start", "s", "end"),
        path("x", "e2"),
    ),
    done="start s.start a b g ub ua c x e2",
    given={"log": []},
)
_ROOM = sub_process(
    "s", script("a", "log = log + ['a']"), around("s", "a", "a"), undone("a", script("ua", "log = log + ['ua']"))
)
for _name, _loop in (
    ("multi-instance", many(sequential=True, cardinality="2")),
    ("looping", standard_loop(maximum=2)),
):
    feature(
        "compensation",
        f"each run of a {_name} sub-process is undone by what was done in it",
        definitions(
            "p",
            START,
            with_loop(_ROOM, _loop),
            compensate("intermediateThrowEvent", "t"),
            END,
            path("start", "s", "t", "end"),
        ),
        done="start s.start a s.end s s.start a s.end s ua ua t end",
        given={"log": []},
        variables={"log": ["a", "a", "ua", "ua"]},
    )
