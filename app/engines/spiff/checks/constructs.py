"""What the engine cannot run exactly as the standard says is refused here, with what to draw instead.

Nothing is accepted and then quietly left out. A construct leaves this module when the engine runs it exactly, with
a test that shows it.
"""

from __future__ import annotations

import re

from app.engines.spiff.checks import services
from app.engines.spiff.checks.model import ACTIVITIES, FLOW_NODES, SCOPES, B, C, Model, kind, scope_of
from app.engines.spiff.checks.rules_tasks import decision_of
from app.engines.spiff.checks.structure import is_event_sub
from app.engines.spiff.intake import SPIFF, Xml

_ELEMENTS: dict[str, tuple[str, str, str]] = {
    "callChoreography": ("unsupported-element", "choreographies are not run", "draw a process"),
    "choreographyTask": ("unsupported-element", "choreographies are not run", "draw a process"),
    "subChoreography": ("unsupported-element", "choreographies are not run", "draw a process"),
    "implicitThrowEvent": ("unsupported-element", "implicit throw events are not run", "draw a throw event"),
    "serviceTask": ("unbound-service", "no program takes this service task",
                    "give it the type external and a topic, or make it a script or user task"),
    "businessRuleTask": ("unbound-service", "names no decision", "choose a decision of a .dmn file, and deploy both"),
}  # fmt: skip
_PROGRAMS = frozenset(C + name for name in ("class", "delegateExpression", "expression", "type", "topic"))
_PLACES: dict[str, frozenset[str]] = {
    "startEvent": frozenset({"messageEventDefinition", "signalEventDefinition", "timerEventDefinition"}),
    "eventSub": frozenset({"messageEventDefinition", "signalEventDefinition", "timerEventDefinition",
                           "conditionalEventDefinition", "errorEventDefinition", "escalationEventDefinition",
                           "compensateEventDefinition"}),
    "endEvent": frozenset(
        {"messageEventDefinition", "signalEventDefinition", "errorEventDefinition", "escalationEventDefinition",
         "terminateEventDefinition", "cancelEventDefinition", "compensateEventDefinition"}
    ),
    "intermediateCatchEvent": frozenset({"messageEventDefinition", "signalEventDefinition", "timerEventDefinition",
                                         "conditionalEventDefinition", "linkEventDefinition"}),
    "intermediateThrowEvent": frozenset(
        {"messageEventDefinition", "signalEventDefinition", "escalationEventDefinition", "compensateEventDefinition",
         "linkEventDefinition"}
    ),
    "boundaryEvent": frozenset({"messageEventDefinition", "signalEventDefinition", "timerEventDefinition",
                                "errorEventDefinition", "escalationEventDefinition", "cancelEventDefinition",
                                "conditionalEventDefinition", "compensateEventDefinition"}),
}  # fmt: skip
_TOGETHER = frozenset({"messageEventDefinition", "signalEventDefinition", "timerEventDefinition"})
"""Definitions of which one event may have several."""
_INERT = frozenset(
    {"dataObject", "dataObjectReference", "dataStoreReference", "sequenceFlow", "laneSet", "textAnnotation",
     "association", "group", "extensionElements", "documentation", "incoming", "outgoing", "ioSpecification",
     "property", "dataInputAssociation", "dataOutputAssociation", "standardLoopCharacteristics",
     "multiInstanceLoopCharacteristics", "script", "auditing", "monitoring", "category", "categoryValueRef",
     "supportedInterfaceRef", "potentialOwner", "humanPerformer", "performer", "resourceRole", "rendering",
     "completionCondition"}
)  # fmt: skip


def check(model: Model) -> None:
    for scope in model.scopes():
        for child in scope.iterchildren(f"{B}*"):
            if kind(child) not in FLOW_NODES | _INERT and kind(child) not in _ELEMENTS:
                model.report("unsupported-element", child, f"a {kind(child)} is not run", "take it out")
    for process in model.processes:
        for node in process.iter(f"{B}*"):
            _check_element(model, node)
    for node in model.nodes:
        if kind(node) in _PLACES:
            _check_event(model, node)
        _check_activity(model, node)


def _check_element(model: Model, node: Xml) -> None:
    found = _ELEMENTS.get(kind(node))
    if kind(node) == "serviceTask" and services.bind(model, node):
        return
    if found and not (kind(node) == "businessRuleTask" and decision_of(node)):
        model.report(found[0], node, found[1], found[2])
    if kind(node) == "sendTask" and (node.get("messageRef") is None or _has_program(node)):
        model.report("unbound-service", node, "no program takes this send task",
                     "choose a message for it, or make it a service task with a topic")  # fmt: skip
    if kind(node) in ("dataStoreReference",) or _touches_store(model, node):
        _check_store(model, node)


def _has_program(node: Xml) -> bool:
    return any(name in _PROGRAMS for name in node.attrib)


def _touches_store(model: Model, node: Xml) -> bool:
    if kind(node) not in ("dataInputAssociation", "dataOutputAssociation"):
        return False
    refs = [model.ids.get((ref.text or "").strip()) for ref in node if kind(ref) in ("sourceRef", "targetRef")]
    return any(ref is not None and kind(ref) == "dataStoreReference" for ref in refs)


def _check_store(model: Model, node: Xml) -> None:
    if model.dialect == "camunda":
        if kind(node) == "dataStoreReference":
            model.report("data-store-drawn", node, "is a drawing only: nothing is stored there", "nothing to do")
        return
    owner = node if kind(node) == "dataStoreReference" else node.getparent()
    model.report("data-store", owner, "data stores are not run", "use variables, or data objects")


def _check_event(model: Model, node: Xml) -> None:
    definitions = model.definitions(node)
    if len(definitions) > 1 and not {kind(d) for d in definitions} <= _TOGETHER:
        model.report("several-event-definitions", node, "has several event definitions", "use one event for each")
        return
    if not definitions:
        if kind(node) in ("intermediateCatchEvent", "boundaryEvent"):
            model.report("event-definition-missing", node, "does not say what it waits for", "give it a message, timer "
                         "or signal")  # fmt: skip
        return
    if kind(node) == "startEvent" and _is_true(node.get("parallelMultiple")) and not is_event_sub(scope_of(node)):
        model.report("several-event-definitions", node, "starts a process only after several events",
                     "start with one of them, and wait for the others behind it")  # fmt: skip
        return
    for definition in definitions:
        found = kind(definition)
        place = "eventSub" if kind(node) == "startEvent" and is_event_sub(scope_of(node)) else kind(node)
        if found == "eventDefinitionRef":
            message = f"refers to {(definition.text or '').strip()!r}, which is no event definition of the file"
            model.report("event-definition-ref", node, message, "put the definition into the event")
        elif found not in _PLACES[place]:
            _refuse_place(model, node, found)
        else:
            _check_definition(model, node, definition)


def _refuse_place(model: Model, node: Xml, found: str) -> None:
    name = found.removesuffix("EventDefinition")
    if kind(node) == "startEvent" and name == "conditional":
        model.report("start-event-type", node, f"a {name} does not start processes here",
                     "start it by the API or a schedule, with a plain start event")  # fmt: skip
    else:
        fix = "use another kind of event"
        model.report("event-position", node, f"a {name} definition has no meaning in a {kind(node)}", fix)


def _check_definition(model: Model, node: Xml, definition: Xml) -> None:
    found = kind(definition)
    if found == "errorEventDefinition" and kind(node) == "boundaryEvent" and _is_false(node.get("cancelActivity")):
        model.report("event-position", node, "an error cannot leave its activity running", "let it interrupt")
    if found == "cancelEventDefinition":
        host = model.ids.get(node.get("attachedToRef", "")) if kind(node) == "boundaryEvent" else scope_of(node)
        if host is None or kind(host) != "transaction":
            model.report("event-position", node, "cancel events belong to transactions", "use an error event")


def _check_activity(model: Model, node: Xml) -> None:
    type_ = kind(node)
    if type_ not in ACTIVITIES:
        return
    if _is_true(node.get("instantiate")) and (model.incoming.get(node.get("id", "")) or kind(scope_of(node)) in SCOPES):
        model.report("instantiate", node, "starts instances, but is not where a process begins",
                     "take instantiate out, or let the process begin with it")  # fmt: skip
    if node.get("startQuantity", "1").strip() != "1":
        model.report("token-quantity", node, "startQuantity is not 1", "draw a complex gateway before it")
    if not re.fullmatch(r"[1-9]\d?", node.get("completionQuantity", "1").strip()):
        model.report("token-quantity", node, "completionQuantity is no number from 1 to 99", "write how many tokens")
    _check_loops(model, node)


def _check_loops(model: Model, node: Xml) -> None:
    loop = node.find(f"{B}standardLoopCharacteristics")
    if loop is not None:
        maximum = loop.get("loopMaximum")
        if maximum is not None and not (maximum.strip().isdigit() and int(maximum) < 10**6):
            model.report("loop-bound", node, f"loopMaximum is {maximum!r}", "write a whole number of turns")
        elif maximum is not None and int(maximum) == 0:
            model.report("loop-bound", node, "loopMaximum is 0: it would never run", "write how many turns it may take")
        if maximum is None and not (loop.findtext(f"{B}loopCondition") or "").strip():
            model.report("loop-bound", node, "loops without a condition or maximum", "give it one of them")


def check_errors(model: Model) -> None:
    """Who catches an error end event: exactly one boundary event around it, or the deployment says who does not."""
    for event in model.nodes_of("endEvent", "boundaryEvent", "intermediateThrowEvent"):
        for definition in model.definitions(event):
            if kind(definition) == "errorEventDefinition":
                _check_error(model, event, definition)
            elif kind(definition) == "escalationEventDefinition":
                _check_escalation(model, event, definition)


def _check_error(model: Model, event: Xml, definition: Xml) -> None:
    error = model.ids.get(definition.get("errorRef", ""))
    if kind(event) == "endEvent" and (error is None or not error.get("errorCode")):
        if definition.get("errorRef") is None or error is not None:
            model.report("error-code", event, "throws an error without a code", "choose an error that has a code")
        return
    if error is not None and not error.get("errorCode"):
        model.report("error-code", event, "catches an error without a code", "give the error a code, or choose none")
    if kind(event) != "endEvent" or error is None:
        return
    around = _hosts_around(event)
    takers = [*_boundaries(model, around), *_listeners(event)]
    if not any(_catches(model, taker, error.get("errorCode")) for taker in takers):
        called = "by the caller, or " if kind(scope_of(event)) == "process" else ""
        message = f"nothing around it catches {error.get('errorCode')}: unless caught {called}it becomes an incident"
        model.report("error-uncaught", event, message, "attach an error boundary event to the sub-process around it")


def _check_escalation(model: Model, event: Xml, definition: Xml) -> None:
    escalation = model.ids.get(definition.get("escalationRef", ""))
    if kind(event) == "boundaryEvent" and definition.get("escalationRef") is None:
        return  # catches any
    if escalation is None and definition.get("escalationRef") is not None:
        return  # a dangling reference, reported as such
    if escalation is None or not escalation.get("escalationCode"):
        message = "its escalation has no code"
        model.report("error-code", event, message, "choose an escalation that has a code")


def _hosts_around(node: Xml) -> set[str]:
    hosts: set[str] = set()
    at = node.getparent()
    while at is not None:
        if kind(at) in SCOPES:
            hosts.add(at.get("id", ""))
        at = at.getparent()
    return hosts


def _boundaries(model: Model, hosts: set[str]) -> list[Xml]:
    return [event for event in model.nodes_of("boundaryEvent") if event.get("attachedToRef") in hosts]


def _listeners(node: Xml) -> list[Xml]:
    """Start events of the event sub-processes in the scopes around a node."""
    around = list(node.iterancestors(f"{B}process", *(B + scope for scope in SCOPES)))
    subs = [sub for scope in around for sub in scope.iterchildren(f"{B}subProcess") if is_event_sub(sub)]
    return [start for sub in subs if sub not in around for start in sub.iterchildren(f"{B}startEvent")]


def _catches(model: Model, boundary: Xml, code: str) -> bool:
    for definition in model.definitions(boundary):
        if kind(definition) == "errorEventDefinition":
            error = model.ids.get(definition.get("errorRef", ""))
            if error is None or error.get("errorCode") == code:
                return True
    return False


def _is_true(value: str | None) -> bool:
    return value in ("true", "1")


def _is_false(value: str | None) -> bool:
    return value in ("false", "0")


SPIFF_REFUSED = {f"{{{SPIFF}}}serviceTaskOperator": "service task operators"}
