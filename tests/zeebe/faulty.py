"""One faulty drawing per rule about files for Zeebe, with the words that its modeler is to read."""

from __future__ import annotations

from dataclasses import dataclass

from tests.zeebe.conftest import drawn, wrapped

SERVICE = '<bpmn:extensionElements><zeebe:taskDefinition type="work" /></bpmn:extensionElements>'
ENDS = '<bpmn:startEvent id="s" /><bpmn:endEvent id="e" />'


@dataclass(frozen=True)
class Fault:
    rule: str
    xml: bytes
    element: str
    message: str
    fix: str


def around(node: str, flows: str = "") -> bytes:
    """A start, *node* with the id `t`, an end."""
    lines = '<bpmn:sequenceFlow id="f1" sourceRef="s" targetRef="t" />'
    lines += '<bpmn:sequenceFlow id="f2" sourceRef="t" targetRef="e" />'
    return wrapped("P", ENDS + node + lines + flows)


def service(inside: str = SERVICE, kind: str = "serviceTask", more: str = "") -> str:
    return f'<bpmn:{kind} id="t" {more}>{inside}</bpmn:{kind}>'


def choice(default: str, condition: str) -> bytes:
    node = f'<bpmn:exclusiveGateway id="t" {default} />'
    text = f'<bpmn:conditionExpression xsi:type="bpmn:tFormalExpression">{condition}</bpmn:conditionExpression>'
    other = '<bpmn:endEvent id="e2" />'
    other += f'<bpmn:sequenceFlow id="f3" sourceRef="t" targetRef="e2">{text if condition else ""}</bpmn:sequenceFlow>'
    whole = around(node, other)
    first = '<bpmn:sequenceFlow id="f2" sourceRef="t" targetRef="e" />'
    conditioned = f'<bpmn:sequenceFlow id="f2" sourceRef="t" targetRef="e">{text}</bpmn:sequenceFlow>'
    return whole if default else whole.replace(first.encode(), conditioned.encode())


FAULTS = (
    Fault(
        "feel-equals", choice('default="f2"', "x &gt; 1"), "f3",
        "a condition is 'x > 1', which is no FEEL expression", "begin it with =",
    ),
    Fault(
        "feel-equals",
        around(service(SERVICE.replace("</bpmn:ext", '<zeebe:ioMapping><zeebe:input source="data" target="records" />'
                                       "</zeebe:ioMapping></bpmn:ext"))), "t",
        "an input mapping is 'data', which is no FEEL expression", "begin it with =",
    ),
    Fault(
        "zeebe-construct", around(service(SERVICE + "<bpmn:standardLoopCharacteristics />")), "t",
        "Zeebe would run this loop only once", "draw the loop with a gateway, or use a multi-instance activity",
    ),
    Fault(
        "zeebe-construct", around('<bpmn:complexGateway id="t" />'), "t",
        "Zeebe 8.5 does not run a complexGateway", "draw inclusive and parallel gateways",
    ),
    Fault(
        "zeebe-construct",
        around('<bpmn:inclusiveGateway id="t" />', '<bpmn:sequenceFlow id="f3" sourceRef="s" targetRef="t" />'), "t",
        "Zeebe 8.5 cannot join with an inclusive gateway",
        "join with an exclusive gateway, or fork and join with parallel ones",
    ),
    Fault(
        "zeebe-construct", around(service(more='completionQuantity="2"')), "t",
        "Zeebe takes one token and gives one", "use gateways",
    ),
    Fault(
        "zeebe-construct",
        around('<bpmn:intermediateCatchEvent id="t"><bpmn:conditionalEventDefinition id="c"><bpmn:condition>=x'
               "</bpmn:condition></bpmn:conditionalEventDefinition></bpmn:intermediateCatchEvent>"), "t",
        "Zeebe 8.5 knows no conditional event", "use a gateway or a signal",
    ),
    Fault(
        "zeebe-extension",
        around(service(SERVICE.replace("</bpmn:ext", '<zeebe:executionListeners><zeebe:executionListener type="x" />'
                                       "</zeebe:executionListeners></bpmn:ext"))), "t",
        "zeebe:executionListeners is unknown to Zeebe 8.5, which ignores it", "take it out",
    ),
    Fault(
        "zeebe-retries", around(service(SERVICE.replace(" />", ' retries="0" />'))), "t",
        "retries is '0'", "a whole number from 1 to 100",
    ),
    Fault(
        "unbound-service", around(service("")), "t",
        "names no job type, so no worker can do it", "give it a job type",
    ),
    Fault(
        "condition-missing", choice('default="f2"', ""), "f3",
        "leaves a gateway without a condition and is not its default",
        "write a condition, or mark the flow as default",
    ),
    Fault(
        "gateway-default", choice("", "=x"), "t",
        "has no default flow: where no condition is true, Zeebe stops there", "mark one flow as default",
    ),
    Fault(
        "platform-version", drawn("P", "work").replace(b'"8.5.0"', b'"8.7.0"'), "d",
        "is drawn for Zeebe 8.7.0, and 8.5 runs it",
        "set the platform to 8.5 in the modeler, which then shows what is not there yet",
    ),
    Fault(
        "user-task", around('<bpmn:userTask id="t" />'), "t",
        "a user task on Zeebe does not come into the inbox of DAMS",
        "draw it in a Camunda 7 file; here io.camunda.zeebe:userTask is a job type",
    ),
    Fault(
        "zeebe-start",
        around(service()).replace(b'<bpmn:startEvent id="s" />', b'<bpmn:startEvent id="s"><bpmn:timerEventDefinition'
                                  b' id="c"><bpmn:timeDate>2027-01-01T00:00:00Z</bpmn:timeDate>'
                                  b"</bpmn:timerEventDefinition></bpmn:startEvent>"), "P",
        "has no plain start event, so only messages and timers start it",
        "draw one if people or other processes shall start it",
    ),
    Fault(
        "duplicate-id", drawn("dams-run", "work"), "dams-run",
        "the id dams-run belongs to DAMS itself", "choose another id",
    ),
)  # fmt: skip
