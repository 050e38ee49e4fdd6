"""A drawing nobody has checked: what of it can be read, for the editor and without JavaScript."""

from __future__ import annotations

from functools import cached_property

from markupsafe import Markup

from app.engines.spiff import intake
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
        try:
            root = intake.read(self.diagram)
        except intake.XmlRefused as error:
            self.broken = error.message
            return
        self._read(root)

    def _read(self, root: Xml) -> None:
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
        return [] if self.broken else outline(self)

    @cached_property
    def drawing(self) -> Markup | None:
        return None if self.broken else diagram.draw(self)


def _element(node: Xml, kind: str) -> Element:
    around = node.getparent()
    parent = "" if around is None or around.tag == f"{BPMN}process" else around.get("id", "")
    name = " ".join(node.get("name", "").split())
    return Element(node.get("id"), kind, name, node.sourceline or 0, "", parent)
