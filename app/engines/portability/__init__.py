"""One drawing, two engines: what of a model would run on the other one, element by element, and the easy half done.

`ported(content)` puts what can be said exactly into the other engine's words and lets that engine's checks tell what is
left. Nothing is guessed: what has no exact counterpart stays as it is and is among the problems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - untyped

from app.core.errors import Problem
from app.engines.portability import parts
from app.engines.portability.parts import Change
from app.engines.spiff import specs
from app.engines.spiff.intake import BPMN, MODELER, Xml, engine_of, read
from app.engines.spiff.specs import BundleFile

__all__ = ["Change", "Ported", "ported"]
Engine = Literal["spiff", "zeebe"]
PLATFORMS: dict[str, tuple[str, str]] = {
    "spiff": ("Camunda Platform", "7.24.0"),
    "zeebe": ("Camunda Cloud", "8.5.0"),
}
"""The marks by which a modeler, and DAMS, know for which engine a file is drawn."""


@dataclass(frozen=True, slots=True)
class Ported:
    """A file in the words of the other engine: what was put into them and what that engine's checks still say."""

    source: Engine
    target: Engine
    content: bytes
    changes: list[Change]
    problems: list[Problem]

    @property
    def runs(self) -> bool:
        """Whether the other engine would take it as it is now."""
        return not any(one.severity == "error" for one in self.problems)


def ported(file: BundleFile, further: Sequence[BundleFile] = (), *, renamed: Mapping[str, str] | None = None) -> Ported:
    """The file for the other engine; *further* are files that it names, as decision tables.

    *renamed* gives processes another id, so that both versions of them can be deployed side by side.

    Raises:
        XmlRefused: the file cannot be read.
    """
    root = read(file.content)
    source: Engine = engine_of(root)
    target: Engine = "zeebe" if source == "spiff" else "spiff"
    changes = parts.to_zeebe(root) if target == "zeebe" else parts.to_camunda(root)
    _mark(root, target)
    for own, other in (renamed or {}).items():
        _rename(root, own, other)
    content: Any = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    report = specs.check_bundle([BundleFile(file.name, content), *further])
    return Ported(source, target, content, changes, report.problems)


def _mark(root: Xml, target: Engine) -> None:
    platform, version = PLATFORMS[target]
    root.set(f"{{{MODELER}}}executionPlatform", platform)
    root.set(f"{{{MODELER}}}executionPlatformVersion", version)


def _rename(root: Xml, own: str, other: str) -> None:
    for node in root.iter():
        for name in ("bpmnElement", "processRef", "calledElement", "processId"):
            if node.get(name) == own:
                node.set(name, other)
        if node.tag == f"{{{BPMN}}}process" and node.get("id") == own:
            node.set("id", other)
