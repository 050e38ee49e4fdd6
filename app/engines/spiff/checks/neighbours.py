"""What elements say about one another beside the flows: lanes, message flows, associations, gateways' directions."""

from __future__ import annotations

from collections.abc import Iterable

from app.engines.spiff.checks.model import GATEWAYS, B, Model, kind, scope_of
from app.engines.spiff.intake import Xml

_CODES = {"errorEventDefinition": "error", "escalationEventDefinition": "escalation"}


def check(model: Model) -> None:
    _check_lanes(model)
    _check_message_flows(model)
    for association in model.root.iter(f"{B}association"):
        _check_ends(model, association)
    for node in model.nodes:
        _check_named_flows(model, node)
        if kind(node) in GATEWAYS:
            _check_direction(model, node)
    _check_catchers(model)


def _check_lanes(model: Model) -> None:
    """Failure prevented: a task whose lane is not the one that its modeler sees has other people's tasks."""
    for process in model.processes:
        for lanes in process.iter(f"{B}laneSet"):
            seen: dict[str, Xml] = {}
            for lane in lanes.iterchildren(f"{B}lane"):
                for ref in lane.iterchildren(f"{B}flowNodeRef"):
                    own = (ref.text or "").strip()
                    if own not in model.ids:
                        message = f"a lane holds {own!r}, which is no element of the file"
                        model.report("dangling-reference", lane, message, "take it out, or save the file anew")
                    elif seen.setdefault(own, lane) is not lane:
                        model.report("lane", model.ids[own], f"stands in the lanes {_id(seen[own])} and {_id(lane)}",
                                     "move it into one of them")  # fmt: skip


def _id(node: Xml) -> str:
    return node.get("id", "")


def _check_message_flows(model: Model) -> None:
    for flow in model.root.iter(f"{B}messageFlow"):
        if _check_ends(model, flow):
            ends = [model.ids[flow.get(name, "").rpartition(":")[2]] for name in ("sourceRef", "targetRef")]
            pools = [next((one for one in end.iterancestors(f"{B}process")), None) for end in ends]
            if pools[0] is not None and pools[0] is pools[1]:
                model.report("message-flow", flow, "leads from a process into the same process",
                             "draw a sequence flow, or message events")  # fmt: skip


def _check_ends(model: Model, flow: Xml) -> bool:
    lost = [name for name in ("sourceRef", "targetRef") if flow.get(name, "").rpartition(":")[2] not in model.ids]
    for name in lost:
        message = f"{name} points to {flow.get(name)!r}, which is no element of the file"
        model.report("dangling-reference", flow, message, "connect it at both ends, or delete it")
    return not lost


def _check_named_flows(model: Model, node: Xml) -> None:
    """`incoming` and `outgoing` inside a node must be flows that do lead there: two tools have edited the file else."""
    for tag, flows in (("incoming", model.incoming), ("outgoing", model.outgoing)):
        known = {_id(flow) for flow in flows.get(_id(node), [])}
        for ref in node.iterchildren(B + tag):
            own = (ref.text or "").strip()
            if own not in known and not node.get("drawnAs"):
                message = f"names {own!r} as {tag}, which is no flow of its own"
                model.report("dangling-reference", node, message, "save the file anew in a modeler")


def _check_direction(model: Model, node: Xml) -> None:
    wrong = {"Converging": model.outgoing, "Diverging": model.incoming}.get(node.get("gatewayDirection", ""))
    if wrong is not None and len(wrong.get(_id(node), [])) > 1:
        ways = "leave it" if wrong is model.outgoing else "lead into it"
        model.report("gateway-direction", node, f"is {node.get('gatewayDirection')}, and several flows {ways}",
                     "draw a gateway for each direction, or make it Mixed")  # fmt: skip


def _check_catchers(model: Model) -> None:
    """Two that catch the same error at one place: nothing says which of them does."""
    boundary = model.nodes_of("boundaryEvent")
    _check_twice(model, ((event, event.get("attachedToRef", "")) for event in boundary))
    subs = [node for node in model.nodes_of("startEvent") if node.getparent().get("triggeredByEvent") in ("true", "1")]
    _check_twice(model, ((event, f"in {_id(scope_of(event.getparent()))}") for event in subs))


def _check_twice(model: Model, catchers: Iterable[tuple[Xml, str]]) -> None:
    seen: dict[tuple[str, str, str], Xml] = {}
    for event, place in catchers:
        for definition in model.definitions(event):
            tag = _CODES.get(kind(definition))
            if tag is None:
                continue
            told = model.ids.get(definition.get(f"{tag}Ref", ""))
            code = told.get(f"{tag}Code", "") if told is not None else ""
            other = seen.setdefault((place, tag, code), event)
            if other is not event:
                what = f"the {tag} {code}" if code else f"any {tag}"
                model.report("caught-twice", event, f"catches {what}, as {_id(other)} does", "keep one of them")
