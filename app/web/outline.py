"""A model as an ordered list of its steps with their state: for screen readers, for print, without JavaScript."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - untyped

from app.engines.spiff.elements import Element

BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
KINDS = {
    "startEvent": "start",
    "endEvent": "end",
    "userTask": "form",
    "manualTask": "work by hand",
    "scriptTask": "script",
    "exclusiveGateway": "decision",
    "parallelGateway": "all at once",
    "inclusiveGateway": "one or more",
    "eventBasedGateway": "whatever happens first",
    "subProcess": "sub-process",
    "callActivity": "another process",
    "boundaryEvent": "if it happens",
    "intermediateCatchEvent": "wait",
    "intermediateThrowEvent": "signal",
}
State = Literal["completed", "now", "trouble", "open"]


class Drawn(Protocol):
    """What can be drawn and said in words: a stored version, a checked one, or a file nobody has checked."""

    @property
    def diagram(self) -> bytes: ...
    @property
    def elements(self) -> dict[str, Element]: ...
    def element_name(self, element_id: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Step:
    """One element in the order of the flow; `leads_to` names what may come next where there is a choice."""

    id: str
    name: str
    kind: str
    state: State
    leads_to: tuple[str, ...]


def outline(model: Drawn, done: Iterable[str] = (), now: Iterable[str] = (), trouble: Iterable[str] = ()) -> list[Step]:
    """The elements of *model* in the order in which the flow reaches them, sub-processes' inside after them."""
    done, now, trouble = set(done), set(now), set(trouble)
    flows = _flows(model)
    steps: list[Step] = []
    for element_id in _order(model, flows):
        element = model.elements[element_id]
        state: State = (
            "trouble"
            if element_id in trouble
            else "now"
            if element_id in now
            else "completed"
            if element_id in done
            else "open"
        )
        targets = flows.get(element_id, [])
        leads = tuple(_leads(model, label, target) for label, target in targets) if len(targets) > 1 else ()
        kind = KINDS.get(element.type, element.type)
        steps.append(Step(element_id, element.name or kind.capitalize(), kind, state, leads))
    return steps


def _leads(model: Drawn, label: str, target: str) -> str:
    return f"{label}: {model.element_name(target)}" if label else model.element_name(target)


def _flows(model: Drawn) -> dict[str, list[tuple[str, str]]]:
    """Element id → (label, target id) of each sequence flow out of it, and of what sits on its boundary."""
    root = etree.fromstring(model.diagram, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    found: dict[str, list[tuple[str, str]]] = {}
    for flow in root.iter(f"{BPMN}sequenceFlow"):
        found.setdefault(flow.get("sourceRef", ""), []).append((flow.get("name", ""), flow.get("targetRef", "")))
    for event in root.iter(f"{BPMN}boundaryEvent"):
        found.setdefault(event.get("attachedToRef", ""), []).append(("", event.get("id", "")))
    return found


def _order(model: Drawn, flows: dict[str, list[tuple[str, str]]]) -> list[str]:
    nodes = [element.id for element in model.elements.values() if element.type in KINDS or _is_node(element.type)]
    known = set(nodes)
    starts = [node for node in nodes if model.elements[node].type == "startEvent" and not model.elements[node].parent]
    seen: list[str] = []
    waiting = starts + [node for node in nodes if node not in starts]
    visited: set[str] = set()
    stack = list(reversed(waiting))
    while stack:
        node = stack.pop()
        if node in visited or node not in known:
            continue
        visited.add(node)
        seen.append(node)
        stack.extend(target for _label, target in reversed(flows.get(node, [])))
        inside = [one for one in nodes if model.elements[one].parent == node]
        stack.extend(reversed(inside))
    return seen


def _is_node(kind: str) -> bool:
    return kind.endswith(("Task", "Event", "Gateway")) or kind in ("task", "subProcess", "transaction", "callActivity")
