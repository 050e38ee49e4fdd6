"""Two versions of a process side by side: elements that came, went or changed, and who stands on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - untyped
from sqlalchemy import text

from app.db.session import Session
from app.engines.spiff.checks.model import FLOW_NODES, B, C, kind
from app.engines.spiff.coded import compiling
from app.engines.spiff.intake import Xml, read
from app.engines.spiff.specs import CompiledModel

WHAT = {
    "conditionExpression": "condition",
    "script": "script",
    "documentation": "documentation",
    "formData": "form",
    "inputOutput": "inputs and outputs",
    "multiInstanceLoopCharacteristics": "repetition",
    "standardLoopCharacteristics": "repetition",
    "sourceRef": "where it begins",
    "targetRef": "where it leads",
    "attachedToRef": "what it stands on",
    "name": "name",
    "default": "default flow",
}
"""What people call a part of an element; an attribute of another name is called by it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An element that is not the same in both versions. `running` are the running instances that stand on it."""

    element_id: str
    element_type: str
    name: str
    kind: Literal["added", "removed", "changed"]
    what: tuple[str, ...] = ()
    running: int = 0


def compare(old: CompiledModel, new: CompiledModel, standing: Mapping[str, int] | None = None) -> list[Difference]:
    """What differs, in the order of the new file, what went last. *standing* counts running instances by element.

    Places in the drawing are no difference. An element inside a sub-process that moved to another is changed.
    """
    before, after, at = _facts(old), _facts(new), standing or {}
    found: list[Difference] = []
    for own, element in new.elements.items():
        if own not in old.elements:
            found.append(Difference(own, element.type, element.name, "added"))
        elif before.get(own) != after.get(own):
            what = tuple(_what(before.get(own, {}), after.get(own, {})))
            found.append(Difference(own, element.type, element.name, "changed", what, at.get(own, 0)))
    return found + [
        Difference(own, element.type, element.name, "removed", (), at.get(own, 0))
        for own, element in old.elements.items()
        if own not in new.elements
    ]


async def standing(session: Session, process_id: str, versions: Sequence[int] | None = None) -> dict[str, int]:
    """How many running instances of a process stand on each of its elements: open tasks, events, incidents."""
    rows = await session.execute(
        text("""
            with running as (
                select i.id, i.waiting from instance i join model m on m.id = i.model_id
                where m.process_id = :process_id and i.status in ('running', 'failed') and i.ended_at is null
                and (cast(:versions as int[]) is null or m.version = any(cast(:versions as int[]))))
            select element_id, count(distinct id) as n from (
                select r.id, t.element_id from running r join user_task t on t.instance_id = r.id
                where t.state in ('ready', 'claimed')
                union all
                select r.id, w->>'element_id' from running r, jsonb_array_elements(r.waiting) w
                union all
                select r.id, n.element_id from running r join incident n on n.instance_id = r.id
                where n.resolved_at is null
            ) at where element_id is not null group by element_id"""),
        {"process_id": process_id, "versions": None if versions is None else list(versions)},
    )
    return {row.element_id: row.n for row in rows}


def _what(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    changed = [name for name in dict.fromkeys([*after, *before]) if before.get(name) != after.get(name)]
    return list(dict.fromkeys(WHAT.get(name, name) for name in changed))


def _facts(model: CompiledModel) -> dict[str, dict[str, str]]:
    """What each element says, by the name of its part."""
    if compiling.is_coded(model.file):
        return {
            own: {name: str(value) for name, value in element.as_dict().items() if name != "line"}
            | ({"formData": str(model.forms[own].as_list())} if own in model.forms else {})
            for own, element in model.elements.items()
        }
    nodes = {node.get("id", ""): node for node in read(model.xml).iter(f"{B}*") if node.get("id") in model.elements}
    return {own: _said(model, node) for own, node in nodes.items()}


def _said(model: CompiledModel, node: Xml) -> dict[str, str]:
    own: str = node.get("id", "")
    facts: dict[str, str] = {"type": kind(node), "parent": model.elements[own].parent, "lane": model.elements[own].lane}
    facts |= {_local(name): value for name, value in node.attrib.items() if name != "id"}
    for child in node:
        for part in child if kind(child) == "extensionElements" else (child,):
            name = kind(part) or _local(str(part.tag))
            if name in ("incoming", "outgoing", "sequenceFlow", "") or name in FLOW_NODES:
                continue  # the flows and what is inside are elements of their own
            facts[name] = facts.get(name, "") + _canonical(part)
    return facts


def _canonical(part: Xml) -> str:
    """The same text for the same content, however its file was written."""
    content: Any = etree.tostring(part, method="c14n", exclusive=True, with_comments=False)
    return " ".join(content.decode().split()).replace("> <", "><")


def _local(name: str) -> str:
    return name.removeprefix(C).rpartition("}")[2]
