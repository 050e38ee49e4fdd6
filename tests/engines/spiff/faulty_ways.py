"""Faulty models of the rules that look along the ways through a process, with the problem that each must give."""

from __future__ import annotations

from tests import drawing as draw
from tests.engines.spiff.faulty import END, MESSAGE, START, Fault, around, choice

END2 = '<bpmn:endEvent id="end2" />'


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
