"""One faulty model per rule of the deployment checks, with the problem it must give, word for word."""

from __future__ import annotations

from dataclasses import dataclass

from app.engines.spiff.elements import EFFECTS
from tests import drawing as draw

START, END = '<bpmn:startEvent id="start" />', '<bpmn:endEvent id="end" />'
MESSAGE = '<bpmn:message id="called" name="Called" />'
ERROR = '<bpmn:error id="failed" name="Failed" errorCode="FAILED" />'


@dataclass(frozen=True)
class Fault:
    """A file, and the problem: its rule, the element at fault, what is wrong, what to do."""

    rule: str
    xml: bytes
    element: str
    message: str
    fix: str


def around(*inside: str, first: str, before: str = "") -> bytes:
    """Start, the element `first`, end, and `inside` beside them."""
    flows = (draw.flow("start", first), draw.flow(first, "end"))
    return draw.definitions("P", START, *inside, END, *flows, before=before)


def task(inner: str = "", attributes: str = "", kind: str = "userTask") -> bytes:
    """Start, one activity `t` with something in it, end."""
    return around(f'<bpmn:{kind} id="t" {attributes}>{inner}</bpmn:{kind}>', first="t", before=MESSAGE + ERROR)


def extended(inner: str, attributes: str = "", kind: str = "userTask") -> bytes:
    return task(f"<bpmn:extensionElements>{inner}</bpmn:extensionElements>", attributes, kind)


def field(attributes: str, inner: str = "") -> bytes:
    return extended(f"<camunda:formData><camunda:formField {attributes}>{inner}</camunda:formField></camunda:formData>")


def looked_up(*parameters: tuple[str, str], lookup: str) -> str:
    """The properties of a field with a look-up."""
    rows = [f'<camunda:property id="{key}" value="{value}" />' for key, value in (("lookup", lookup), *parameters)]
    return f"<camunda:properties>{''.join(rows)}</camunda:properties>"


def rule(name: str, config: str) -> str:
    constraint = f'<camunda:constraint name="{name}" config="{config}" />'
    return f"<camunda:validation>{constraint}</camunda:validation>"


def event(kind: str, definition: str, attributes: str = "", inner: str = "", before: str = "") -> bytes:
    """Start, an intermediate event `e`, end."""
    inside = f"<bpmn:{definition}EventDefinition {attributes}>{inner}</bpmn:{definition}EventDefinition>"
    return around(f'<bpmn:{kind} id="e">{inside}</bpmn:{kind}>', first="e", before=before)


def timer(slot: str, text: str) -> bytes:
    return event("intermediateCatchEvent", "timer", inner=f"<bpmn:{slot}>{text}</bpmn:{slot}>")


def boundary(definition: str, attributes: str = "", host: str = "t", before: str = "") -> bytes:
    """Start, a user task `t` with a boundary event `b`, end."""
    attached = f'<bpmn:boundaryEvent id="b" attachedToRef="{host}" {attributes}>{definition}</bpmn:boundaryEvent>'
    return draw.definitions(
        "P", START, '<bpmn:userTask id="t" />', attached, END, '<bpmn:endEvent id="end2" />', draw.flow("start", "t"),
        draw.flow("t", "end"), draw.flow("b", "end2"), before=before,
    )  # fmt: skip


def choice(first: str, second: str, default: str = "", kind: str = "exclusive") -> bytes:
    """Start, a script that sets x, a gateway `g` with two conditions ("" for none), two ends."""
    return draw.definitions(
        "P", START, draw.script("s", "x = 1"), draw.gateway(kind, "g", default), END, '<bpmn:endEvent id="end2" />',
        draw.flow("start", "s"), draw.flow("s", "g"), draw.flow("g", "end", first, "f1"),
        draw.flow("g", "end2", second, "f2"),
    )  # fmt: skip


def script(source: str, attributes: str = "", inner: str = "") -> bytes:
    return task(f"{inner}<bpmn:script>{source}</bpmn:script>", attributes, "scriptTask")


def sub_process(inside: str, attributes: str = "", kind: str = "subProcess") -> bytes:
    return task(inside, attributes, kind)


def loop(inner: str, attributes: str = "") -> bytes:
    return task(f"<bpmn:multiInstanceLoopCharacteristics {attributes}>{inner}</bpmn:multiInstanceLoopCharacteristics>")


def parameters(inner: str) -> str:
    return f"<bpmn:extensionElements><camunda:inputOutput>{inner}</camunda:inputOutput></bpmn:extensionElements>"


def event_sub(definition: str, *beside: str) -> bytes:
    """Start, a manual task, end, and an event sub-process `sub` that starts with `s1`."""
    return around(
        draw.manual_task("t"),
        f'<bpmn:subProcess id="sub" triggeredByEvent="true"><bpmn:startEvent id="s1">{definition}</bpmn:startEvent>'
        f'<bpmn:endEvent id="s2" />{draw.flow("s1", "s2")}</bpmn:subProcess>',
        *beside,
        first="t",
        before=MESSAGE,
    )


INNER = '<bpmn:startEvent id="s1" /><bpmn:endEvent id="s2" />' + draw.flow("s1", "s2")

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
    # constructs
    Fault(
        "complex-gateway",
        draw.definitions(
            "P",
            START,
            draw.gateway("parallel", "f"),
            '<bpmn:complexGateway id="g"><bpmn:activationCondition>x</bpmn:activationCondition></bpmn:complexGateway>',
            END,
            draw.flow("start", "f"),
            draw.flow("f", "g", flow_id="one"),
            draw.flow("f", "g", flow_id="two"),
            draw.flow("g", "end"),
        ),
        "g",
        "does not say how many of its flows it waits for",
        "write activationCount >= 2, or another number up to that of its flows",
    ),
    Fault(
        "ad-hoc",
        sub_process('<bpmn:receiveTask id="a" messageRef="called" />', 'ordering="Sequential"', kind="adHocSubProcess"),
        "a",
        "takes time in a sub-process that does one activity at a time",
        "set the ordering to parallel, or keep to tasks without flows and events",
    ),
    Fault(
        "decision-missing",
        task("", 'camunda:decisionRef="fee" camunda:resultVariable="x"', "businessRuleTask"),
        "t",
        "names the decision 'fee', which this deployment does not hold",
        "deploy the .dmn file together with the process",
    ),
    Fault(
        "unbound-service",
        task("", "", "businessRuleTask"),
        "t",
        "names no decision",
        "choose a decision of a .dmn file, and deploy both",
    ),
    Fault(
        "unbound-service",
        task("", 'camunda:class="com.Foo"', "serviceTask"),
        "t",
        "no program takes this service task",
        "give it the type external and a topic, or make it a script or user task",
    ),
    Fault(
        "job-inputs",
        task("", 'camunda:type="external" camunda:topic="temporal:AttendVisitWorkflow"', "serviceTask"),
        "t",
        "AttendVisitWorkflow needs the input ticketid",
        "add it",
    ),
    Fault(
        "link-event",
        event("intermediateThrowEvent", "link", 'name="x"'),
        "e",
        "the link 'x' has no link catch event in its scope",
        "draw one catch event of the same link name in the same process or sub-process",
    ),
    Fault(
        "compensation",
        around('<bpmn:manualTask id="h" isForCompensation="true" />', draw.manual_task("t"), first="t"),
        "h",
        "no compensation boundary event leads to this handler",
        "draw an association from the boundary event to it",
    ),
    Fault(
        "compensation",
        boundary("<bpmn:compensateEventDefinition />"),
        "b",
        "a compensation boundary event has a flow that leaves it",
        "lead to its handler by an association",
    ),
    Fault(
        "compensation",
        event("intermediateThrowEvent", "compensate", 'waitForCompletion="false"'),
        "e",
        "goes on before the undoing is done",
        "set waitForCompletion to true",
    ),
    Fault(
        "event-sub-process",
        event_sub(""),
        "s1",
        "starts an event sub-process and does not say by which event",
        "give it a message, timer, signal, error, escalation, condition or compensation",
    ),
    Fault(
        "event-sub-process",
        event_sub('<bpmn:messageEventDefinition messageRef="called" />', draw.flow("sub", "end")),
        "sub",
        "an event sub-process has sequence flows",
        "take the flows away: it is its event that starts it",
    ),
    Fault(
        "event-definition-ref",
        around(
            '<bpmn:intermediateCatchEvent id="e"><bpmn:eventDefinitionRef>d'
            "</bpmn:eventDefinitionRef></bpmn:intermediateCatchEvent>",
            first="e",
        ),
        "e",
        "refers to 'd', which is no event definition of the file",
        "put the definition into the event",
    ),
    Fault(
        "several-event-definitions",
        draw.definitions(
            "P",
            START,
            '<bpmn:endEvent id="end"><bpmn:messageEventDefinition messageRef="called" />'
            "<bpmn:terminateEventDefinition /></bpmn:endEvent>",
            draw.flow("start", "end"),
            before=MESSAGE,
        ),
        "end",
        "has several event definitions",
        "use one event for each",
    ),
    Fault(
        "start-event-type",
        draw.definitions(
            "P",
            '<bpmn:startEvent id="start"><bpmn:conditionalEventDefinition><bpmn:condition>'
            "True</bpmn:condition></bpmn:conditionalEventDefinition></bpmn:startEvent>",
            END,
            draw.flow("start", "end"),
        ),
        "start",
        "a conditional does not start processes here",
        "start it by the API or a schedule, with a plain start event",
    ),
    Fault(
        "instantiate",
        task("", 'messageRef="called" instantiate="true"', "receiveTask"),
        "t",
        "starts instances, but is not where a process begins",
        "take instantiate out, or let the process begin with it",
    ),
    Fault(
        "event-definition-missing",
        around('<bpmn:intermediateCatchEvent id="e" />', first="e"),
        "e",
        "does not say what it waits for",
        "give it a message, timer or signal",
    ),
    Fault(
        "event-position",
        event("intermediateThrowEvent", "timer", inner="<bpmn:timeDuration>PT1H</bpmn:timeDuration>"),
        "e",
        "a timer definition has no meaning in a intermediateThrowEvent",
        "use another kind of event",
    ),
    Fault(
        "token-quantity",
        task("", 'completionQuantity="2"'),
        "t",
        "completionQuantity is not 1",
        "draw gateways or a loop",
    ),
    Fault(
        "multi-instance",
        loop(""),
        "t",
        "does not say how often it runs, or says it twice",
        "give it a cardinality or a collection",
    ),
    Fault(
        "multi-instance-behavior",
        loop("<bpmn:loopCardinality>3</bpmn:loopCardinality>", 'behavior="None"'),
        "t",
        "behavior is 'None'",
        "leave it at All, and throw the event from the task itself",
    ),
    Fault(
        "loop-bound",
        task("<bpmn:standardLoopCharacteristics />"),
        "t",
        "loops without a condition or maximum",
        "give it one of them",
    ),
    Fault(
        "unsupported-element",
        around(
            draw.manual_task("t"),
            '<bpmn:choreographyTask id="c" initiatingParticipantRef="a">'
            "<bpmn:participantRef>a</bpmn:participantRef><bpmn:participantRef>b</bpmn:participantRef></bpmn:choreographyTask>",
            first="t",
        ),
        "c",
        "choreographies are not run",
        "draw a process",
    ),
    Fault(
        "io-specification",
        task(
            '<bpmn:ioSpecification><bpmn:dataInput id="i" name="i" /><bpmn:inputSet>'
            "<bpmn:dataInputRefs>i</bpmn:dataInputRefs></bpmn:inputSet><bpmn:outputSet /></bpmn:ioSpecification>"
        ),
        "t",
        "its declared data would hide all other variables",
        "take the declaration out: every variable of the instance can be used",
    ),
    Fault(
        "data-store-drawn",
        around(draw.manual_task("t"), '<bpmn:dataStoreReference id="d" name="Files" />', first="t"),
        "d",
        "is a drawing only: nothing is stored there",
        "nothing to do",
    ),
    Fault(
        "data-store",
        around(draw.manual_task("t"), '<bpmn:dataStoreReference id="d" name="Files" />', first="t").replace(
            b'xmlns:camunda="http://camunda.org/schema/1.0/bpmn"', b""
        ),
        "d",
        "data stores are not run",
        "use variables, or data objects",
    ),
    Fault(
        "error-code",
        draw.definitions(
            "P",
            START,
            '<bpmn:endEvent id="end"><bpmn:errorEventDefinition /></bpmn:endEvent>',
            draw.flow("start", "end"),
        ),
        "end",
        "throws an error without a code",
        "choose an error that has a code",
    ),
    Fault(
        "error-uncaught",
        draw.definitions(
            "P",
            START,
            '<bpmn:endEvent id="end"><bpmn:errorEventDefinition errorRef="failed" /></bpmn:endEvent>',
            draw.flow("start", "end"),
            before=ERROR,
        ),
        "end",
        "nothing around it catches FAILED: unless caught by the caller, or it becomes an incident",
        "attach an error boundary event to the sub-process around it",
    ),
    # calls
    Fault(
        "called-element",
        task("", 'calledElement="Nowhere"', "callActivity"),
        "t",
        "calls 'Nowhere', which is no executable process of this deployment",
        "deploy both files together",
    ),
    Fault(
        "recursive-call",
        task("", 'calledElement="P"', "callActivity"),
        "P",
        "calls itself, directly or through another process",
        "make sure that the calls end",
    ),
    Fault(
        "call-data",
        task("", 'calledElement="P"', "callActivity"),
        "t",
        "the called process sees and changes all variables",
        "nothing to do",
    ),
    Fault(
        "call-mapping",
        extended('<camunda:in source="a" />', 'calledElement="P"', "callActivity"),
        "t",
        "camunda:in does not say which variable becomes which",
        'write source and target, or variables="all"',
    ),
    # Camunda
    Fault(
        "camunda-listener",
        extended('<camunda:taskListener event="create" class="com.Foo" />'),
        "t",
        "a taskListener cannot run here",
        "draw a script task before or behind it",
    ),
    Fault(
        "camunda-code",
        task("", 'camunda:delegateExpression="${foo}"', "manualTask"),
        "t",
        "camunda:delegateExpression cannot run here",
        "use a script or user task",
    ),
    Fault(
        "camunda-extension",
        extended("<camunda:connector />"),
        "t",
        "camunda:connector is not honoured",
        "take it out, or draw what it does",
    ),
    Fault(
        "camunda-assignment",
        task("", 'camunda:assignee="ana, ${starter}"'),
        "t",
        "camunda:assignee names several people",
        "use candidateUsers",
    ),
    Fault(
        "due-date",
        task("", 'camunda:dueDate="tomorrow"'),
        "t",
        "camunda:dueDate 'tomorrow' is no time",
        "write a duration like P2D, counted from the task's start, or a date",
    ),
    Fault(
        "priority",
        task("", 'camunda:priority="high"'),
        "t",
        "camunda:priority is 'high'",
        "write a whole number from 0 to 1000",
    ),
    Fault(
        "form-key",
        task("", 'camunda:formKey="embedded:x.html"'),
        "t",
        "a form by formKey is not shown",
        "list its fields as form data",
    ),
    Fault(
        "initiator",
        around(draw.manual_task("t"), first="t").replace(
            b'<bpmn:startEvent id="start"', b'<bpmn:startEvent id="start" camunda:initiator="who is it"'
        ),
        "start",
        "'who is it' cannot be the name of a variable",
        "rename the initiator",
    ),
    Fault(
        "start-form",
        around(draw.manual_task("t"), first="t").replace(
            b'<bpmn:startEvent id="start" />',
            b'<bpmn:startEvent id="start"><bpmn:extensionElements><camunda:formData><camunda:formField id="doctor" '
            b'type="string"><camunda:properties><camunda:property id="lookup" value="doctors" /></camunda:properties>'
            b"</camunda:formField></camunda:formData></bpmn:extensionElements></bpmn:startEvent>",
        ),
        "start",
        "a start has no look-ups",
        "ask for it in a first user task",
    ),
    # forms
    Fault("field-untyped", field('id="a"'), "t", "field a: has no type and is taken as text", "give it a type"),
    Fault(
        "field-type",
        field('id="a" type="file"'),
        "t",
        "field a: the type 'file' is not known",
        "use one of string, long, double, money, boolean, date, enum",
    ),
    Fault(
        "field-id",
        field('id="first-name" type="string"'),
        "t",
        "the field id 'first-name' cannot be the name of a variable",
        "use letters, digits and underscores; dots for nested data",
    ),
    Fault(
        "field-options",
        field('id="a" type="enum"'),
        "t",
        "field a: an enum needs values with ids",
        "add camunda:value elements",
    ),
    Fault(
        "field-default",
        field('id="a" type="long" defaultValue="x"'),
        "t",
        "field a: its default 'x' does not fit the field: Enter a whole number.",
        "correct it",
    ),
    Fault(
        "field-constraint",
        field('id="a" type="long"', rule("min", "x")),
        "t",
        "field a: min is 'x', which is no number",
        "write a number",
    ),
    Fault(
        "lookup-unknown",
        field('id="a" type="string"', looked_up(lookup="nurses")),
        "t",
        "field a: there is no look-up 'nurses'",
        "use one of specializations, doctors, free_days, free_times, patients, appointments, diagnoses, payments, "
        "requests, administrators, users, groups",
    ),
    Fault(
        "lookup-parameter",
        field('id="a" type="enum"', looked_up(("lookup.city", "town"), lookup="doctors")),
        "t",
        "field a: the look-up doctors takes no 'city'",
        "use specialization",
    ),
    Fault(
        "lookup-parameter",
        field('id="a" type="date"', looked_up(lookup="free_days")),
        "t",
        "field a: the look-up free_days needs 'docid'",
        "add the property lookup.docid with the name of a variable",
    ),
    Fault(
        "lookup-parameter",
        field('id="a" type="enum"', looked_up(("lookup.specialization", "a b"), lookup="doctors")),
        "t",
        "field a: specialization is 'a b', which is neither a variable nor a text",
        "write a variable's name, or a text in single quotes",
    ),
    Fault(
        "lookup-parameter",
        field('id="a" type="boolean"', looked_up(lookup="doctors")),
        "t",
        "field a: a look-up has no meaning for the type boolean",
        "use one of string, long, date, enum",
    ),
    Fault(
        "effect-unknown",
        extended('<camunda:properties><camunda:property name="effect" value="pay" /></camunda:properties>'),
        "t",
        "there is no effect 'pay'",
        f"use one of {', '.join(EFFECTS)}",
    ),
]
