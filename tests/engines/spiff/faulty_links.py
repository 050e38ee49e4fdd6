"""Faulty models whose parts do not fit together: references, cycles, choices, results, with the problem of each."""

from __future__ import annotations

from tests import drawing as draw
from tests.engines.spiff.faulty import (
    END,
    MESSAGE,
    START,
    Fault,
    around,
    boundary,
    choice,
    extended,
    loop,
    task,
    timer,
)
from tests.engines.spiff.shapes import boundary as attached
from tests.engines.spiff.shapes import catch

UNDOES_T = (
    '<bpmn:intermediateThrowEvent id="e"><bpmn:compensateEventDefinition activityRef="t" />'
    "</bpmn:intermediateThrowEvent>"
)
COUNT = "<bpmn:loopCardinality>2</bpmn:loopCardinality>"
COLLECTING = "give it both loopDataOutputRef and outputDataItem, or neither"


def beside(outside: str) -> bytes:
    """Start, a manual task, end; *outside* stands before the process."""
    return around(draw.manual_task("t"), first="t", before=outside)


def begun(start: str) -> bytes:
    """A start event that waits for a message and a signal, a manual task, end."""
    signal = '<bpmn:signal id="sig" name="Sig" />'
    flows = (draw.flow("start", "t"), draw.flow("t", "end"))
    return draw.definitions("P", start, draw.manual_task("t"), END, *flows, before=MESSAGE + signal)


def chosen(*waiting: str, inside: str = "") -> bytes:
    """An event-based gateway `g` before *waiting*, each of which leads to the end."""
    ids = [one.split('id="', 1)[1].split('"', 1)[0] for one in waiting]
    flows = [flow for own in ids for flow in (draw.flow("g", own), draw.flow(own, "end"))]
    gateway = '<bpmn:eventBasedGateway id="g" />'
    return draw.definitions("P", START, gateway, *waiting, inside, END, draw.flow("start", "g"), *flows, before=MESSAGE)


def correlated(path: str, ref: str = "called") -> str:
    """A message and a correlation property that reads *path* from it."""
    inside = f"<bpmn:messagePath>{path}</bpmn:messagePath>"
    retrieval = f'<bpmn:correlationPropertyRetrievalExpression messageRef="{ref}">{inside}'
    return (
        f'{MESSAGE}<bpmn:correlationProperty id="order" name="order">{retrieval}'
        "</bpmn:correlationPropertyRetrievalExpression></bpmn:correlationProperty>"
    )


FAULTS = [
    Fault(
        "multi-instance",
        loop(
            "<bpmn:loopDataInputRef>x</bpmn:loopDataInputRef><bpmn:loopDataOutputRef>all.done</bpmn:loopDataOutputRef>"
            '<bpmn:outputDataItem id="o" name="o" />'
        ),
        "t",
        "'all.done' cannot be the name of a variable",
        "rename the item",
    ),
    Fault(
        "unreachable-end",
        draw.definitions("P", START, END, '<bpmn:endEvent id="lost" />', draw.flow("start", "end")),
        "lost",
        "cannot be reached from a start event",
        "draw a flow to it, or delete it",
    ),
    Fault(
        "unreachable",
        draw.definitions("P", START, draw.manual_task("t"), draw.manual_task("u"), END, draw.flow("start", "t"),
                         draw.flow("t", "u"), draw.flow("u", "t")),
        "end",
        "cannot be reached from a start event",
        "draw a flow to it, or delete it",
    ),
    Fault(
        "dangling-reference",
        beside(correlated("order", ref="lost")),
        "order",
        "messageRef points to 'lost', which is no message of the file",
        "choose one, or take the reference out",
    ),
    Fault(
        "dangling-reference",
        beside('<bpmn:message id="m" name="m" itemRef="lost" />'),
        "m",
        "itemRef points to 'lost', which is no itemDefinition of the file",
        "choose one, or take the reference out",
    ),
    Fault(
        "dangling-reference",
        task("", 'messageRef="called" operationRef="lost"', "receiveTask"),
        "t",
        "operationRef points to 'lost', which is no operation of the file",
        "choose one, or take the reference out",
    ),
    Fault(
        "several-event-definitions",
        begun('<bpmn:startEvent id="start" parallelMultiple="true"><bpmn:messageEventDefinition messageRef="called" />'
              '<bpmn:signalEventDefinition signalRef="sig" /></bpmn:startEvent>'),
        "start",
        "starts a process only after several events",
        "start with one of them, and wait for the others behind it",
    ),
    Fault(
        "expression-syntax",
        beside(correlated("order ==")),
        "order",
        "its messagePath cannot be read: it is not valid Python: invalid syntax",
        "correct the text",
    ),
    Fault(
        "compensation",
        draw.definitions("P", START, draw.manual_task("t"), UNDOES_T, END, draw.flow("start", "t"), draw.flow("t", "e"),
                         draw.flow("e", "end")),
        "e",
        "nothing undoes t",
        "give the activity a compensation boundary event and a handler",
    ),
    Fault(
        "event-gateway",
        chosen(catch("c", "message", "called"), '<bpmn:receiveTask id="r" messageRef="called" />'),
        "r",
        "waits for the same as c",
        "keep one of them",
    ),
    Fault(
        "event-gateway",
        chosen(
            catch("c", "timeDuration", "PT1H"), '<bpmn:receiveTask id="r" messageRef="called" />',
            inside=attached("b", "r", "timeDuration", "PT2H") + draw.flow("b", "end"),
        ),
        "r",
        "waits behind an event-based gateway and has boundary events",
        "draw the events behind the gateway too",
    ),
    Fault(
        "multi-instance",
        loop(f"{COUNT}<bpmn:loopDataOutputRef>found</bpmn:loopDataOutputRef>"),
        "t",
        "collects results and has not an output data item",
        COLLECTING,
    ),
    Fault(
        "multi-instance",
        loop(f'{COUNT}<bpmn:outputDataItem id="one" />'),
        "t",
        "collects results and has not a collection for its outputs",
        COLLECTING,
    ),
    Fault(
        "multi-instance",
        loop("<bpmn:loopCardinality>200000</bpmn:loopCardinality>"),
        "t",
        "runs more than 100000 times",
        "go over a collection in parts",
    ),
    Fault(
        "multi-instance",
        loop("", 'camunda:collection="${items}" camunda:elementVariable="a b"'),
        "t",
        "'a b' cannot be the name of a variable",
        "rename the item",
    ),
    Fault(
        "condition-syntax",
        choice("[x]", "x == 2"),
        "f1",
        "what it says is never false",
        "compare it with something",
    ),
    Fault(
        "condition-syntax",
        choice("(y := x)", "x == 2"),
        "f1",
        "`:=` sets a variable that is gone at once",
        "compare with ==, or set it in a script",
    ),
    Fault(
        "timer-syntax",
        timer("timeDuration", "10"),
        "e",
        "its time cannot be read: '10' is not a duration like PT30M",
        "write a duration like PT30M",
    ),
    Fault(
        "timer-syntax",
        timer("timeDuration", "p1d"),
        "e",
        "its time cannot be read: 'p1d' is not a duration like PT30M",
        "write a duration like PT30M",
    ),
    Fault(
        "timer-syntax",
        boundary("<bpmn:timerEventDefinition><bpmn:timeCycle>R/PT0S</bpmn:timeCycle></bpmn:timerEventDefinition>"),
        "b",
        "its time cannot be read: 'R/PT0S' is not a cycle like R3/PT10M",
        "write a cycle like R3/PT10M",
    ),
    Fault(
        "input-output",
        extended('<camunda:inputOutput><camunda:inputParameter name="x">1</camunda:inputParameter>'
                 '<camunda:inputParameter name="x">2</camunda:inputParameter></camunda:inputOutput>'),
        "t",
        "the parameter x stands there twice",
        "keep one of them",
    ),
    Fault(
        "input-output",
        extended('<camunda:inputOutput><camunda:parameter name="x">1</camunda:parameter></camunda:inputOutput>'),
        "t",
        "parameter is no parameter",
        "take it out",
    ),
    Fault(
        "call-mapping",
        extended('<camunda:in source="a" sourceExpression="${b}" target="c" />', 'calledElement="P"', "callActivity"),
        "t",
        "camunda:in has a source and a source expression",
        "keep one of them",
    ),
    Fault(
        "schema",
        task("<bpmn:standardLoopCharacteristics loopMaximum='2' testBefore='perhaps' />"),
        "t",
        "departs from BPMN 2.0: Element 'standardLoopCharacteristics', attribute 'testBefore': 'perhaps' is not a "
        "valid value of the atomic type 'xs:boolean'.",
        "save it from a BPMN modeler",
    ),
]  # fmt: skip
