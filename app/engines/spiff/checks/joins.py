"""Parallel joins that can never be full: whatever leads to them is taken one way or the other, by one token."""

from __future__ import annotations

from app.engines.spiff.checks.model import B, Model, kind, scope_of
from app.engines.spiff.intake import Xml

_ONE_WAY = ("exclusiveGateway", "eventBasedGateway")


def check(model: Model) -> None:
    """Failure prevented: a token that waits at a join for another one that nothing makes."""
    for join in model.nodes_of("parallelGateway"):
        flows = model.incoming.get(join.get("id", ""), [])
        if len(flows) < 2 or kind(scope_of(join)) == "adHocSubProcess":
            continue
        if not any(_multiplies(model, node) for node in _before(model, join)):
            message = f"waits for {len(flows)} flows, but only one of them is ever taken"
            model.report("join-stuck", join, message, "merge alternatives with an exclusive gateway")


def _before(model: Model, join: Xml) -> list[Xml]:
    """Everything in its scope that leads to it; from a boundary event on what it stands on."""
    found: list[Xml] = []
    seen, todo = {join.get("id", "")}, [join]
    while todo:
        node = todo.pop()
        sources = [flow.get("sourceRef", "") for flow in model.incoming.get(node.get("id", ""), [])]
        for own in {*sources, node.get("attachedToRef", "")} & set(model.ids):
            if own not in seen:
                seen.add(own)
                found.append(model.ids[own])
                todo.append(model.ids[own])
    return found


def _multiplies(model: Model, node: Xml) -> bool:
    """Whether several tokens may leave it for one that came."""
    several = len(model.outgoing.get(node.get("id", ""), [])) > 1
    stays = node.tag == f"{B}boundaryEvent" and node.get("cancelActivity") in ("false", "0")
    return (several and kind(node) not in _ONE_WAY) or stays or node.get("completionQuantity", "1").strip() != "1"
