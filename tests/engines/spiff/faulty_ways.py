"""Faulty models of the rules that look along the ways through a process, with the problem that each must give."""

from __future__ import annotations

from tests import drawing as draw
from tests.engines.spiff.faulty import (
    END,
    ERROR,
    MESSAGE,
    START,
    Fault,
    around,
    choice,
    extended,
    field,
    loop,
    script,
    task,
    timer,
)

END2 = '<bpmn:endEvent id="end2" />'
LANES = (
    '<bpmn:laneSet id="lanes"><bpmn:lane id="l1"><bpmn:flowNodeRef>{first}</bpmn:flowNodeRef></bpmn:lane>'
    '<bpmn:lane id="l2"><bpmn:flowNodeRef>{second}</bpmn:flowNodeRef></bpmn:lane></bpmn:laneSet>'
)
POOL = (
    '<bpmn:collaboration id="pools"><bpmn:participant id="pool" processRef="P" />'
    '<bpmn:messageFlow id="told" sourceRef="t" targetRef="{target}" /></bpmn:collaboration>'
)


def catcher(event_id: str) -> str:
    """A boundary event of `t` that catches ERROR."""
    definition = '<bpmn:errorEventDefinition errorRef="failed" />'
    return f'<bpmn:boundaryEvent id="{event_id}" attachedToRef="t">{definition}</bpmn:boundaryEvent>'


def detour(*inside: str, before: str = "") -> bytes:
    """Start, a gateway `g` with a way through `s` and one that leaves it out, a gateway `h` that asks for x."""
    return draw.definitions(
        "P", START, draw.script("a", "y = 1"), draw.gateway("exclusive", "g", "past"), draw.script("s", "x = 1"),
        *inside, draw.gateway("exclusive", "h", "h_end2"), END, END2,
        draw.flow("start", "a"), draw.flow("a", "g"), draw.flow("g", "s", "y == 1"), draw.flow("g", "h", "", "past"),
        draw.flow("s", "h"), draw.flow("h", "end", "x == 1", "asks"), draw.flow("h", "end2"), before=before,
    )  # fmt: skip


def side_by_side(join: str) -> bytes:
    """Start, a parallel gateway `g` with two branches that meet in `join`, an activity behind it."""
    middle = draw.gateway("parallel", "join") if join == "gateway" else draw.manual_task("join")
    return draw.definitions(
        "P", START, draw.gateway("parallel", "g"), draw.script("a", "x = 1"), draw.manual_task("b"), middle,
        draw.gateway("exclusive", "h", "h_end2"), END, END2,
        draw.flow("start", "g"), draw.flow("g", "a"), draw.flow("g", "b"), draw.flow("a", "join"),
        draw.flow("b", "join"), draw.flow("join", "h"), draw.flow("h", "end", "x == 1", "asks"), draw.flow("h", "end2"),
    )  # fmt: skip


FAULTS = [
    Fault(
        "join-stuck",
        draw.definitions(
            "P", START, draw.gateway("exclusive", "g", "g_b"), draw.script("a", "x = 1"), draw.script("b", "x = 2"),
            draw.gateway("parallel", "j"), END, draw.flow("start", "g"), draw.flow("g", "a", "y == 1"),
            draw.flow("g", "b"), draw.flow("a", "j"), draw.flow("b", "j"), draw.flow("j", "end"),
        ),
        "j",
        "waits for 2 flows, but only one of them is ever taken",
        "merge alternatives with an exclusive gateway",
    ),
    Fault(
        "name-sometimes-set",
        detour(),
        "asks",
        "its condition uses x, which not every way here sets",
        "set x before the ways part, or on each of them",
    ),
    Fault(
        "fake-join",
        side_by_side("task"),
        "join",
        "runs once for each branch of g that leads to it",
        "join the branches in a gateway before it",
    ),
    Fault(
        "join-fork",
        draw.definitions(
            "P", START, draw.gateway("parallel", "g"), draw.manual_task("a"), draw.manual_task("b"),
            draw.gateway("parallel", "h"), draw.manual_task("c"), draw.manual_task("d"), draw.gateway("parallel", "i"),
            END, draw.flow("start", "g"), draw.flow("g", "a"), draw.flow("g", "b"), draw.flow("a", "h"),
            draw.flow("b", "h"), draw.flow("h", "c"), draw.flow("h", "d"), draw.flow("c", "i"), draw.flow("d", "i"),
            draw.flow("i", "end"),
        ),
        "h",
        "joins and splits in one gateway",
        "draw a gateway for each",
    ),
    Fault(
        "duplicate-flow",
        around(draw.manual_task("t"), draw.flow("t", "end", flow_id="again"), first="t"),
        "t_end",
        "leads from t to end as again does",
        "delete one of the two",
    ),
    Fault(
        "label-condition",
        choice("x == 1", "x == 2").replace(b'id="f1"', b'id="f1" name="x == 3"'),
        "f1",
        "is labelled 'x == 3', and its condition is 'x == 1'",
        "make them say the same",
    ),
    Fault(
        "gateway-direction",
        side_by_side("gateway").replace(b'id="g"', b'id="g" gatewayDirection="Converging"'),
        "g",
        "is Converging, and several flows leave it",
        "draw a gateway for each direction, or make it Mixed",
    ),
    Fault(
        "lane",
        draw.definitions("P", LANES.format(first="t", second="t"), START, draw.manual_task("t"), END,
                         draw.flow("start", "t"), draw.flow("t", "end")),
        "t",
        "stands in the lanes l1 and l2",
        "move it into one of them",
    ),
    Fault(
        "dangling-reference",
        draw.definitions("P", LANES.format(first="t", second="lost"), START, draw.manual_task("t"), END,
                         draw.flow("start", "t"), draw.flow("t", "end")),
        "l2",
        "a lane holds 'lost', which is no element of the file",
        "take it out, or save the file anew",
    ),
    Fault(
        "message-flow",
        around(draw.manual_task("t"), first="t", before=POOL.format(target="start")),
        "told",
        "leads from a process into the same process",
        "draw a sequence flow, or message events",
    ),
    Fault(
        "dangling-reference",
        around(draw.manual_task("t"), first="t", before=POOL.format(target="nobody")),
        "told",
        "targetRef points to 'nobody', which is no element of the file",
        "connect it at both ends, or delete it",
    ),
    Fault(
        "dangling-reference",
        task("<bpmn:incoming>t_end</bpmn:incoming>"),
        "t",
        "names 't_end' as incoming, which is no flow of its own",
        "save the file anew in a modeler",
    ),
    Fault(
        "caught-twice",
        draw.definitions(
            "P", START, draw.manual_task("t"), catcher("b"), catcher("b2"), END, END2, '<bpmn:endEvent id="end3" />',
            draw.flow("start", "t"), draw.flow("t", "end"), draw.flow("b", "end2"), draw.flow("b2", "end3"),
            before=ERROR,
        ),
        "b2",
        "catches the error FAILED, as b does",
        "keep one of them",
    ),
    Fault(
        "unbound-service",
        task("", 'camunda:type="external" camunda:topic="invoices"', "serviceTask"),
        "t",
        "nothing serves the topic 'invoices'",
        "write pipeline:NAME, zeebe:PROCESS, temporal:WORKFLOW, http or mail",
    ),
    Fault(
        "retry-cycle",
        extended("<camunda:failedJobRetryTimeCycle>R3/PT10M</camunda:failedJobRetryTimeCycle>"),
        "t",
        "is not tried again by itself: a failure is an incident at once",
        "nothing to do; ops retries it",
    ),
    Fault("timer-syntax", timer("timeDuration", "-PT1H"), "e",
          "its time cannot be read: '-PT1H' is not a duration like PT30M", "write a duration like PT30M"),
    Fault("timer-syntax", timer("timeCycle", "R0/PT1H"), "e",
          "its time cannot be read: 'R0/PT1H' is not a cycle like R3/PT10M", "write a cycle like R3/PT10M"),
    Fault("loop-bound", task('<bpmn:standardLoopCharacteristics loopMaximum="0" />'), "t",
          "loopMaximum is 0: it would never run", "write how many turns it may take"),
    Fault("multi-instance", loop("<bpmn:loopCardinality>1.5</bpmn:loopCardinality>"), "t",
          "its cardinality is no whole number from 0", "write how often it runs"),
    Fault("field-id", field('id="class" type="string"'), "t",
          "the field id 'class' cannot be the name of a variable",
          "use letters, digits and underscores; dots for nested data"),
    Fault("condition-syntax", choice('"red"', "x == 1"), "f1", "a text or number is no condition",
          "compare it with something"),
    Fault("condition-syntax",
          around(draw.manual_task("t"), first="t").replace(
              b'sourceRef="t" targetRef="end">', b'sourceRef="t" targetRef="end">'
          ).replace(b'<bpmn:sequenceFlow id="t_end" sourceRef="t" targetRef="end"></bpmn:sequenceFlow>',
                    b'<bpmn:sequenceFlow id="t_end" sourceRef="t" targetRef="end"><bpmn:conditionExpression />'
                    b"</bpmn:sequenceFlow>"),
          "t_end", "its condition is empty", "write it, or take the condition out"),
    Fault("script-name", script("x = rund(2.5)"), "t", "there is no function `rund`", "did you mean round?"),
    Fault("input-output",
          extended("<camunda:inputOutput><camunda:inputParameter name='a'><camunda:map><camunda:entry>1</camunda:entry>"
                   "</camunda:map></camunda:inputParameter></camunda:inputOutput>"),
          "t", "the parameter a cannot be read: an entry of its map has no key", "give each entry a key"),
]  # fmt: skip

SET_ON_EVERY_WAY = {
    "by both ways": detour(draw.script("t", "x = 2"), draw.flow("t", "h")).replace(
        b'sourceRef="g" targetRef="h"', b'sourceRef="g" targetRef="t"'
    ),
    "by one branch of a joined pair": side_by_side("gateway"),
    "by what a message brings": detour(
        '<bpmn:receiveTask id="m" messageRef="called" />', draw.flow("m", "h"), before=MESSAGE
    ).replace(b'sourceRef="g" targetRef="h"', b'sourceRef="g" targetRef="m"'),
    "by a form of the start": detour().replace(
        START.encode(), draw.start_form(draw.field("x", "long")).encode()
    ),
    "by nothing in the model": choice("colour == 1", "colour == 2"),
    "before a way back": draw.definitions(
        "P", START, draw.script("s", "x = 1"), draw.manual_task("t"), draw.gateway("exclusive", "g", "back"), END,
        draw.flow("start", "s"), draw.flow("s", "t"), draw.flow("t", "g"), draw.flow("g", "end", "x == 1", "asks"),
        draw.flow("g", "t", "", "back"),
    ),
    "inside a sub-process": draw.definitions(
        "P", START,
        f'<bpmn:subProcess id="sub"><bpmn:startEvent id="in" />{draw.script("s", "x = 1")}<bpmn:endEvent id="out" />'
        f'{draw.flow("in", "s")}{draw.flow("s", "out")}</bpmn:subProcess>',
        draw.gateway("exclusive", "h", "h_end2"), END, END2,
        draw.flow("start", "sub"), draw.flow("sub", "h"), draw.flow("h", "end", "x == 1", "asks"),
        draw.flow("h", "end2"),
    ),
}  # fmt: skip
"""Models in which every way sets what a condition asks for, or nothing in the model does."""

LEFT_EARLY = draw.definitions(
    "P", START,
    f'<bpmn:subProcess id="sub"><bpmn:startEvent id="in" />{draw.manual_task("u")}{draw.script("s", "x = 1")}'
    f'<bpmn:endEvent id="out" />{draw.flow("in", "u")}{draw.flow("u", "s")}{draw.flow("s", "out")}</bpmn:subProcess>',
    '<bpmn:boundaryEvent id="late" attachedToRef="sub"><bpmn:timerEventDefinition><bpmn:timeDuration>PT1H'
    "</bpmn:timeDuration></bpmn:timerEventDefinition></bpmn:boundaryEvent>",
    draw.gateway("exclusive", "h", "h_end2"), END, END2,
    draw.flow("start", "sub"), draw.flow("sub", "h"), draw.flow("late", "h"),
    draw.flow("h", "end", "x == 1", "asks"), draw.flow("h", "end2"),
)  # fmt: skip
"""A boundary event leaves a sub-process before the script in it has run."""
