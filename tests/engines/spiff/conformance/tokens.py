"""Activities that give more than one token or event, and gateways that begin a process."""

from __future__ import annotations

from tests.drawing import definitions, flow, gateway, script, user_task
from tests.engines.spiff.conformance.drawn import END, NAMES, START, feature, path
from tests.engines.spiff.shapes import boundary, catch, many, with_loop

BEGINS = gateway("eventBased", "g").replace(" />", ' instantiate="true" />')
SIGNALLED = NAMES + '<bpmn:signalEventDefinition id="told" signalRef="s1" />'
ESCALATED = NAMES + '<bpmn:escalationEventDefinition id="told" escalationRef="c1" />'

feature(
    "flows",
    "completionQuantity: a token for each",
    definitions(
        "p", START, script("a", "n = 0").replace("<bpmn:scriptTask", '<bpmn:scriptTask completionQuantity="3"'),
        script("b", "n = n + 1"), END, path("start", "a", "b", "end"),
    ),
    done="start a b b b end end end",
    variables={"n": 3},
)  # fmt: skip
feature(
    "flows",
    "completionQuantity: each token takes every flow",
    definitions(
        "p", START, script("a", "n = 0").replace("<bpmn:scriptTask", '<bpmn:scriptTask completionQuantity="2"'),
        script("b", "x = 1"), script("c", "y = 1"), gateway("parallel", "j"), END, path("start", "a", "b", "j", "end"),
        path("a", "c", "j"),
    ),
    done="start a b c b c j j end end",
)  # fmt: skip
feature(
    "gateways",
    "event-based gateway that starts instances",
    definitions(
        "p", BEGINS, catch("a", "message", "m1"), catch("b", "signal", "s1"), script("c", "x = 1"),
        END, path("g", "a", "c", "end"), path("g", "b", "c"), before=NAMES,
    ),
    done="a c end",
)  # fmt: skip


def runs(behavior: str, before: str = SIGNALLED, *, sequential: bool = True, kind: tuple[str, str] = ("signal", "s1"),
         inner: str = "") -> bytes:  # fmt: skip
    """Three runs of the user task `a` that tell a boundary event `b`, which does not interrupt."""
    loop = many(sequential=sequential, cardinality="3").replace(
        "<bpmn:multiInstanceLoopCharacteristics", f"<bpmn:multiInstanceLoopCharacteristics {behavior}"
    )
    loop = loop.replace("</bpmn:multiInstance", f"{inner}</bpmn:multiInstance")
    return definitions(
        "p", START, with_loop(user_task("a"), loop), boundary("b", "a", *kind, interrupts=False), END,
        '<bpmn:endEvent id="e2" />', path("start", "a", "end"), flow("b", "e2"), before=before,
    )  # fmt: skip


NONE, ONE = 'behavior="None" noneBehaviorEventRef="told"', 'behavior="One" oneBehaviorEventRef="told"'
COMPLEX = (
    '<bpmn:complexBehaviorDefinition id="when"><bpmn:condition>nrOfCompletedInstances == 2</bpmn:condition>'
    '<bpmn:event id="thrown"><bpmn:signalEventDefinition signalRef="s1" /></bpmn:event>'
    "</bpmn:complexBehaviorDefinition>"
)
feature(
    "loops",
    "multi-instance behavior None: each run tells",
    runs(NONE),
    done="start a b e2 a b e2 a b e2 end",
    steps=lambda r: r.complete("a").complete("a").complete("a"),
)
feature(
    "loops",
    "multi-instance behavior One: the first run tells",
    runs(ONE, sequential=False),
    done="start a b e2 a a end",
    steps=lambda r: r.complete("a").complete("a").complete("a"),
)
feature(
    "loops",
    "multi-instance behavior One, an escalation",
    runs(ONE, ESCALATED, kind=("escalation", "c1")),
    done="start a b e2 a a end",
    steps=lambda r: r.complete("a").complete("a").complete("a"),
)
feature(
    "loops",
    "multi-instance behavior Complex: told when its condition holds",
    runs('behavior="Complex"', inner=COMPLEX),
    done="start a a b e2 a end",
    steps=lambda r: r.complete("a").complete("a").complete("a"),
)
feature(
    "loops",
    "multi-instance behavior One at an interrupting event ends the others",
    runs(ONE, sequential=False).replace(b' cancelActivity="false"', b""),
    done="start a b e2",
    steps=lambda r: r.complete("a"),
)
