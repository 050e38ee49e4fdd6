"""Faulty models of the rules about constructs and calls, with the problem that each must give."""

from __future__ import annotations

from tests import drawing as draw
from tests.engines.spiff.faulty import (
    END,
    ERROR,
    MESSAGE,
    START,
    Fault,
    around,
    boundary,
    event,
    event_sub,
    extended,
    loop,
    script,
    sub_process,
    task,
)

DECLARED = (
    '<bpmn:ioSpecification><bpmn:dataInput id="i" name="i" /><bpmn:inputSet>'
    "<bpmn:dataInputRefs>i</bpmn:dataInputRefs></bpmn:inputSet><bpmn:outputSet /></bpmn:ioSpecification>"
)
FAULTS = [
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
        task("", 'completionQuantity="100"'),
        "t",
        "completionQuantity is no number from 1 to 99",
        "write how many tokens",
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
        "does not say which event it tells",
        "choose a signal, message or escalation event definition of the file",
    ),
    Fault(
        "multi-instance-behavior",
        loop("<bpmn:loopCardinality>3</bpmn:loopCardinality>", 'behavior="Complex"'),
        "t",
        "has no complex behavior definition",
        "say when it tells what",
    ),
    Fault(
        "multi-instance-behavior",
        loop("<bpmn:loopCardinality>3</bpmn:loopCardinality>", 'oneBehaviorEventRef="x"'),
        "t",
        "has a oneBehaviorEventRef, and behavior is All",
        "set behavior to One, or take the reference out",
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
        script("o = i + x", inner=DECLARED),
        "t",
        "uses o, x and does not declare it",
        "declare it too, or take the whole declaration out: every variable of the instance can be used",
    ),
    Fault(
        "io-specification",
        task(DECLARED, 'calledElement="P"', "callActivity"),
        "t",
        "declares its data, which a callActivity cannot do here",
        "take the declaration out",
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
]
