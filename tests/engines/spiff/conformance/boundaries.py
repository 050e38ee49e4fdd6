"""Boundary events."""

from __future__ import annotations

from tests.drawing import definitions, gateway, script, sequence, user_task
from tests.engines.spiff.conformance.drawn import HOUR, NAMES, Steps, beside, conditional, end, feature, nothing, path
from tests.engines.spiff.runs import NOW
from tests.engines.spiff.shapes import END, START, around, boundary, call, sub_process, throw

_FIRE: dict[str, tuple[str, str, Steps]] = {
    "message": ("message", "m1", lambda r: r.deliver("message", "paid")),
    "signal": ("signal", "s1", lambda r: r.deliver("signal", "closing")),
    "timer": ("timeDuration", "PT1H", lambda r: r.proceed(NOW + HOUR)),
}


_USER = user_task("a")
_SUB = sub_process("s", user_task("a"), around("s", "a", "a"))
for _kind, (_definition, _what, _fire) in _FIRE.items():
    feature(
        "boundary events",
        f"interrupting {_kind} at a task",
        beside(_USER, boundary("b", "a", _definition, _what)),
        done="start b react e2",
        steps=_fire,
    )
    feature(
        "boundary events",
        f"non-interrupting {_kind} at a task",
        beside(_USER, boundary("b", "a", _definition, _what, interrupts=False)),
        done="start b react e2 a end",
        steps=lambda r, fire=_fire: fire(r).complete("a"),
    )
    feature(
        "boundary events",
        f"interrupting {_kind} at a sub-process",
        beside(_SUB, boundary("b", "s", _definition, _what), "s"),
        done="start s.start b react e2",
        steps=_fire,
    )
    feature(
        "boundary events",
        f"non-interrupting {_kind} at a sub-process",
        beside(_SUB, boundary("b", "s", _definition, _what, interrupts=False), "s"),
        done="start s.start b react e2 a s.end s end",
        steps=lambda r, fire=_fire: fire(r).complete("a"),
    )
for _kind in ("message", "signal"):
    _definition, _what, _fire = _FIRE[_kind]
    feature(
        "boundary events",
        f"non-interrupting {_kind} comes twice",
        beside(_USER, boundary("b", "a", _definition, _what, interrupts=False)),
        done="start b react e2 b react e2 a end",
        steps=lambda r, fire=_fire: fire(fire(r)).complete("a"),
    )
feature(
    "boundary events",
    "a cycle beside a task",
    beside(_USER, boundary("b", "a", "timeCycle", "R2/PT1H", interrupts=False)),
    done="start b react e2 b react e2 a end",
    steps=lambda r: r.proceed(NOW + HOUR).proceed(NOW + 2 * HOUR).proceed(NOW + 9 * HOUR).complete("a"),
)
feature(
    "boundary events",
    "conditional, interrupting",
    definitions(
        "p",
        START,
        gateway("parallel", "g"),
        user_task("a"),
        user_task("other"),
        END,
        end("e2"),
        end("e3"),
        f'<bpmn:boundaryEvent id="b" attachedToRef="a">{conditional("x == 1")}</bpmn:boundaryEvent>',
        path("start", "g", "a", "end"),
        path("g", "other", "e3"),
        path("b", "e2"),
    ),
    done="start g other b e3 e2",
    given={"x": 0},
    steps=lambda r: r.complete("other", x=1),
)
feature(
    "boundary events",
    "conditional, non-interrupting, each time it becomes true",
    definitions(
        "p",
        START,
        gateway("parallel", "g"),
        user_task("a"),
        user_task("o1"),
        user_task("o2"),
        user_task("o3"),
        END,
        end("e2"),
        end("e3"),
        '<bpmn:boundaryEvent id="b" attachedToRef="a" '
        f'cancelActivity="false">{conditional("x == 1")}</bpmn:boundaryEvent>',
        path("start", "g", "a", "end"),
        path("g", "o1", "o2", "o3", "e3"),
        path("b", "e2"),
    ),
    done="start g o1 b e2 o2 o3 b e3 e2 a end",
    given={"x": 0},
    steps=lambda r: r.complete("o1", x=1).complete("o2", x=2).complete("o3", x=1).complete("a"),
)
feature(
    "boundary events",
    "error end event in a sub-process",
    beside(
        sub_process("s", end("fail", "error", "err1"), path("s.start", "fail")),
        boundary("b", "s", "error", "err1"),
        "s",
    ),
    done="start s.start fail b react e2",
)
feature(
    "boundary events",
    "a script raises a BPMN error",
    beside(script("a", "raise BpmnError('LOST', 'gone')"), boundary("b", "a", "error", "err1")),
    done="start b react e2",
)
feature(
    "boundary events",
    "an error of another code is not caught",
    beside(script("a", "raise BpmnError('OTHER')"), boundary("b", "a", "error", "err1")),
    done="start",
    status="failed",
    incident="uncaught-error",
)
feature(
    "boundary events",
    "the boundary event for the code goes before the one for any",
    beside(
        script("a", "raise BpmnError('LOST')"),
        '<bpmn:boundaryEvent id="any" attachedToRef="a"><bpmn:errorEventDefinition /></bpmn:boundaryEvent>'
        + end("e3")
        + path("any", "e3")
        + boundary("b", "a", "error", "err1"),
    ),
    done="start b react e2",
)
feature(
    "boundary events",
    "an error passes sub-processes that do not catch it",
    beside(
        sub_process(
            "s", sub_process("i", end("fail", "error", "err1"), path("i.start", "fail")), around("s", "i", "i")
        ),
        boundary("b", "s", "error", "err1"),
        "s",
    ),
    done="start s.start i.start fail b react e2",
)
feature(
    "boundary events",
    "an error at an unrelated activity is not caught",
    definitions(
        "p",
        START,
        gateway("parallel", "g"),
        user_task("u"),
        boundary("b", "u", "error", "err1"),
        sub_process("s", end("fail", "error", "err1"), path("s.start", "fail")),
        END,
        end("e2"),
        end("e3"),
        path("start", "g", "u", "end"),
        path("g", "s", "e2"),
        path("b", "e3"),
        before=NAMES,
    ),
    done="start g s.start",
    status="running",
    incident="uncaught-error",
)
for _quiet in (False, True):
    feature(
        "boundary events",
        f"escalation in a sub-process, {'non-' if _quiet else ''}interrupting",
        beside(
            sub_process("s", throw("t", "escalation", "c1"), user_task("a"), path("s.start", "t", "a", "s.end")),
            boundary("b", "s", "escalation", "c1", interrupts=not _quiet),
            "s",
        ),
        done="start s.start t b react e2 a s.end s end" if _quiet else "start s.start t b react e2",
        steps=(lambda r: r.complete("a")) if _quiet else nothing,
    )
feature(
    "boundary events",
    "escalation end event",
    beside(
        sub_process("s", end("up", "escalation", "c1"), path("s.start", "up")),
        boundary("b", "s", "escalation", "c1"),
        "s",
    ),
    done="start s.start up b react e2",
)
feature(
    "boundary events",
    "an uncaught escalation is no incident",
    sequence("p", throw("t", "escalation", "c1"), before=NAMES),
    done="start t end",
)
feature(
    "boundary events",
    "error out of a called process",
    definitions(
        "p",
        START,
        call("c", "q"),
        boundary("b", "c", "error", "err1"),
        END,
        end("e2"),
        path("start", "c", "end"),
        path("b", "e2"),
        before=NAMES,
    ),
    definitions(
        "q",
        '<bpmn:startEvent id="qs" />',
        '<bpmn:endEvent id="qe"><bpmn:errorEventDefinition errorRef="qe1" /></bpmn:endEvent>',
        path("qs", "qe"),
        before='<bpmn:error id="qe1" name="lost" errorCode="LOST" />',
    ),
    done="start qs qe b e2",
)
