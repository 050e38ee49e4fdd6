"""Draws faulty models, one per rule of the deployment checks; the modules `faulty_…` beside it hold them by family."""

from __future__ import annotations

from dataclasses import dataclass

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
