"""Why an element was not reached: proved where no flow leads to it, else what would have had to happen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - untyped

from app.engines.spiff.checks.model import GATEWAYS, B, kind
from app.engines.spiff.dry_run.report import Missed
from app.engines.spiff.elements import Element
from app.engines.spiff.intake import Xml, read
from app.engines.spiff.specs import CompiledModel


def of(model: CompiledModel, missed: Iterable[Element], reached: set[str], failed: set[str]) -> Iterator[Missed]:
    """A reason for each element that was missed."""
    root = _root(model.xml)
    incoming: dict[str, list[Xml]] = defaultdict(list)
    for flow in root.iter(f"{B}sequenceFlow") if root is not None else ():
        incoming[flow.get("targetRef", "")].append(flow)
    nodes = {} if root is None else {node.get("id"): node for node in root.iter(f"{B}*") if node.get("id")}
    for element in missed:
        node = nodes.get(element.id)
        if node is None:
            yield Missed(element.id, "it stands in a process that is called, and was not called that far", False)
            continue
        yield _why(element, node, incoming[element.id], reached, failed, nodes)


def _why(
    element: Element, node: Xml, flows: list[Xml], reached: set[str], failed: set[str], nodes: Mapping[str, Xml]
) -> Missed:
    if kind(node) == "boundaryEvent":
        host = node.get("attachedToRef", "")
        if host not in reached:
            return Missed(element.id, f"{host} was not reached", False)
        return Missed(element.id, f"what it waits for never happened while {host} was at work", False)
    if kind(node) == "startEvent":
        return Missed(element.id, "what starts it never happened", False)
    if not flows:
        beside = node.getparent().get("triggeredByEvent") if node.getparent() is not None else None
        if beside or node.get("triggeredByEvent") or node.get("isForCompensation") or _linked(node):
            return Missed(element.id, "what starts it never happened", False)
        return Missed(element.id, "no sequence flow leads to it", True)
    parted = [flow for flow in flows if flow.get("sourceRef") in reached]
    if not parted:
        names = ", ".join(dict.fromkeys(flow.get("sourceRef", "") for flow in flows))
        return Missed(element.id, f"{names} before it was not reached, or never left", False)
    flow = parted[0]
    condition = flow.find(f"{B}conditionExpression")
    if condition is not None and (condition.text or "").strip():
        text = " ".join((condition.text or "").split())
        return Missed(element.id, f"no entry that was tried makes {text} true on the flow {flow.get('id')}", False)
    source = flow.get("sourceRef", "")
    if source in failed:
        return Missed(element.id, f"{source} before it ended in an incident", False)
    if kind(nodes[source]) in GATEWAYS and condition is None:
        return Missed(element.id, f"another flow than {flow.get('id')} was taken at {source} with every entry", False)
    return Missed(element.id, f"{source} before it was never left by the flow {flow.get('id')}", False)


def _linked(node: Xml) -> bool:
    return node.find(f"{B}linkEventDefinition") is not None


def silent(model: CompiledModel) -> set[str]:
    """Elements that no token enters: the boundary events that only say what undoes an activity."""
    root = _root(model.xml)
    found = root.iter(f"{B}boundaryEvent") if root is not None else ()
    return {one.get("id", "") for one in found if one.find(f"{B}compensateEventDefinition") is not None}


def error_codes(model: CompiledModel) -> list[str]:
    """The codes of the errors that the file declares, and one of no name where an event catches any."""
    root = _root(model.xml)
    if root is None:
        return []
    codes = [one.get("errorCode", "") for one in root.iter(f"{B}error")]
    if any(not one.get("errorRef") for one in root.iter(f"{B}errorEventDefinition")):
        codes.append("FAILED")
    return list(dict.fromkeys(code for code in codes if code))


@lru_cache(maxsize=32)
def _root(content: bytes) -> Xml | None:
    """The file's tree, None for a coded process, which has no drawing."""
    if content.lstrip()[:1] == b"{":
        return None
    try:
        return read(content)
    except etree.XMLSyntaxError:
        return None
