"""What belongs to a scope as a whole: links between events, event sub-processes, compensation and its handlers."""

from __future__ import annotations

from collections import Counter

from app.engines.spiff.checks.model import ACTIVITIES, SCOPES, B, Model, kind, scope_of
from app.engines.spiff.checks.structure import is_event_sub, undoes
from app.engines.spiff.intake import Xml
from app.engines.spiff.normaliser import link_name, needed

_TRUE, _FALSE = ("true", "1"), ("false", "0")
_STEPS = frozenset({"task", "userTask", "manualTask", "scriptTask"})


def check(model: Model) -> None:
    for scope in model.scopes():
        _check_links(model, scope)
        if is_event_sub(scope):
            _check_event_sub(model, scope)
        if kind(scope) == "adHocSubProcess":
            _check_ad_hoc(model, scope)
    for node in model.nodes_of("complexGateway"):
        if needed(node) is None:
            model.report("complex-gateway", node, "does not say how many of its flows it waits for",
                         "write activationCount >= 2, or another number up to that of its flows")  # fmt: skip
    for node in model.nodes:
        if node.get("isForCompensation") in _TRUE:
            _check_handler(model, node)
        for definition in node.iterchildren(f"{B}compensateEventDefinition"):
            _check_compensation(model, node, definition)


def _check_links(model: Model, scope: Xml) -> None:
    catches = [node for node in model.children(scope) if kind(node) == "intermediateCatchEvent"]
    throws = [node for node in model.children(scope) if kind(node) == "intermediateThrowEvent"]
    names = Counter(name for node in catches if (name := link_name(node)))
    used = {link_name(node) for node in throws}
    for node in throws:
        name = link_name(node)
        if name is not None and names[name] != 1:
            what = "no link catch event" if not names[name] else f"{names[name]} link catch events"
            model.report("link-event", node, f"the link {name!r} has {what} in its scope",
                         "draw one catch event of the same link name in the same process or sub-process")  # fmt: skip
        elif name is not None and len(model.outgoing.get(node.get("id", ""), [])) > 1:
            model.report("link-event", node, "a link throw event has a flow that leaves it", "take the flow out")
    for node in catches:
        name = link_name(node)
        if name is not None and name not in used:
            model.report("link-event", node, f"no link throw event leads to the link {name!r}",
                         "draw a throw event of the same link name, or use another event")  # fmt: skip


def _check_ad_hoc(model: Model, scope: Xml) -> None:
    children = model.children(scope)
    if scope.get("ordering") == "Sequential":
        for node in children:
            if not _at_once(model, node):
                model.report("ad-hoc", node, "takes time in a sub-process that does one activity at a time",
                             "set the ordering to parallel, or keep to tasks without flows and events")  # fmt: skip
    if not any(kind(node) in ACTIVITIES for node in children):
        model.report("ad-hoc", scope, "an ad-hoc sub-process has nothing to do", "put activities into it")
    for node in children:
        if kind(node) in ("startEvent", "endEvent"):
            model.report("ad-hoc", node, f"an ad-hoc sub-process has no {kind(node)}", "take it out")


def _at_once(model: Model, node: Xml) -> bool:
    """Whether an activity begins and ends in one step, so that no other can come between."""
    own = node.get("id", "")
    whole = kind(node) in _STEPS and not any(kind(child).endswith("LoopCharacteristics") for child in node)
    watched = any(event.get("attachedToRef") == own for event in model.nodes_of("boundaryEvent"))
    return whole and not watched and not model.incoming.get(own) and not model.outgoing.get(own)


def _check_event_sub(model: Model, scope: Xml) -> None:
    starts = [node for node in model.children(scope) if kind(node) == "startEvent"]
    found = [kind(d) for node in starts for d in model.definitions(node)]
    if len(starts) == 1 and not found:
        model.report("event-sub-process", starts[0], "starts an event sub-process and does not say by which event",
                     "give it a message, timer, signal, error, escalation, condition or compensation")  # fmt: skip
    own = scope.get("id", "")
    if model.incoming.get(own) or model.outgoing.get(own):
        model.report("event-sub-process", scope, "an event sub-process has sequence flows",
                     "take the flows away: it is its event that starts it")  # fmt: skip
    if any(event.get("attachedToRef") == own for event in model.nodes_of("boundaryEvent")):
        model.report("event-sub-process", scope, "an event sub-process has boundary events",
                     "attach them to a sub-process inside it")  # fmt: skip
    if any(kind(child).endswith("LoopCharacteristics") for child in scope):
        model.report("event-sub-process", scope, "an event sub-process is a loop", "put a loop inside it")
    quiet = any(node.get("isInterrupting") in _FALSE for node in starts)
    if quiet and "errorEventDefinition" in found:
        model.report("event-position", starts[0], "an error cannot leave its scope running", "let it interrupt")
    if "compensateEventDefinition" in found and kind(scope_of(scope)) == "process":
        model.report("compensation", scope, "nothing can undo a whole process from outside",
                     "put it into a sub-process, or use handlers at the activities")  # fmt: skip


def _check_handler(model: Model, node: Xml) -> None:
    own = node.get("id", "")
    if model.incoming.get(own) or model.outgoing.get(own):
        model.report("compensation", node, "a compensation handler has sequence flows",
                     "take the flows away: an association leads to it")  # fmt: skip
    if any(event.get("attachedToRef") == own for event in model.nodes_of("boundaryEvent")):
        model.report("compensation", node, "a compensation handler has boundary events",
                     "put it into a sub-process that is the handler")  # fmt: skip
    if not any(a.get("targetRef") == own for a in model.root.iter(f"{B}association")):
        model.report("compensation", node, "no compensation boundary event leads to this handler",
                     "draw an association from the boundary event to it")  # fmt: skip


def _check_compensation(model: Model, node: Xml, definition: Xml) -> None:
    if definition.get("waitForCompletion") in _FALSE:
        model.report("compensation", node, "goes on before the undoing is done", "set waitForCompletion to true")
    if kind(node) == "boundaryEvent":
        _check_boundary(model, node)
    elif kind(node) != "startEvent" and definition.get("activityRef") is not None:
        target = model.ids.get(definition.get("activityRef"))
        if target is None or kind(target) not in ACTIVITIES:
            message = f"activityRef points to {definition.get('activityRef')!r}, which is no activity of the file"
            model.report("dangling-reference", node, message, "choose an activity in the modeler")
        elif scope_of(target) not in _undone_from(node):
            model.report("compensation", node, f"cannot undo {definition.get('activityRef')}, which stands elsewhere",
                         "throw it in the process or sub-process of the activity")  # fmt: skip
        elif not _can_be_undone(model, target):
            model.report("compensation", node, f"nothing undoes {definition.get('activityRef')}",
                         "give the activity a compensation boundary event and a handler")  # fmt: skip


def _can_be_undone(model: Model, activity: Xml) -> bool:
    """Failure prevented: a thrown compensation that does nothing at all, without a word."""
    if kind(activity) in SCOPES | {"callActivity"}:
        return True
    events = model.nodes_of("boundaryEvent")
    return any(undoes(model, event) and event.get("attachedToRef") == activity.get("id") for event in events)


def _undone_from(node: Xml) -> list[Xml]:
    scopes = [scope_of(node)]
    while is_event_sub(scopes[-1]):
        scopes.append(scope_of(scopes[-1]))
    return scopes


def _check_boundary(model: Model, node: Xml) -> None:
    if model.outgoing.get(node.get("id", "")):
        model.report("compensation", node, "a compensation boundary event has a flow that leaves it",
                     "lead to its handler by an association")  # fmt: skip
    targets = [
        model.ids.get(association.get("targetRef", ""))
        for association in model.root.iter(f"{B}association")
        if association.get("sourceRef") == node.get("id")
    ]
    handlers = [t for t in targets if t is not None and t.get("isForCompensation") in _TRUE]
    if len(handlers) != 1 or scope_of(handlers[0]) is not scope_of(node):
        model.report("compensation", node, "does not lead to one compensation handler beside it",
                     "draw an association to an activity that is marked for compensation")  # fmt: skip
