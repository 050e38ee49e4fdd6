"""Events."""

from __future__ import annotations

from tests.drawing import definitions, gateway, script, sequence, user_task
from tests.engines.spiff.conformance.drawn import HOUR, MESSAGE, NAMES, SIGNAL, conditional, end, feature, path
from tests.engines.spiff.runs import NOW
from tests.engines.spiff.shapes import END, START, catch, event, sub_process, throw

feature(
    "events",
    "message start event",
    definitions(
        "p",
        event("startEvent", "start", "message", "m1"),
        script("a", "x = 1"),
        END,
        path("start", "a", "end"),
        before=NAMES,
    ),
    done="start a end",
)
feature(
    "events",
    "message catch event",
    sequence("p", catch("a", "message", "m1"), before=NAMES),
    done="start a end",
    steps=lambda r: r.deliver("message", "paid"),
)
feature(
    "events",
    "message throw event, heard in the same instance",
    definitions(
        "p",
        START,
        gateway("parallel", "g"),
        catch("a", "message", "m1"),
        throw("b", "message", "m1"),
        gateway("parallel", "j"),
        END,
        path("start", "g", "a", "j", "end"),
        path("g", "b", "j"),
        before=NAMES,
    ),
    done="start g b a j end",
)
feature(
    "events",
    "message end event",
    definitions("p", START, end("e", "message", "m1"), path("start", "e"), before=NAMES),
    done="start e",
)
feature(
    "events",
    "signal throw and catch",
    definitions(
        "p",
        START,
        gateway("parallel", "g"),
        catch("a", "signal", "s1"),
        throw("b", "signal", "s1"),
        gateway("parallel", "j"),
        END,
        path("start", "g", "a", "j", "end"),
        path("g", "b", "j"),
        before=NAMES,
    ),
    done="start g b a j end",
)
feature(
    "events",
    "signal end event",
    definitions(
        "p",
        START,
        gateway("parallel", "g"),
        catch("a", "signal", "s1"),
        end("b", "signal", "s1"),
        END,
        path("start", "g", "a", "end"),
        path("g", "b"),
        before=NAMES,
    ),
    done="start g b a end",
)
for _kind, _text in (("timeDuration", "PT1H"), ("timeDate", "2026-11-24T10:00:00Z"), ("timeCycle", "R3/PT1H")):
    feature(
        "events",
        f"timer catch event: {_kind}",
        sequence("p", catch("a", _kind, _text)),
        done="start a end",
        steps=lambda r: r.proceed(NOW + HOUR),
    )
feature(
    "events",
    "conditional catch event that holds at once",
    sequence(
        "p",
        script("a", "x = 1"),
        f'<bpmn:intermediateCatchEvent id="b">{conditional("x == 1")}</bpmn:intermediateCatchEvent>',
    ),
    done="start a b end",
)
feature(
    "events",
    "conditional catch event: another branch makes it hold",
    definitions(
        "p",
        START,
        gateway("parallel", "g"),
        user_task("a"),
        gateway("parallel", "j"),
        END,
        f'<bpmn:intermediateCatchEvent id="b">{conditional("x == 1")}</bpmn:intermediateCatchEvent>',
        path("start", "g", "a", "j", "end"),
        path("g", "b", "j"),
    ),
    done="start g a b j end",
    given={"x": 0},
    steps=lambda r: r.complete("a", x=1),
)
feature(
    "events",
    "link events",
    definitions(
        "p",
        START,
        script("a", "x = 1"),
        script("b", "x = 2"),
        END,
        '<bpmn:intermediateThrowEvent id="to"><bpmn:linkEventDefinition name="L" /></bpmn:intermediateThrowEvent>',
        '<bpmn:intermediateCatchEvent id="from"><bpmn:linkEventDefinition name="L" /></bpmn:intermediateCatchEvent>',
        path("start", "a", "to"),
        path("from", "b", "end"),
    ),
    done="start a to from b end",
)
feature(
    "events",
    "two link throw events to one catch event",
    definitions(
        "p",
        START,
        gateway("parallel", "g"),
        END,
        *(
            f'<bpmn:intermediateThrowEvent id="{n}"><bpmn:linkEventDefinition name="L" /></bpmn:intermediateThrowEvent>'
            for n in ("t1", "t2")
        ),
        '<bpmn:intermediateCatchEvent id="from"><bpmn:linkEventDefinition name="L" /></bpmn:intermediateCatchEvent>',
        path("start", "g", "t1"),
        path("g", "t2"),
        path("from", "end"),
    ),
    done="start g t1 t2 from from end end",
)
feature(
    "events",
    "event definition by reference",
    sequence(
        "p",
        '<bpmn:intermediateCatchEvent id="a"><bpmn:eventDefinitionRef>md</bpmn:eventDefinitionRef>'
        "</bpmn:intermediateCatchEvent>",
        before=NAMES + '<bpmn:messageEventDefinition id="md" messageRef="m1" />',
    ),
    done="start a end",
    steps=lambda r: r.deliver("message", "paid"),
)
feature(
    "events",
    "boundary event by reference",
    definitions(
        "p",
        START,
        user_task("a"),
        END,
        end("e2"),
        '<bpmn:boundaryEvent id="b" attachedToRef="a">'
        "<bpmn:eventDefinitionRef>td</bpmn:eventDefinitionRef></bpmn:boundaryEvent>",
        path("start", "a", "end"),
        path("b", "e2"),
        before='<bpmn:timerEventDefinition id="td"><bpmn:timeDuration>PT1H</bpmn:timeDuration>'
        "</bpmn:timerEventDefinition>",
    ),
    done="start b e2",
    steps=lambda r: r.proceed(NOW + HOUR),
)
feature(
    "events",
    "signal end event by reference",
    definitions(
        "p",
        START,
        '<bpmn:endEvent id="e"><bpmn:eventDefinitionRef>sd</bpmn:eventDefinitionRef></bpmn:endEvent>',
        path("start", "e"),
        before=NAMES + '<bpmn:signalEventDefinition id="sd" signalRef="s1" />',
    ),
    done="start e",
)
_SEVERAL = definitions(
    "p",
    START,
    event("startEvent", "called", "message", "m1"),
    event("startEvent", "heard", "signal", "s1"),
    script("a", "x = 1"),
    script("b", "x = 2"),
    END,
    path("start", "a", "end"),
    path("called", "b", "end"),
    path("heard", "b"),
    before=NAMES,
)
feature("events", "several start events: by hand the plain one", _SEVERAL, done="start a end")
feature(
    "events",
    "terminate end event",
    definitions(
        "p",
        START,
        gateway("parallel", "g"),
        user_task("a"),
        end("stop", "terminate"),
        END,
        path("start", "g", "a", "end"),
        path("g", "stop"),
    ),
    done="start g stop",
)
feature(
    "events",
    "terminate end event in a sub-process ends only that",
    definitions(
        "p",
        START,
        sub_process(
            "s",
            gateway("parallel", "g"),
            user_task("a"),
            end("stop", "terminate"),
            path("s.start", "g", "a", "s.end"),
            path("g", "stop"),
        ),
        script("b", "x = 1"),
        END,
        path("start", "s", "b", "end"),
    ),
    done="start s.start g stop s b end",
)
feature(
    "events",
    "parallel multiple catch event waits for all",
    sequence(
        "p",
        f'<bpmn:intermediateCatchEvent id="a" parallelMultiple="true">{MESSAGE}{SIGNAL}</bpmn:intermediateCatchEvent>',
        before=NAMES,
    ),
    done="start a end",
    steps=lambda r: r.deliver("signal", "closing").deliver("message", "paid"),
)
feature(
    "events",
    "multiple catch event takes the first",
    sequence("p", f'<bpmn:intermediateCatchEvent id="a">{MESSAGE}{SIGNAL}</bpmn:intermediateCatchEvent>', before=NAMES),
    done="start a end",
    steps=lambda r: r.deliver("signal", "closing"),
)
feature(
    "events",
    "references that are qualified names",
    sequence("p", catch("c", "message", "own:m1"), user_task("a"), before=NAMES).replace(
        b"xmlns:bpmn=", b'xmlns:own="http://dams.example/test" xmlns:bpmn=', 1
    ),
    done="start c a end",
    steps=lambda r: r.deliver("message", "paid").complete("a"),
)
