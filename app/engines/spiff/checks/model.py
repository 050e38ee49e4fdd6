"""One uploaded file while it is checked: its tree, its indexes, the problems found so far.

The rules themselves live in the other modules of this package; they read a `Model` and report to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from app.core.errors import Problem
from app.engines.spiff.checks.rules import RULES
from app.engines.spiff.expressions import Compiled
from app.engines.spiff.intake import BPMN, CAMUNDA, Xml
from app.engines.spiff.normaliser import MARK

B = f"{{{BPMN}}}"
C = f"{{{CAMUNDA}}}"

TASKS = frozenset(
    "task userTask manualTask scriptTask serviceTask sendTask receiveTask businessRuleTask".split(),  # noqa: SIM905
)
SCOPES = frozenset({"subProcess", "transaction", "adHocSubProcess"})
ACTIVITIES = TASKS | SCOPES | {"callActivity"}
GATEWAYS = frozenset({"exclusiveGateway", "inclusiveGateway", "parallelGateway", "eventBasedGateway", "complexGateway"})
EVENTS = frozenset(
    {"startEvent", "endEvent", "intermediateCatchEvent", "intermediateThrowEvent", "boundaryEvent"},
)
FLOW_NODES = ACTIVITIES | GATEWAYS | EVENTS


def kind(node: Xml) -> str:
    """The local name of a BPMN element, "" for elements of other namespaces."""
    tag = node.tag
    return tag[len(B) :] if isinstance(tag, str) and tag.startswith(B) else ""


@dataclass(frozen=True, slots=True)
class Text:
    """A script or expression found in the file, compiled; what its names are set or read by."""

    node: Xml
    slot: Literal["script", "condition", "timer", "loop", "other"]
    compiled: Compiled


@dataclass
class Model:
    """A file being checked."""

    file: str
    root: Xml
    dialect: Literal["camunda", "python"]
    problems: list[Problem] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ids: dict[str, Xml] = {}
        for node in self.root.iter(f"{B}*"):
            if node.get("id"):
                self.ids.setdefault(node.get("id"), node)
        self.processes = [p for p in self.root.iter(f"{B}process") if p.get("isExecutable") in ("true", "1")]
        self.nodes = [n for p in self.processes for n in p.iter(f"{B}*") if kind(n) in FLOW_NODES]
        self.flows = [f for p in self.processes for f in p.iter(f"{B}sequenceFlow")]
        self.lanes = {
            (ref.text or "").strip(): " ".join(lane.get("name", "").split())
            for lane in self.root.iter(f"{B}lane")
            for ref in lane.iterchildren(f"{B}flowNodeRef")
        }
        """Names of lanes by the id of what stands in them, the innermost last."""
        self.outgoing: dict[str, list[Xml]] = {}
        self.incoming: dict[str, list[Xml]] = {}
        for flow in self.flows:
            self.outgoing.setdefault(flow.get("sourceRef", ""), []).append(flow)
            self.incoming.setdefault(flow.get("targetRef", ""), []).append(flow)

    def report(self, rule: str, node: Xml | None, message: str, fix: str, line: int = 0) -> None:
        """Adds a problem at an element; ``line`` overrides the element's own."""
        element = node if node is not None else self.root
        self.problems.append(
            Problem(
                file=self.file,
                line=line or (element.sourceline or 0),
                element_type=element.get("drawnAs") or kind(element) or _local(element),
                element_id=element.get("id", "").partition(MARK)[0],
                element_name=" ".join(element.get("name", "").split()),
                rule=rule,
                severity=RULES[rule],
                message=message,
                fix=fix,
            )
        )

    @property
    def refused(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)

    def nodes_of(self, *kinds: str) -> Iterator[Xml]:
        return (node for node in self.nodes if kind(node) in kinds)

    def scopes(self) -> Iterator[Xml]:
        """The executable processes and the sub-processes in them: what flows may not leave."""
        for process in self.processes:
            yield process
            yield from (node for node in process.iter(f"{B}*") if kind(node) in SCOPES)

    def children(self, scope: Xml) -> list[Xml]:
        """The flow nodes that stand directly in a scope."""
        return [node for node in scope.iterchildren(f"{B}*") if kind(node) in FLOW_NODES]

    def by_hand(self, event: Xml) -> bool:
        """Whether a start event is the one at which a person or program starts the process."""
        return kind(event.getparent()) == "process" and not self.definitions(event)

    def definitions(self, event: Xml) -> list[Xml]:
        """The event definitions of an event, in place or by reference."""
        return [child for child in event if kind(child).endswith(("EventDefinition", "eventDefinitionRef"))]


def scope_of(node: Xml) -> Xml:
    """The process or sub-process a node stands in."""
    at = node.getparent()
    while kind(at) not in SCOPES and kind(at) != "process":
        at = at.getparent()
    return at


def _local(node: Xml) -> str:
    return str(node.tag).rpartition("}")[2]
