"""More elements for drawn test models: boundary events, sub-processes, loops, events."""

from __future__ import annotations

from html import escape

from tests.drawing import flow

START, END = '<bpmn:startEvent id="start" />', '<bpmn:endEvent id="end" />'
_DEFINITIONS = {
    "message": '<bpmn:messageEventDefinition messageRef="{}" />',
    "signal": '<bpmn:signalEventDefinition signalRef="{}" />',
    "error": '<bpmn:errorEventDefinition errorRef="{}" />',
    "escalation": '<bpmn:escalationEventDefinition escalationRef="{}" />',
    "terminate": "<bpmn:terminateEventDefinition />",
}


def definition(kind: str, what: str) -> str:
    """What an event is about: ``timeDuration``, ``timeDate``, ``timeCycle`` with a text, or a kind with a reference."""
    if kind.startswith("time"):
        inner = f'<bpmn:{kind} xsi:type="bpmn:tFormalExpression">{escape(what)}</bpmn:{kind}>'
        return f"<bpmn:timerEventDefinition>{inner}</bpmn:timerEventDefinition>"
    return _DEFINITIONS[kind].format(what)


def event(tag: str, event_id: str, kind: str = "", what: str = "", attributes: str = "") -> str:
    inner = definition(kind, what) if kind else ""
    return f'<bpmn:{tag} id="{event_id}" name="{event_id}" {attributes}>{inner}</bpmn:{tag}>'


def boundary(event_id: str, host: str, kind: str, what: str = "", *, interrupts: bool = True) -> str:
    cancel = "" if interrupts else ' cancelActivity="false"'
    return event("boundaryEvent", event_id, kind, what, f'attachedToRef="{host}"{cancel}')


def catch(event_id: str, kind: str, what: str) -> str:
    return event("intermediateCatchEvent", event_id, kind, what)


def throw(event_id: str, kind: str, what: str) -> str:
    return event("intermediateThrowEvent", event_id, kind, what)


def sub_process(sub_id: str, *inside: str, tag: str = "subProcess") -> str:
    """With start event ``<id>.start`` and end event ``<id>.end``; *inside* holds the rest and the flows."""
    ends = f'<bpmn:startEvent id="{sub_id}.start" /><bpmn:endEvent id="{sub_id}.end" />'
    return f'<bpmn:{tag} id="{sub_id}" name="{sub_id}">{ends}{"".join(inside)}</bpmn:{tag}>'


def around(sub_id: str, first: str, last: str) -> str:
    """The flows from a sub-process's start and to its end."""
    return flow(f"{sub_id}.start", first) + flow(last, f"{sub_id}.end")


def call(call_id: str, called: str, loop: str = "") -> str:
    return f'<bpmn:callActivity id="{call_id}" name="{call_id}" calledElement="{called}">{loop}</bpmn:callActivity>'


def with_loop(element: str, loop: str) -> str:
    """An element with loop characteristics inside."""
    if element.endswith("/>"):
        tag = element[1:].split(" ", 1)[0]
        return f"{element[:-2]}>{loop}</{tag}>"
    if element.startswith(("<bpmn:subProcess", "<bpmn:transaction")):
        head, rest = element.split(">", 1)
        return f"{head}>{loop}{rest}"
    head, closing = element.rsplit("</", 1)
    if "<bpmn:script>" in head:  # the standard wants loop characteristics before the script
        before, after = head.split("<bpmn:script>", 1)
        return f"{before}{loop}<bpmn:script>{after}</{closing}"
    return f"{head}{loop}</{closing}"


def standard_loop(condition: str = "", maximum: int | None = None, *, before: bool = False) -> str:
    inner = (
        f'<bpmn:loopCondition xsi:type="bpmn:tFormalExpression">{escape(condition)}</bpmn:loopCondition>'
        if condition
        else ""
    )
    most = f' loopMaximum="{maximum}"' if maximum is not None else ""
    test = "true" if before else "false"
    return f'<bpmn:standardLoopCharacteristics testBefore="{test}"{most}>{inner}</bpmn:standardLoopCharacteristics>'


def many(
    *,
    sequential: bool,
    cardinality: str = "",
    collection: str = "",
    item: str = "",
    output: str = "",
    output_item: str = "",
    until: str = "",
) -> str:
    """Multi-instance characteristics in the standard's own words."""
    expression = 'xsi:type="bpmn:tFormalExpression"'
    parts = [
        f"<bpmn:loopCardinality {expression}>{cardinality}</bpmn:loopCardinality>" if cardinality else "",
        f"<bpmn:loopDataInputRef>{collection}</bpmn:loopDataInputRef>" if collection else "",
        f"<bpmn:loopDataOutputRef>{output}</bpmn:loopDataOutputRef>" if output else "",
        f'<bpmn:inputDataItem id="{item}" name="{item}" />' if item else "",
        f'<bpmn:outputDataItem id="{output_item}" name="{output_item}" />' if output_item else "",
        f"<bpmn:completionCondition {expression}>{escape(until)}</bpmn:completionCondition>" if until else "",
    ]
    order = str(sequential).lower()
    inner = "".join(parts)
    return (
        f'<bpmn:multiInstanceLoopCharacteristics isSequential="{order}">{inner}</bpmn:multiInstanceLoopCharacteristics>'
    )
