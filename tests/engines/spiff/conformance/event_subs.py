"""Event sub-processes."""

from __future__ import annotations

from tests.drawing import definitions, script, user_task
from tests.engines.spiff.conformance.drawn import (
    ERROR,
    ESCALATION,
    HOUR,
    MESSAGE,
    NAMES,
    SIGNAL,
    TIMER,
    Steps,
    conditional,
    end,
    event_sub,
    feature,
    nothing,
    path,
)
from tests.engines.spiff.runs import NOW
from tests.engines.spiff.shapes import END, START, around, boundary, event, sub_process, throw

_DEFINED: dict[str, tuple[str, Steps]] = {
    "message": (MESSAGE, lambda r: r.deliver("message", "paid", {"n": 7})),
    "signal": (SIGNAL, lambda r: r.deliver("signal", "closing", {"n": 7})),
    "timer": (TIMER, lambda r: r.proceed(NOW + HOUR)),
}
for _kind, (_definition, _fire) in _DEFINED.items():
    for _quiet in (False, True):
        _handler = event_sub("h", _definition, script("x", "r = 1"), interrupts=not _quiet)
        _word = f"{'non-' if _quiet else ''}interrupting {_kind}"
        feature(
            "event sub-processes",
            f"{_word}, in the process",
            definitions("p", START, user_task("a"), END, _handler, path("start", "a", "end"), before=NAMES),
            done="start h.on x h.off h" + (" a end" if _quiet else ""),
            steps=(lambda r, fire=_fire: fire(r).complete("a")) if _quiet else _fire,
        )
        feature(
            "event sub-processes",
            f"{_word}, in a sub-process",
            definitions(
                "p",
                START,
                sub_process("s", user_task("a"), _handler, around("s", "a", "a")),
                script("b", "y = 1"),
                END,
                path("start", "s", "b", "end"),
                before=NAMES,
            ),
            done="start s.start h.on x h.off h" + (" a s.end" if _quiet else "") + " s b end",
            steps=(lambda r, fire=_fire: fire(r).complete("a")) if _quiet else _fire,
        )
feature(
    "event sub-processes",
    "non-interrupting message, twice",
    definitions(
        "p",
        START,
        user_task("a"),
        END,
        event_sub("h", MESSAGE, script("x", "r = 1"), interrupts=False),
        path("start", "a", "end"),
        before=NAMES,
    ),
    done="start h.on x h.off h h.on x h.off h a end",
    steps=lambda r: r.deliver("message", "paid").deliver("message", "paid").complete("a"),
)
feature(
    "event sub-processes",
    "the process ends without its event",
    definitions(
        "p",
        START,
        user_task("a"),
        END,
        event_sub("h", MESSAGE, script("x", "r = 1")),
        path("start", "a", "end"),
        before=NAMES,
    ),
    done="start a end",
    steps=lambda r: r.complete("a"),
)
feature(
    "event sub-processes",
    "the process waits for a handler that does not interrupt",
    definitions(
        "p",
        START,
        user_task("a"),
        END,
        event_sub("h", MESSAGE, user_task("x"), interrupts=False),
        path("start", "a", "end"),
        before=NAMES,
    ),
    done="start h.on a end x h.off h",
    steps=lambda r: r.deliver("message", "paid").complete("a").complete("x"),
)
feature(
    "event sub-processes",
    "error",
    definitions(
        "p",
        START,
        script("a", "raise BpmnError('LOST')"),
        END,
        event_sub("h", ERROR, script("x", "r = 1")),
        path("start", "a", "end"),
        before=NAMES,
    ),
    done="start h.on x h.off h",
)
feature(
    "event sub-processes",
    "error in a nested sub-process",
    definitions(
        "p",
        START,
        sub_process(
            "s",
            sub_process("i", end("fail", "error", "err1"), path("i.start", "fail")),
            event_sub("h", ERROR, script("x", "r = 1")),
            around("s", "i", "i"),
        ),
        END,
        path("start", "s", "end"),
        before=NAMES,
    ),
    done="start s.start i.start fail h.on x h.off h s end",
)
feature(
    "event sub-processes",
    "error: the inner handler goes before the boundary event",
    definitions(
        "p",
        START,
        sub_process(
            "s", end("fail", "error", "err1"), event_sub("h", ERROR, script("x", "r = 1")), path("s.start", "fail")
        ),
        boundary("b", "s", "error", "err1"),
        END,
        end("e2"),
        path("start", "s", "end"),
        path("b", "e2"),
        before=NAMES,
    ),
    done="start s.start fail h.on x h.off h s end",
)
for _quiet in (False, True):
    feature(
        "event sub-processes",
        f"escalation, {'non-' if _quiet else ''}interrupting",
        definitions(
            "p",
            START,
            throw("t", "escalation", "c1"),
            user_task("a"),
            END,
            event_sub("h", ESCALATION, script("x", "r = 1"), interrupts=not _quiet),
            path("start", "t", "a", "end"),
            before=NAMES,
        ),
        done="start t h.on x h.off h" + (" a end" if _quiet else ""),
        steps=(lambda r: r.complete("a")) if _quiet else nothing,
    )
    feature(
        "event sub-processes",
        f"conditional, {'non-' if _quiet else ''}interrupting",
        definitions(
            "p",
            START,
            user_task("a"),
            user_task("c"),
            END,
            event_sub("h", conditional("x == 1"), script("y", "r = x"), interrupts=not _quiet),
            path("start", "a", "c", "end"),
            before=NAMES,
        ),
        done="start a h.on y h.off h" + (" c end" if _quiet else ""),
        given={"x": 0},
        steps=(lambda r: r.complete("a", x=1).complete("c")) if _quiet else (lambda r: r.complete("a", x=1)),
        variables={"r": 1},
    )
feature(
    "event sub-processes",
    "sees what the process has set, and the message",
    definitions(
        "p",
        START,
        script("set", "x = 5"),
        user_task("a"),
        END,
        event_sub("h", MESSAGE, script("y", "r = x + n")),
        path("start", "set", "a", "end"),
        before=NAMES,
    ),
    done="start set h.on y h.off h",
    steps=lambda r: r.deliver("message", "paid", {"n": 2}),
    variables={"r": 7},
)
_PASSES_ON = (
    f'<bpmn:subProcess id="h" triggeredByEvent="true"><bpmn:startEvent id="h.on"{{quiet}}>{{caught}}</bpmn:startEvent>'
    f"{{thrown}}{path('h.on', 'h.off')}</bpmn:subProcess>"
)
for _kind, _caught, _ref in (("error", ERROR, "err1"), ("escalation", ESCALATION, "c1")):
    feature(
        "event sub-processes",
        f"what its handler throws on goes to what is around: {_kind}",
        definitions(
            "p",
            START,
            sub_process(
                "s",
                event("endEvent", "fail", _kind, _ref),
                _PASSES_ON.format(
                    quiet=' isInterrupting="false"' if _kind == "escalation" else "",
                    caught=_caught,
                    thrown=event("endEvent", "h.off", _kind, _ref),
                ),
                path("s.start", "fail"),
            ).replace('<bpmn:endEvent id="s.end" />', ""),
            boundary("b", "s", _kind, _ref),
            END,
            end("e2"),
            path("start", "s", "end"),
            path("b", "e2"),
            before=NAMES,
        ),
        done="start s.start fail h.on h.off b e2",
    )
