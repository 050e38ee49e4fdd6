"""Is the drawing whole: processes, ids, references, start and end events, flows that stay in their scope."""

from __future__ import annotations

from app.engines.spiff.checks.model import ACTIVITIES, FLOW_NODES, SCOPES, B, Model, kind, scope_of
from app.engines.spiff.intake import Xml

_REFERENCES: tuple[tuple[str, str, str], ...] = (
    ("messageEventDefinition", "messageRef", "message"),
    ("receiveTask", "messageRef", "message"),
    ("sendTask", "messageRef", "message"),
    ("signalEventDefinition", "signalRef", "signal"),
    ("errorEventDefinition", "errorRef", "error"),
    ("escalationEventDefinition", "escalationRef", "escalation"),
    ("dataObjectReference", "dataObjectRef", "dataObject"),
    ("participant", "processRef", "process"),
)
_NAMED = ("process", "sequenceFlow", "message", "signal", "error", "escalation")
"""What needs an id besides the elements of the flow."""
_REQUIRED = {"messageEventDefinition": "message", "signalEventDefinition": "signal", "receiveTask": "message"}


def check(model: Model) -> None:
    _check_ids(model)
    _check_processes(model)
    for scope in model.scopes():
        _check_scope(model, scope)
    for flow in model.flows:
        _check_flow(model, flow)
    _check_references(model)
    _check_names(model)
    _check_attached(model)


def _check_ids(model: Model) -> None:
    seen: dict[str, Xml] = {}
    for node in model.root.iter(f"{B}*"):
        own = node.get("id")
        if own is None:
            if kind(node) in FLOW_NODES or kind(node) in _NAMED:
                model.report("missing-id", node, "has no id", "give it an id")
        elif own in seen:
            fix = f"line {seen[own].sourceline} has the same id; change one of them"
            model.report("duplicate-id", node, f"the id {own} is used twice", fix)
        else:
            seen[own] = node


def _check_processes(model: Model) -> None:
    if not model.processes:
        fix = "tick Executable in the modeler, or set isExecutable to true"
        node = next(model.root.iter(f"{B}process"), None)
        model.report("no-executable-process", node, "no process of the file is executable", fix)
        return
    for process in model.root.iter(f"{B}process"):
        if process not in model.processes and any(kind(child) in FLOW_NODES for child in process):
            fix = "tick Executable if it is meant to run"
            model.report("process-skipped", process, "is not executable and is left out", fix)


def _check_scope(model: Model, scope: Xml) -> None:
    if kind(scope) == "adHocSubProcess":
        return  # has neither start nor end: `scopes`
    children = model.children(scope)
    starts = [node for node in children if kind(node) == "startEvent"]
    begins = bool(starts) or any(node.get("instantiate") in ("true", "1") for node in children)
    if not begins:
        model.report("no-start-event", scope, "has no start event", "draw one, and a flow from it")
    ends = any(kind(node) == "endEvent" for node in children)
    if not ends:
        model.report("no-end-event", scope, "has no end event and would never complete", "draw one where the flow ends")
    plain = [node for node in starts if not model.definitions(node)]
    if len(plain) > 1 or (kind(scope) in SCOPES and len(starts) > 1):
        model.report("several-start-events", scope, "has several start events of one kind",
                     "keep one without an event, or draw two processes")  # fmt: skip
    for node in starts:
        if kind(scope) in SCOPES and model.definitions(node) and not is_event_sub(scope):
            fix = "start a sub-process with a plain start event, and wait for the event behind it"
            model.report("sub-process-start", node, "a sub-process cannot start with an event of its own", fix)
    for node in children if ends else ():  # without an end event each last element would be a dead end too
        _check_ends(model, node)


def _check_ends(model: Model, node: Xml) -> None:
    """Failures prevented: a token that stops at a node without a way out leaves the instance open for ever."""
    own, type_ = node.get("id", ""), kind(node)
    if type_ == "endEvent":
        if model.outgoing.get(own):
            model.report("end-event-flow", node, "has a flow that leaves it", "end there, or use another event")
    elif not model.outgoing.get(own) and not _stands_apart(node) and not undoes(model, node):
        model.report("dead-end", node, "has no way out", "draw a flow on, or to an end event")
    if type_ == "startEvent" and model.incoming.get(own):
        model.report("end-event-flow", node, "has a flow that leads into it", "lead the flow to the next element")


def is_event_sub(node: Xml) -> bool:
    return node.get("triggeredByEvent") in ("true", "1")


def undoes(model: Model, node: Xml) -> bool:
    """A compensation boundary event leads to its handler by an association."""
    return any(kind(definition) == "compensateEventDefinition" for definition in model.definitions(node))


def _stands_apart(node: Xml) -> bool:
    """Event sub-processes and compensation handlers have no sequence flows."""
    return node.get("isForCompensation") in ("true", "1") or node.get("triggeredByEvent") in ("true", "1")


def _check_flow(model: Model, flow: Xml) -> None:
    ends: list[Xml] = []
    for attribute in ("sourceRef", "targetRef"):
        target = model.ids.get(flow.get(attribute, ""))
        if target is None or kind(target) not in FLOW_NODES:
            message = f"{attribute} points to {flow.get(attribute)!r}, which is no element of the file"
            model.report("dangling-reference", flow, message, "connect the flow at both ends")
        else:
            ends.append(target)
    if len(ends) == 2 and any(scope_of(end) is not flow.getparent() for end in ends):
        fix = "end inside the sub-process and go on behind it"
        model.report("flow-crossing", flow, "crosses the border of a process or sub-process", fix)


def _check_references(model: Model) -> None:
    for holder, attribute, target in _REFERENCES:
        for node in model.root.iter(f"{B}{holder}"):
            value = node.get(attribute)
            if value is None:
                _check_required(model, node)
                continue
            found = model.ids.get(value)
            if found is None or kind(found) != target:
                owner = node if kind(node) in FLOW_NODES else node.getparent()
                message = f"{attribute} points to {value!r}, which is no {target} of the file"
                model.report("dangling-reference", owner, message, f"choose a {target} in the modeler")
    for node in model.nodes:
        default = node.get("default")
        if default is not None and default not in {flow.get("id") for flow in model.outgoing.get(node.get("id"), [])}:
            message = f"its default flow {default!r} does not leave it"
            model.report("dangling-reference", node, message, "mark one of its own flows as default")
    _check_data(model)


def _check_required(model: Model, node: Xml) -> None:
    needed = _REQUIRED.get(kind(node))
    if needed and node.getparent() is not None and kind(node.getparent()) != "definitions":
        owner = node if kind(node) in FLOW_NODES else node.getparent()
        model.report("message-name", owner, f"names no {needed}", f"choose a {needed} in the modeler")


def _check_data(model: Model) -> None:
    """Failure prevented: SpiffWorkflow 3.2.0 looks for ever for a data object that does not exist."""
    known = {n.get("id") for tag in ("dataObjectReference", "dataStoreReference", "dataObject", "property",
                                     "dataInput", "dataOutput") for n in model.root.iter(B + tag)}  # fmt: skip
    for tag, end in (("dataInputAssociation", "sourceRef"), ("dataOutputAssociation", "targetRef")):
        for association in model.root.iter(B + tag):
            for ref in association.iterchildren(B + end):
                if (ref.text or "").strip() not in known:
                    message = f"a data association points to {ref.text!r}, which is no data object of the file"
                    model.report("dangling-reference", association.getparent(), message, "connect it again")


def _check_names(model: Model) -> None:
    for tag in ("message", "signal"):
        for node in model.root.iter(B + tag):
            if not node.get("name", "").strip():
                model.report("message-name", node, f"this {tag} has no name", "name it; it is matched by its name")


def _check_attached(model: Model) -> None:
    for event in model.nodes_of("boundaryEvent"):
        host = model.ids.get(event.get("attachedToRef", ""))
        if host is None:
            message = f"attachedToRef points to {event.get('attachedToRef')!r}, which is no element of the file"
            model.report("dangling-reference", event, message, "drop it on the border of an activity")
        elif kind(host) not in ACTIVITIES or scope_of(host) is not scope_of(event):
            model.report("attached-to", event, "is not attached to an activity beside it", "move it to an activity")
        if model.incoming.get(event.get("id", "")):
            model.report("end-event-flow", event, "has a flow that leads into it", "lead the flow to the next element")
