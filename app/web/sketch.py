"""A drawing nobody has checked: what of it can be read, for the editor and without JavaScript."""

from __future__ import annotations

from functools import cached_property

from markupsafe import Markup

from app.engines.spiff import decisions, intake
from app.engines.spiff.elements import Element
from app.engines.spiff.intake import Xml
from app.web import diagram
from app.web.outline import BPMN, Step, outline

NODES = ("Task", "Event", "Gateway", "Process", "Activity")
PLAIN = ("task", "subProcess", "transaction", "sequenceFlow", "callActivity")


class Sketch:
    """*text* as far as it can be read; one that is no XML has no elements and says why in `broken`."""

    def __init__(self, text: str) -> None:
        self.diagram = text.encode()
        self.broken = ""
        self.elements: dict[str, Element] = {}
        self.process_id = self.name = ""
        self.engine = "spiff"
        self.tables: list[Step] = []
        try:
            root = intake.read(self.diagram)
        except intake.XmlRefused as error:
            self.broken = error.message
            return
        self._read(root)

    def _read(self, root: Xml) -> None:
        if decisions.is_dmn(root):
            self.name, self.tables = root.get("name", ""), _rules(root)
            return
        self.engine = intake.engine_of(root)
        processes = list(root.iter(f"{BPMN}process"))
        chosen = next((one for one in processes if one.get("isExecutable") == "true"), next(iter(processes), None))
        if chosen is not None:
            self.process_id, self.name = chosen.get("id", ""), chosen.get("name", "")
        for process in processes:
            for node in process.iter(f"{BPMN}*"):
                kind = node.tag.removeprefix(BPMN)
                if node.get("id") and (kind in PLAIN or kind.endswith(NODES)) and kind != "process":
                    self.elements[node.get("id")] = _element(node, kind)

    def element_name(self, element_id: str) -> str:
        element = self.elements.get(element_id)
        return (element.name if element else "") or element_id

    @cached_property
    def steps(self) -> list[Step]:
        return self.tables if self.broken or self.tables else outline(self)

    @cached_property
    def drawing(self) -> Markup | None:
        return None if self.broken or self.tables else diagram.draw(self)


def _rules(root: Xml) -> list[Step]:
    """Each decision with its rules: what each input has to be, and what comes of it."""
    found: list[Step] = []
    for decision in root.iter("{*}decision"):
        found.append(Step(decision.get("id", ""), decision.get("name", ""), "decision", "open", ()))
        for table in decision.iter("{*}decisionTable"):
            inputs = [one.get("label") or _said(one) for one in table.iter("{*}input")]
            outputs = [one.get("label") or one.get("name", "") for one in table.iter("{*}output")]
            for rule in table.iter("{*}rule"):
                wanted = zip(inputs, map(_said, rule.iter("{*}inputEntry")), strict=False)
                given = zip(outputs, map(_said, rule.iter("{*}outputEntry")), strict=False)
                asked = ", ".join(f"{name}: {value}" for name, value in wanted if value not in ("", "-"))
                told = ", ".join(f"{name} = {value}" for name, value in given)
                found.append(Step(rule.get("id", ""), f"{asked or '–'} → {told}", "rule", "open", ()))
    return found


def _said(node: Xml) -> str:
    return " ".join("".join(text.text or "" for text in node.iter("{*}text")).split())


def _element(node: Xml, kind: str) -> Element:
    around = node.getparent()
    parent = "" if around is None or around.tag == f"{BPMN}process" else around.get("id", "")
    name = " ".join(node.get("name", "").split())
    return Element(node.get("id"), kind, name, node.sourceline or 0, "", parent)
