"""What happens along the ways through a process: names that are set on some of them only, branches that meet unjoined.

The ways of all scopes of a process are seen as one graph: a sub-process leads to its start events, its end events
lead out of it. Event sub-processes and handlers begin by themselves and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.engines.spiff.checks.model import GATEWAYS, SCOPES, B, C, Model, Text, kind
from app.engines.spiff.forms import Form
from app.engines.spiff.intake import Xml
from app.engines.spiff.normaliser import link_name

_OUT = "~out"
"""After a sub-process; no XML id can contain it."""
_PAYLOADS = frozenset({"messageEventDefinition", "signalEventDefinition", "errorEventDefinition",
                       "escalationEventDefinition"})  # fmt: skip
_LEAVING = frozenset({"errorEventDefinition", "cancelEventDefinition"})
_FORKS = ("parallelGateway", "inclusiveGateway")


@dataclass
class _Graph:
    """Ids with what they lead to and what leads to them; ``entries`` are the start events, ``hosts`` what boundary
    events stand on.
    """

    after: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    before: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    entries: list[Xml] = field(default_factory=list[Xml])
    hosts: dict[str, str] = field(default_factory=dict[str, str])

    def lead(self, source: str, target: str) -> None:
        self.after.setdefault(source, []).append(target)
        self.before.setdefault(target, []).append(source)


def check(model: Model, forms: Mapping[str, Form], set_somewhere: set[str]) -> None:
    """Warns of both. *set_somewhere* are the names that anything in the deployment sets."""
    written = _written(model)
    for process in model.processes:
        graph = _graph(model, process)
        conditions = [text for text in model.texts if text.slot == "condition" and _flow_of(process, text)]
        asked = {name for text in conditions for name in text.compiled.reads}
        for name in sorted(asked & set_somewhere):
            setters = {own for own in graph.after if _sets(model, own, name, forms, written)}
            _check_name(model, graph, name, setters, [text for text in conditions if name in text.compiled.reads])
        for node in process.iter(*(B + one for one in _FORKS)):
            _check_meeting(model, node)


def _flow_of(process: Xml, text: Text) -> bool:
    return kind(text.node) == "sequenceFlow" and next(text.node.iterancestors(f"{B}process")) is process


def _written(model: Model) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for text in model.texts:
        found.setdefault(text.node.get("id", ""), set()).update(text.compiled.writes)
    return found


def _graph(model: Model, process: Xml) -> _Graph:
    graph = _Graph()
    for scope in [process, *(node for node in process.iter(f"{B}*") if kind(node) in SCOPES)]:
        own, inside = scope.get("id", ""), model.children(scope)
        catches = {link_name(node): node.get("id", "") for node in inside if kind(node) == "intermediateCatchEvent"}
        for node in inside:
            _connect(model, graph, scope, node, catches)
        if scope is not process and not any(kind(node) == "startEvent" for node in inside):
            graph.lead(own, own + _OUT)  # ad hoc: in whatever order
    return graph


def _connect(model: Model, graph: _Graph, scope: Xml, node: Xml, catches: Mapping[str | None, str]) -> None:
    own, type_ = node.get("id", ""), kind(node)
    source = own + _OUT if type_ in SCOPES else own
    for flow in model.outgoing.get(own, []):
        graph.lead(source, flow.get("targetRef", ""))
    if type_ == "boundaryEvent":
        graph.hosts[own] = node.get("attachedToRef", "")
        graph.lead(graph.hosts[own], own)
    elif type_ == "startEvent" and kind(scope) == "process":
        graph.entries.append(node)
    elif type_ == "startEvent" and scope.get("triggeredByEvent") not in ("true", "1"):
        graph.lead(scope.get("id", ""), own)
    elif type_ == "endEvent" and not _LEAVING & {kind(one) for one in model.definitions(node)}:
        graph.lead(own, scope.get("id", "") + _OUT)
    elif type_ == "intermediateThrowEvent" and (name := link_name(node)) in catches and name:
        graph.lead(own, catches[name])


def _check_name(model: Model, graph: _Graph, name: str, setters: set[str], texts: list[Text]) -> None:
    lacking = _lacking(model, graph, setters)
    for text in texts:
        if text.node.get("sourceRef", "") in lacking:
            model.report("name-sometimes-set", text.node, f"its condition uses {name}, which not every way here sets",
                         f"set {name} before the ways part, or on each of them")  # fmt: skip


def _sets(model: Model, own: str, name: str, forms: Mapping[str, Form], written: dict[str, set[str]]) -> bool:
    """Whether the name is set, or may be, once a token has gone through: what an event brings is not known here."""
    node = model.ids.get(own)
    if node is None:
        return False
    if own in forms and any(one.id.partition(".")[0] == name for one in forms[own].fields):
        return True
    if name in written.get(own, ()) or name == node.get(f"{C}initiator"):
        return True
    outs = node.findall(f"{B}extensionElements/{C}out")
    if kind(node) == "callActivity":
        return not outs or any(one.get("target") == name or one.get("variables") for one in outs)
    if any(one.get("name") == name for one in node.iter(f"{C}outputParameter")):
        return True
    brings = {kind(one) for one in model.definitions(node)} & _PAYLOADS
    return kind(node) in ("receiveTask", "adHocSubProcess") or (bool(brings) and kind(node) not in _THROWS)


_THROWS = ("intermediateThrowEvent", "endEvent")


def _lacking(model: Model, graph: _Graph, setters: set[str]) -> set[str]:
    """Where a token can have come to, and gone through, without the name. A join needs that on all its ways."""
    blank = [start for start in graph.entries if not _PAYLOADS & {kind(one) for one in model.definitions(start)}]
    todo, passed = [start.get("id", "") for start in blank], set[str]()
    while todo:
        own = todo.pop()
        if own in passed:
            continue
        node = model.ids.get(own)
        before = graph.before.get(own, [])
        joins = node is not None and kind(node) == "parallelGateway" and len(before) > 1
        if joins and not passed.issuperset(before):
            continue
        if own not in setters:
            passed.add(own)
        # A boundary event leaves before what it stands on has set anything.
        todo += [one for one in graph.after.get(own, []) if own not in setters or graph.hosts.get(one) == own]
    return passed


def _check_meeting(model: Model, fork: Xml) -> None:
    """Branches that run side by side and meet in an activity make it run once for each."""
    ways = model.outgoing.get(fork.get("id", ""), [])
    arrived: dict[str, dict[str, int]] = {}
    for number, way in enumerate(ways):
        for target, flow in _walk(model, fork, way):
            arrived.setdefault(target, {}).setdefault(flow, number)
    for own, flows in arrived.items():
        node = model.ids.get(own)
        if node is not None and len(set(flows.values())) > 1 and kind(node) not in ("endEvent", *GATEWAYS):
            model.report("fake-join", node, f"runs once for each branch of {fork.get('id')} that leads to it",
                         "join the branches in a gateway before it")  # fmt: skip


def _walk(model: Model, fork: Xml, way: Xml) -> list[tuple[str, str]]:
    """What a branch reaches before it is joined, each with the flow by which it does."""
    found: list[tuple[str, str]] = []
    todo, seen = [way], set[str]()
    while todo:
        flow = todo.pop()
        if flow.get("id", "") in seen:
            continue
        seen.add(flow.get("id", ""))
        own = flow.get("targetRef", "")
        found.append((own, flow.get("id", "")))
        node = model.ids.get(own)
        if node is None or node is fork or (kind(node) in _FORKS and len(model.incoming.get(own, [])) > 1):
            continue
        todo += model.outgoing.get(own, [])
    return found
