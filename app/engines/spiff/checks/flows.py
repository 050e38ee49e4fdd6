"""Can every token find its way: conditions at gateways, splits, reachability, loops that never wait."""

from __future__ import annotations

import re

from app.engines.spiff.checks.model import EVENTS, GATEWAYS, B, Model, kind
from app.engines.spiff.intake import Xml

_CHOOSING = ("exclusiveGateway", "inclusiveGateway", "complexGateway")
_WAITING = frozenset({"userTask", "manualTask", "receiveTask", "intermediateCatchEvent", "eventBasedGateway",
                      "callActivity", "subProcess", "transaction"})  # fmt: skip
_CATCHABLE = {"messageEventDefinition", "timerEventDefinition", "signalEventDefinition", "conditionalEventDefinition"}


def check(model: Model) -> None:
    for node in model.nodes:
        _check_out(model, node)
    _check_twins(model)
    for flow in model.flows:
        _check_label(model, flow)
    boundary = _boundary(model)
    for scope in model.scopes():
        _check_reach(model, scope, boundary)
        _check_loops(model, scope)


def condition(flow: Xml) -> Xml | None:
    return flow.find(f"{B}conditionExpression")


def _check_out(model: Model, node: Xml) -> None:
    out = model.outgoing.get(node.get("id", ""), [])
    type_ = kind(node)
    if type_ in GATEWAYS and len(out) > 1 and len(model.incoming.get(node.get("id", ""), [])) > 1:
        model.report("join-fork", node, "joins and splits in one gateway", "draw a gateway for each")
    if type_ in _CHOOSING:
        _check_choice(model, node, out)
        return
    conditional = [flow for flow in out if condition(flow) is not None]
    if type_ in GATEWAYS:
        for flow in conditional:
            model.report("condition-ignored", flow, f"its condition means nothing behind a {type_}",
                         "take the condition out, or use an exclusive or inclusive gateway")  # fmt: skip
        if type_ == "eventBasedGateway":
            _check_event_gateway(model, node, out)
        return
    if type_ in EVENTS:
        for flow in conditional:
            model.report("condition-ignored", flow, f"a {type_} takes all its flows, whatever a condition says",
                         "draw an exclusive gateway behind it and put the condition there")  # fmt: skip
    elif node.get("default") is not None:
        _check_default(model, node, out)


def _check_choice(model: Model, node: Xml, out: list[Xml]) -> None:
    default = node.get("default")
    for flow in out:
        empty = condition(flow) is None or not (condition(flow).text or "").strip()  # pyright: ignore[reportOptionalMemberAccess]
        if empty and len(out) > 1 and flow.get("id") != default and kind(node) != "complexGateway":
            label = node.get("name") or node.get("id")
            model.report("condition-missing", flow, f"leaves {label} without a condition and is not its default",
                         "write a condition, or mark the flow as default")  # fmt: skip
    if default is not None and len(out) > 1:
        _check_default(model, node, out)


def _check_default(model: Model, node: Xml, out: list[Xml]) -> None:
    for flow in out:
        if flow.get("id") == node.get("default") and condition(flow) is not None:
            model.report("default-flow", flow, "is the default flow and has a condition, which is never asked",
                         "take the condition or the default mark out")  # fmt: skip


def _check_event_gateway(model: Model, node: Xml, out: list[Xml]) -> None:
    if node.get("instantiate") in ("true", "1"):
        model.report("instantiate", node, "cannot start instances", "use a message start event")
    if node.get("eventGatewayType") == "Parallel":
        model.report("event-gateway", node, "waits for one event, not for all", "use a parallel gateway before events")
    if len(out) < 2:
        model.report("event-gateway", node, "needs two or more events to choose from", "use one catch event instead")
    targets = [target for flow in out if (target := model.ids.get(flow.get("targetRef", ""))) is not None]
    _check_rivals(model, targets)
    for flow in out:
        target = model.ids.get(flow.get("targetRef", ""))
        if target is None:
            continue
        types = {kind(definition) for definition in model.definitions(target)}
        fits = kind(target) == "receiveTask" or (kind(target) == "intermediateCatchEvent" and types <= _CATCHABLE)
        if not fits or len(model.incoming.get(target.get("id", ""), [])) > 1:
            fix = "lead it to a message, timer, signal or conditional catch event of its own"
            model.report("event-gateway", flow, "does not lead to an event that only this gateway waits for", fix)


def _check_rivals(model: Model, targets: list[Xml]) -> None:
    """BPMN 2.0, 10.6.6: each event of the choice is another one, and its receive tasks have no boundary events."""
    seen: dict[tuple[str, str], Xml] = {}
    for target in targets:
        own = target.get("id", "")
        if any(event.get("attachedToRef") == own for event in model.nodes_of("boundaryEvent")):
            model.report("event-gateway", target, "waits behind an event-based gateway and has boundary events",
                         "draw the events behind the gateway too")  # fmt: skip
        for holder in (target, *model.definitions(target)):
            for kind_ in ("messageRef", "signalRef"):
                name = holder.get(kind_, "")
                if name and seen.setdefault((kind_, name), target) is not target:
                    other = seen[kind_, name].get("id")
                    model.report("event-gateway", target, f"waits for the same as {other}", "keep one of them")


def _check_twins(model: Model) -> None:
    seen = dict[tuple[str, str, str], Xml]()
    for flow in model.flows:
        ends = flow.get("sourceRef", ""), flow.get("targetRef", ""), "".join(_asked(flow).split())
        if seen.setdefault(ends, flow) is not flow:
            model.report("duplicate-flow", flow, f"leads from {ends[0]} to {ends[1]} as {seen[ends].get('id')} does",
                         "delete one of the two")  # fmt: skip


def _asked(flow: Xml) -> str:
    found = condition(flow)
    return (found.text or "") if found is not None else ""


_COMPARISON = re.compile(
    r"""(?P<name>[^\W\d][\w.]*)\s*(?P<how>===?|!=|<=|>=|<|>|=)\s*(?P<value>-?[\w.]+|'[^']*'|"[^"]*")"""
)


def _check_label(model: Model, flow: Xml) -> None:
    """The specification's own login model has a flow named `role_val == 3` whose condition is `role_val == 2`."""
    label, said = (_COMPARISON.fullmatch(text.strip(" ${#}\n\t")) for text in (flow.get("name", ""), _asked(flow)))
    if label is None or said is None or label["name"] != said["name"]:
        return
    if _meaning(label) != _meaning(said):
        model.report("label-condition", flow, f"is labelled {label[0]!r}, and its condition is {said[0]!r}",
                     "make them say the same")  # fmt: skip


def _meaning(comparison: re.Match[str]) -> tuple[str, str]:
    return comparison["how"].rstrip("=") + "=" * ("=" in comparison["how"]), comparison["value"].strip("'\"").lower()


def _starts(model: Model, scope: Xml) -> list[Xml]:
    free = kind(scope) == "adHocSubProcess"
    return [
        node
        for node in model.children(scope)
        if kind(node) == "startEvent"
        or (free and not model.incoming.get(node.get("id", "")) and kind(node) != "boundaryEvent")
        or node.get("instantiate") in ("true", "1")
        or node.get("triggeredByEvent") in ("true", "1")
        or node.get("isForCompensation") in ("true", "1")
    ]


def _next(model: Model, node: Xml, boundary: dict[str, list[Xml]]) -> list[Xml]:
    own = node.get("id", "")
    targets = [model.ids.get(flow.get("targetRef", "")) for flow in model.outgoing.get(own, [])]
    return [target for target in targets if target is not None] + boundary.get(own, [])


def _boundary(model: Model) -> dict[str, list[Xml]]:
    found: dict[str, list[Xml]] = {}
    for event in model.nodes_of("boundaryEvent"):
        found.setdefault(event.get("attachedToRef", ""), []).append(event)
    return found


def _check_reach(model: Model, scope: Xml, boundary: dict[str, list[Xml]]) -> None:
    todo = _starts(model, scope)
    if not todo:
        return
    reached = {node.get("id") for node in todo}
    while todo:
        for node in _next(model, todo.pop(), boundary):
            if node.get("id") not in reached:
                reached.add(node.get("id"))
                todo.append(node)
    lost = [node for node in model.children(scope) if node.get("id") not in reached]
    ends = {node.get("id") for node in model.children(scope) if kind(node) == "endEvent"}
    for node in lost:
        spare = kind(node) == "endEvent" and ends & reached
        model.report("unreachable-end" if spare else "unreachable", node, "cannot be reached from a start event",
                     "draw a flow to it, or delete it")  # fmt: skip


def _check_loops(model: Model, scope: Xml) -> None:
    """Warns of circles in which nothing waits for a person, an event or a time: they can spin until a bound ends."""
    busy = {node.get("id", "") for node in model.children(scope) if kind(node) not in _WAITING}
    links = {
        own: [flow.get("targetRef") for flow in model.outgoing.get(own, []) if flow.get("targetRef") in busy]
        for own in busy
    }
    left = dict.fromkeys(links, 0)
    for targets in links.values():
        for target in targets:
            left[target] += 1
    free = [own for own, count in left.items() if count == 0]
    while free:
        own = free.pop()
        for target in links.pop(own):
            left[target] -= 1
            if left[target] == 0:
                free.append(target)
    circle = _pruned(links)
    if circle:
        inside = [node for node in model.children(scope) if node.get("id") in circle]
        names = ", ".join(node.get("id", "") for node in inside[:6])
        model.report("loop-without-wait", inside[0], f"a loop in which nothing waits: {names}",
                     "let a task, event or timer in the loop wait, or make sure that it ends")  # fmt: skip


def _pruned(links: dict[str, list[str]]) -> list[str]:
    """What is left of a graph when nodes that lead out of its circles are taken away too."""
    while True:
        ends = [own for own, targets in links.items() if not any(target in links for target in targets)]
        if not ends:
            return list(links)
        for own in ends:
            del links[own]
