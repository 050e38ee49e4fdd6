"""The one XML normaliser: what BPMN lets a modeler draw in several ways becomes the one way that the engine reads.

`expand` runs before the checks and only adds what a file leaves implicit; `simplify` runs on a file without errors.
An element that neither draws has an id with the mark in it, which no id of a file can hold; the trace leaves it out.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

from app.engines.spiff.intake import BPMN, Xml

_B = f"{{{BPMN}}}"
MARK = "~"
TASK = f"{MARK}task"
"""End of the id of the one task inside a global task; it stands for the global task itself."""
LISTENER = f"{_B}eventListener"
"""Waits in a scope for the event that starts an event sub-process. Stands in no file; the schema refuses it."""
_GLOBAL = {
    "globalTask": "task",
    "globalUserTask": "userTask",
    "globalManualTask": "manualTask",
    "globalScriptTask": "scriptTask",
    "globalBusinessRuleTask": "businessRuleTask",
}
_SCOPES = frozenset(f"{_B}{name}" for name in ("process", "subProcess", "transaction", "adHocSubProcess"))
_GATEWAYS = frozenset(
    f"{_B}{name}Gateway" for name in ("exclusive", "inclusive", "parallel", "eventBased", "complex")
)  # fmt: skip
_TRUE = ("true", "1")
_STEPS = _GATEWAYS | frozenset(
    f"{_B}{name}" for name in ("task", "userTask", "manualTask", "scriptTask", "sendTask", "receiveTask",
                               "businessRuleTask", "serviceTask", "callActivity", "subProcess", "transaction",
                               "adHocSubProcess", "intermediateCatchEvent", "intermediateThrowEvent")
)  # fmt: skip
_REFERENCES = frozenset(
    f"{name}Ref" for name in ("message", "signal", "error", "escalation", "activity", "attachedTo", "source", "target",
                              "dataObject", "dataStore", "item", "itemSubject", "operation", "process",
                              "correlationKey", "correlationProperty", "noneBehaviorEvent", "oneBehaviorEvent")
) | {"default"}  # fmt: skip
_COUNT = re.compile(r"(?:[$#]\{)?\s*activationCount\s*(>=|==|>)\s*(\d{1,4})\s*\}?")


def file_id(element_id: str | None) -> str | None:
    """The id in the uploaded file, or None for an element that only the normaliser drew."""
    if element_id is None or MARK not in element_id:
        return element_id
    return element_id.removesuffix(TASK) if element_id.endswith(TASK) else None


def expand(root: Xml) -> None:
    """Event definitions by reference into the events, global tasks into processes, links into flows."""
    _unqualify(root)
    _inline_definitions(root)
    _open_global_tasks(root)
    for call in root.iter(f"{_B}callActivity"):
        called = call.get("calledElement", "").strip()
        if ":" in called and "{" not in called:  # a qualified name
            call.set("calledElement", called.rpartition(":")[2])
    for scope in _scopes(root):
        _join_links(scope)
        for gateway in list(scope.iterchildren(f"{_B}eventBasedGateway")):
            if gateway.get("instantiate") in _TRUE and scope.tag == f"{_B}process":
                _start_with_one(scope, gateway)


def simplify(root: Xml) -> None:
    """For the engine's parser: plain events for links, listeners for event sub-processes, gateways for conditions."""
    for scope in list(_scopes(root)):
        for node in list(scope):
            if node.find(f"{_B}linkEventDefinition") is not None:
                node.remove(node.find(f"{_B}linkEventDefinition"))
                node.tag = f"{_B}intermediateThrowEvent"
            elif node.tag == f"{_B}receiveTask" and node.get("instantiate") in _TRUE:
                _start_with(node)
            elif node.tag == f"{_B}subProcess" and node.get("triggeredByEvent") in _TRUE:
                _listen(scope, node)
            elif node.tag == f"{_B}complexGateway":
                _count(node)
            elif node.get("decided"):
                _run_decision(node)
            elif node.get("topic"):
                _wait_for_job(root, node)
        if scope.tag == f"{_B}adHocSubProcess":
            _order(scope)
        _attach_handlers(root, scope)
        _multiply_tokens(scope)
        _split_conditions(scope)
        _tell_apart(scope)


def _scopes(root: Xml) -> Iterator[Xml]:
    return (node for node in root.iter(f"{_B}*") if node.tag in _SCOPES)


def _new(beside: Xml, tag: str, **attributes: str) -> Xml:
    node = beside.makeelement(f"{_B}{tag}", attributes)
    node.sourceline = beside.sourceline
    return node


def _unqualify(root: Xml) -> None:
    """A reference of the standard is a qualified name: one in the file's own namespace becomes the plain id."""
    own = root.get("targetNamespace")
    for node in root.iter(f"{_B}*"):
        for name in _REFERENCES.intersection(node.keys()):
            node.set(name, _local(node, node.get(name, ""), own))
        if node.text and str(node.tag).endswith(("Ref", "incoming", "outgoing")):
            node.text = _local(node, node.text.strip(), own)


def _local(node: Xml, reference: str, own: str | None) -> str:
    prefix, colon, local = reference.rpartition(":")
    return local if colon and own and node.nsmap.get(prefix) == own else reference


def _inline_definitions(root: Xml) -> None:
    known = {node.get("id"): node for node in root if str(node.tag).endswith("EventDefinition")}
    for reference in list(root.iter(f"{_B}eventDefinitionRef")):
        found = known.get((reference.text or "").strip().rpartition(":")[2])
        if found is not None:
            definition = copy.deepcopy(found)
            definition.attrib.pop("id", None)
            definition.tail, definition.sourceline = None, reference.sourceline
            reference.getparent().replace(reference, definition)


def _open_global_tasks(root: Xml) -> None:
    for tag, task in _GLOBAL.items():
        for node in list(root.iter(_B + tag)):
            own = node.get("id")
            if not own:
                continue
            inner = _new(node, task, id=own + TASK, name=node.get("name", ""), drawnAs=tag)
            for name, value in list(node.attrib.items()):
                if name == "scriptLanguage":
                    inner.set("scriptFormat", value)
                elif name not in ("id", "name"):
                    inner.set(name, value)
            inner.extend(list(node))
            process = _new(node, "process", id=own, name=node.get("name", ""), isExecutable="true", drawnAs=tag)
            start, end = f"{own}{MARK}start", f"{own}{MARK}end"
            process.extend([_new(node, "startEvent", id=start), inner, _new(node, "endEvent", id=end)])
            process.extend([_flow(node, start, own + TASK), _flow(node, own + TASK, end)])
            root.replace(node, process)


def _flow(beside: Xml, source: str, target: str) -> Xml:
    return _new(beside, "sequenceFlow", id=f"{source}{MARK}{target}", sourceRef=source, targetRef=target)


def link_name(event: Xml) -> str | None:
    """The name of a link event, None for any other event."""
    definition = event.find(f"{_B}linkEventDefinition")
    return None if definition is None else definition.get("name", "").strip()


def _join_links(scope: Xml) -> None:
    catches = {link_name(node): node for node in scope.iterchildren(f"{_B}intermediateCatchEvent")}
    for node in list(scope.iterchildren(f"{_B}intermediateThrowEvent")):
        name = link_name(node)
        if name and name in catches and node.get("id") and catches[name].get("id"):
            scope.append(_flow(node, node.get("id"), catches[name].get("id")))


def _start_with(node: Xml) -> None:
    """A receive task that starts instances is a message start event."""
    node.tag = f"{_B}startEvent"
    if node.get("messageRef"):
        node.append(_new(node, "messageEventDefinition", messageRef=node.attrib.pop("messageRef")))
    node.attrib.pop("instantiate")


def _start_with_one(scope: Xml, gateway: Xml) -> None:
    """What an event-based gateway at the beginning waits for are message and signal start events.

    One that does something else is left as it is, for the checks to refuse.
    """
    flows = list(scope.iterchildren(f"{_B}sequenceFlow"))
    out = [flow for flow in flows if flow.get("sourceRef") == gateway.get("id")]
    targets = [node for flow in out for node in scope if node.get("id") == flow.get("targetRef")]
    led_to = [flow.get("targetRef") for flow in flows]
    watched = {event.get("attachedToRef") for event in scope.iterchildren(f"{_B}boundaryEvent")}
    fits = all(
        led_to.count(node.get("id")) == 1 and node.get("id") not in watched and _begins(node) for node in targets
    )
    if gateway.get("id") in led_to or gateway.get("eventGatewayType") == "Parallel" or len(targets) < 2 or not fits:
        return
    for node in targets:
        for incoming in node.findall(f"{_B}incoming"):
            node.remove(incoming)
        if node.tag == f"{_B}receiveTask":
            node.set("instantiate", "true")
        else:
            node.set("drawnAs", "intermediateCatchEvent")
            node.tag = f"{_B}startEvent"
    for node in (gateway, *out):
        scope.remove(node)


def _begins(node: Xml) -> bool:
    found = {str(child.tag) for child in node if str(child.tag).endswith(("EventDefinition", "DefinitionRef"))}
    if node.tag == f"{_B}receiveTask":
        return not any(str(child.tag).endswith("LoopCharacteristics") for child in node)
    return node.tag == f"{_B}intermediateCatchEvent" and bool(found) and found <= {
        f"{_B}messageEventDefinition", f"{_B}signalEventDefinition"
    }  # fmt: skip


def _listen(scope: Xml, sub: Xml) -> None:
    """An event sub-process is a sub-process behind an event that its scope waits for as long as it runs."""
    start = sub.find(f"{_B}startEvent")
    sub.attrib.pop("triggeredByEvent")
    sub.set("eventSub", "true")
    if start.find(f"{_B}compensateEventDefinition") is not None:
        start.remove(start.find(f"{_B}compensateEventDefinition"))
        sub.set("isForCompensation", "true")
        scope.set("undoneInsideBy", sub.get("id"))
        return
    interrupts = "false" if start.get("isInterrupting") in ("false", "0") else "true"
    listener = scope.makeelement(LISTENER, {"id": f"{start.get('id')}{MARK}on", "cancelActivity": interrupts})
    listener.set("name", start.get("name", ""))
    if start.get("parallelMultiple"):
        listener.set("parallelMultiple", start.get("parallelMultiple"))
    listener.extend([node for node in start if str(node.tag).endswith("EventDefinition")])
    scope.append(listener)
    scope.append(_flow(sub, listener.get("id"), sub.get("id")))


def _run_decision(node: Xml) -> None:
    """A business rule task runs the script that its decision has become."""
    node.tag = f"{_B}scriptTask"
    script = _new(node, "script")
    script.text = node.attrib.pop("decided")
    node.append(script)


def _wait_for_job(root: Xml, node: Xml) -> None:
    """A service task waits for its answer as for a message that nobody can send by name."""
    own = node.get("id", "")
    root.insert(0, _new(root, "message", id=f"{own}{MARK}job", name=f"{own}{MARK}job"))
    node.tag = f"{_B}receiveTask"
    node.set("messageRef", f"{own}{MARK}job")


def needed(gateway: Xml) -> int | None:
    """How many tokens a complex gateway waits for, None where that cannot be read."""
    condition = gateway.find(f"{_B}activationCondition")
    incoming = sum(flow.get("targetRef") == gateway.get("id")
                   for flow in gateway.getparent().iterchildren(f"{_B}sequenceFlow"))  # fmt: skip
    if incoming < 2:
        return 1
    found = None if condition is None else _COUNT.fullmatch("".join(condition.itertext()).strip())
    if found is None:
        return None
    wanted = int(found[2]) + (found[1] == ">")
    return wanted if 1 <= wanted <= incoming else None


def _count(gateway: Xml) -> None:
    gateway.set("needed", str(needed(gateway)))
    own, default = gateway.get("id"), gateway.get("default")
    out = [flow for flow in gateway.getparent().iterchildren(f"{_B}sequenceFlow") if flow.get("sourceRef") == own]
    for flow in out if len(out) > 1 else ():
        if _condition(flow) is None and flow.get("id") != default:
            _always(flow)


def _always(flow: Xml) -> None:
    condition = _new(flow, "conditionExpression")
    condition.text = "True"
    flow.append(condition)


def _order(scope: Xml) -> None:
    """An ad-hoc sub-process begins with all that nothing in it leads to."""
    nodes = [
        node for node in scope if node.get("id") and node.tag in _STEPS and node.get("isForCompensation") not in _TRUE
    ]
    led_to = {flow.get("targetRef") for flow in scope.iterchildren(f"{_B}sequenceFlow")}
    own = scope.get("id")
    start = _new(scope, "startEvent", id=f"{own}{MARK}start")
    scope.extend([start, _new(scope, "endEvent", id=f"{own}{MARK}end")])
    scope.extend([_flow(node, start.get("id"), node.get("id")) for node in nodes if node.get("id") not in led_to])
    condition = scope.find(f"{_B}completionCondition")
    if condition is not None and scope.get("cancelRemainingInstances", "true") in _TRUE:
        scope.set("enough", (condition.text or "").strip())
    scope.tag = f"{_B}subProcess"


def _attach_handlers(root: Xml, scope: Xml) -> None:
    """A compensation boundary event and its association become one word at the activity: what undoes it."""
    events = [node for node in scope.iterchildren(f"{_B}boundaryEvent")
              if node.find(f"{_B}compensateEventDefinition") is not None]  # fmt: skip
    if not events:
        return
    ends = {a.get("sourceRef"): a.get("targetRef") for a in root.iter(f"{_B}association")}
    by_id = {node.get("id"): node for node in scope}
    for event in events:
        by_id[event.get("attachedToRef")].set("undoneBy", ends[event.get("id")])
        scope.remove(event)


def _multiply_tokens(scope: Xml) -> None:
    """An activity that gives several tokens when it is done: each goes on along what leaves it."""
    for node in [node for node in scope if node.get("completionQuantity", "1").strip() != "1"]:
        own, count = node.get("id"), int(node.attrib.pop("completionQuantity"))
        split = _new(node, "parallelGateway", id=f"{own}{MARK}tokens")
        token = _new(node, "intermediateThrowEvent", id=f"{own}{MARK}token")
        if node.get("default"):
            token.set("default", node.attrib.pop("default"))
        for flow in scope.iterchildren(f"{_B}sequenceFlow"):
            if flow.get("sourceRef") == own:
                flow.set("sourceRef", token.get("id"))
        scope.extend([split, token, _flow(node, own, split.get("id"))])
        for number in range(count):
            flow = _flow(node, split.get("id"), token.get("id"))
            flow.set("id", f"{own}{MARK}token{number}")
            scope.append(flow)


def _split_conditions(scope: Xml) -> None:
    """Conditions on flows out of an activity or event: what an inclusive gateway behind it does."""
    out: dict[str, list[Xml]] = {}
    for flow in scope.iterchildren(f"{_B}sequenceFlow"):
        out.setdefault(flow.get("sourceRef"), []).append(flow)
    for node in list(scope):
        flows, default = out.get(node.get("id", ""), []), node.get("default")
        chooses = any(_condition(flow) is not None for flow in flows) or (default is not None and len(flows) > 1)
        if node.tag in _GATEWAYS or not chooses:
            continue
        split = _new(node, "inclusiveGateway", id=f"{node.get('id')}{MARK}split")
        if default is not None:
            split.set("default", node.attrib.pop("default"))
        for flow in flows:
            flow.set("sourceRef", split.get("id"))
            if _condition(flow) is None and flow.get("id") != default:
                _always(flow)
        scope.append(split)
        scope.append(_flow(node, node.get("id"), split.get("id")))


def _tell_apart(scope: Xml) -> None:
    """A join knows a flow by the element it comes from: of two flows between the same two each gets one of its own."""
    joins = {node.get("id") for node in scope if node.tag in (f"{_B}inclusiveGateway", f"{_B}complexGateway")}
    seen: set[tuple[str, str]] = set()
    for flow in list(scope.iterchildren(f"{_B}sequenceFlow")):
        ends = (flow.get("sourceRef", ""), flow.get("targetRef", ""))
        if ends in seen and ends[1] in joins:
            between = _new(flow, "intermediateThrowEvent", id=f"{flow.get('id')}{MARK}flow")
            flow.set("targetRef", between.get("id"))
            scope.extend([between, _flow(flow, between.get("id"), ends[1])])
        seen.add(ends)


def _condition(flow: Xml) -> Xml | None:
    return flow.find(f"{_B}conditionExpression")
