"""Faulty models of the rules about the drawing, its flows and its texts, with the problem that each must give."""

from __future__ import annotations

from tests import drawing as draw
from tests.engines.spiff.faulty import (
    END,
    INNER,
    MESSAGE,
    START,
    Fault,
    around,
    boundary,
    choice,
    parameters,
    script,
    sub_process,
    task,
    timer,
)

FAULTS = [
    # whole drawing
    Fault(
        "no-executable-process",
        draw.definitions("P", START, END, draw.flow("start", "end")).replace(b'isExecutable="true"', b""),
        "P",
        "no process of the file is executable",
        "tick Executable in the modeler, or set isExecutable to true",
    ),
    Fault(
        "process-skipped",
        around(draw.manual_task("t"), first="t").replace(
            b"</bpmn:definitions>", b'<bpmn:process id="Q"><bpmn:task id="q" /></bpmn:process></bpmn:definitions>'
        ),
        "Q",
        "is not executable and is left out",
        "tick Executable if it is meant to run",
    ),
    Fault(
        "missing-id", around("<bpmn:userTask />", draw.manual_task("t"), first="t"), "", "has no id", "give it an id"
    ),
    Fault(
        "missing-id",
        draw.sequence("P", draw.manual_task("t"), before='<bpmn:signal name="closing" />'),
        "",
        "has no id",
        "give it an id",
    ),
    Fault(
        "duplicate-id",
        around(draw.manual_task("t"), draw.script("t", "x = 1"), first="t"),
        "t",
        "the id t is used twice",
        "line 5 has the same id; change one of them",
    ),
    Fault(
        "no-start-event",
        draw.definitions("P", draw.manual_task("t"), END, draw.flow("t", "end")),
        "P",
        "has no start event",
        "draw one, and a flow from it",
    ),
    Fault(
        "no-end-event",
        draw.definitions("P", START, draw.manual_task("t"), draw.flow("start", "t")),
        "P",
        "has no end event and would never complete",
        "draw one where the flow ends",
    ),
    Fault(
        "several-start-events",
        draw.definitions(
            "P", START, '<bpmn:startEvent id="start2" />', END, draw.flow("start", "end"), draw.flow("start2", "end")
        ),
        "P",
        "has several start events of one kind",
        "keep one without an event, or draw two processes",
    ),
    Fault(
        "sub-process-start",
        sub_process(
            '<bpmn:startEvent id="s1"><bpmn:messageEventDefinition messageRef="called" /></bpmn:startEvent>'
            '<bpmn:endEvent id="s2" />' + draw.flow("s1", "s2")
        ),
        "s1",
        "a sub-process cannot start with an event of its own",
        "start a sub-process with a plain start event, and wait for the event behind it",
    ),
    Fault(
        "end-event-flow",
        draw.definitions(
            "P",
            START,
            END,
            draw.manual_task("t"),
            draw.flow("start", "end"),
            draw.flow("end", "t"),
            draw.flow("t", "end"),
        ),
        "end",
        "has a flow that leaves it",
        "end there, or use another event",
    ),
    Fault(
        "dead-end",
        draw.definitions(
            "P",
            START,
            draw.gateway("parallel", "g"),
            draw.manual_task("t"),
            END,
            draw.flow("start", "g"),
            draw.flow("g", "t"),
            draw.flow("g", "end"),
        ),
        "t",
        "has no way out",
        "draw a flow on, or to an end event",
    ),
    Fault(
        "dangling-reference",
        draw.definitions("P", START, END, draw.flow("start", "end"), draw.flow("start", "gone")),
        "start_gone",
        "targetRef points to 'gone', which is no element of the file",
        "connect the flow at both ends",
    ),
    Fault(
        "flow-crossing",
        draw.definitions(
            "P",
            START,
            f'<bpmn:subProcess id="sub">{INNER}</bpmn:subProcess>',
            END,
            draw.flow("start", "sub"),
            draw.flow("sub", "end"),
            draw.flow("s1", "end", flow_id="out"),
        ),
        "out",
        "crosses the border of a process or sub-process",
        "end inside the sub-process and go on behind it",
    ),
    Fault(
        "message-name",
        around('<bpmn:receiveTask id="t" messageRef="m" />', first="t", before='<bpmn:message id="m" />'),
        "m",
        "this message has no name",
        "name it; it is matched by its name",
    ),
    Fault(
        "attached-to",
        boundary(
            "<bpmn:timerEventDefinition><bpmn:timeDuration>PT1H</bpmn:timeDuration></bpmn:timerEventDefinition>",
            host="end",
        ),
        "b",
        "is not attached to an activity beside it",
        "move it to an activity",
    ),
    Fault(
        "unreachable",
        around(draw.manual_task("t"), draw.manual_task("island"), draw.flow("island", "end"), first="t"),
        "island",
        "cannot be reached from a start event",
        "draw a flow to it, or delete it",
    ),
    Fault(
        "loop-without-wait",
        draw.definitions(
            "P",
            START,
            draw.gateway("exclusive", "a"),
            draw.script("s", "x = 1"),
            draw.gateway("exclusive", "b"),
            END,
            draw.flow("start", "a"),
            draw.flow("a", "s"),
            draw.flow("s", "b"),
            draw.flow("b", "a", "x &lt; 9".replace("&lt;", "<")),
            draw.flow("b", "end", "x > 8"),
        ),
        "a",
        "a loop in which nothing waits: a, s, b",
        "let a task, event or timer in the loop wait, or make sure that it ends",
    ),
    # flows
    Fault(
        "condition-missing",
        choice("x == 1", ""),
        "f2",
        "leaves g without a condition and is not its default",
        "write a condition, or mark the flow as default",
    ),
    Fault(
        "condition-syntax",
        choice("x = = 1", "x == 1"),
        "f1",
        "it is not valid Python: invalid syntax",
        "correct the text",
    ),
    Fault(
        "condition-ignored",
        choice("x == 1", "", kind="parallel"),
        "f1",
        "its condition means nothing behind a parallelGateway",
        "take the condition out, or use an exclusive or inclusive gateway",
    ),
    Fault(
        "default-flow",
        choice("x == 1", "x == 2", default="f2"),
        "f2",
        "is the default flow and has a condition, which is never asked",
        "take the condition or the default mark out",
    ),
    Fault(
        "event-gateway",
        draw.definitions(
            "P",
            START,
            '<bpmn:eventBasedGateway id="g" />',
            draw.manual_task("t"),
            END,
            '<bpmn:receiveTask id="r" messageRef="called" />',
            draw.flow("start", "g"),
            draw.flow("g", "t", flow_id="f"),
            draw.flow("g", "r"),
            draw.flow("t", "end"),
            draw.flow("r", "end"),
            before=MESSAGE,
        ),
        "f",
        "does not lead to an event that only this gateway waits for",
        "lead it to a message, timer, signal or conditional catch event of its own",
    ),
    Fault(
        "name-never-set",
        choice("colour == 1", "x == 1"),
        "f1",
        "its condition uses colour, which no form or script of the model sets",
        "pass colour with the start or a message, or correct the name",
    ),
    # texts
    Fault("script-missing", task("", kind="scriptTask"), "t", "has no script", "add one, or make it a manual task"),
    Fault("script-syntax", script("if x\n  y = 1"), "t", "it is not valid Python: expected ':'", "correct the text"),
    Fault(
        "script-import",
        script("import os"),
        "t",
        "`os` cannot be imported in a model",
        "only datetime, decimal, json, math, re can; reach other systems with a service task",
    ),
    Fault(
        "script-name",
        script("x = open('a')"),
        "t",
        "`open` cannot be used in a model",
        "use the instance's variables only",
    ),
    Fault(
        "script-format",
        script("x = 7 / 2", 'scriptFormat="groovy"'),
        "t",
        "its script is groovy, which is not run",
        "write it in Python",
    ),
    Fault(
        "expression-syntax",
        task(
            "<bpmn:standardLoopCharacteristics><bpmn:loopCondition>x &lt;</bpmn:loopCondition>"
            "</bpmn:standardLoopCharacteristics>"
        ),
        "t",
        "it is not valid Python: invalid syntax",
        "correct the text",
    ),
    Fault(
        "expression-dialect",
        choice("Hello ${x}", "x == 1"),
        "f1",
        "text mixed with `${…}` is not an expression",
        "put the whole of it inside one `${…}`",
    ),
    Fault(
        "timer-syntax",
        timer("timeDuration", "P1X"),
        "e",
        "its time cannot be read: 'P1X' is not a duration like PT30M",
        "write a duration like PT30M",
    ),
    Fault(
        "input-output",
        task(
            parameters('<camunda:inputParameter name="x"><camunda:script>1</camunda:script></camunda:inputParameter>')
        ),
        "t",
        "the parameter x cannot be read: it holds a script",
        "set the variable in a script task beside it",
    ),
    Fault(
        "output-missing",
        script("x = 1", inner=parameters('<camunda:outputParameter name="proceed" />')),
        "t",
        "the script never sets its declared output proceed",
        "set proceed in the script",
    ),
    Fault(
        "declared-output",
        script("x = 1", inner=parameters('<camunda:outputParameter name="x" />')),
        "t",
        "the script must set x: it is an incident if it does not",
        "nothing to do",
    ),
    Fault(
        "result-variable",
        script("1 + 1", 'camunda:resultVariable="two"'),
        "t",
        "two takes the value of the script's last line",
        "nothing to do",
    ),
]
