"""Service tasks with an external topic: which of their attributes are honoured, and that something serves the topic."""

from __future__ import annotations

import re

from app.engines import topics
from app.engines.spiff.checks.model import B, C, Model, kind
from app.engines.spiff.intake import Xml

_KNOWN = frozenset("type topic resultVariable taskPriority asyncBefore asyncAfter exclusive jobPriority".split())  # noqa: SIM905
_NAME = re.compile(r"[^\W\d]\w*")


def bind(model: Model, node: Xml) -> bool:
    """Whether the task has an external topic; what is wrong with it is reported. It gets the attribute `topic`."""
    topic = node.get(f"{C}topic", "").strip()
    if node.get(f"{C}type") != "external" or not topic:
        return False
    if topics.read(topic) is None:
        model.report("unbound-service", node, f"nothing serves the topic {topic[:80]!r}", f"write {topics.SYNTAX}")
        return True
    _check_inputs(model, node, topic)
    for attribute in node.attrib:
        if attribute.startswith(C) and attribute[len(C) :] not in _KNOWN:
            model.report("camunda-extension", node, f"camunda:{attribute[len(C):]} is not honoured on a serviceTask",
                         "take it out")  # fmt: skip
    variable = node.get(f"{C}resultVariable")
    if variable is not None and not _NAME.fullmatch(variable):
        model.report("input-output", node, f"{variable!r} cannot be the name of a variable", "rename the result")
    for child in node.iterfind(f"{B}extensionElements/*"):
        if child.tag not in (f"{C}inputOutput", f"{C}properties"):
            model.report("camunda-extension", node, f"{str(child.tag).rpartition('}')[2]} is not honoured on a "
                         "serviceTask", "take it out", child.sourceline)  # fmt: skip
    if any(kind(child).endswith("LoopCharacteristics") for child in node):
        model.report("unbound-service", node, "a job is done once", "put the task into a sub-process that is a loop")
    node.set("topic", topic)
    return True


def _check_inputs(model: Model, node: Xml, topic: str) -> None:
    inputs = {one.get("name", ""): _literal(one) for one in node.iterfind(f"{B}extensionElements/{C}inputOutput/"
                                                                          f"{C}inputParameter")}  # fmt: skip
    for message, fix in topics.faults(topic, inputs):
        model.report("job-inputs", node, message, fix)


def _literal(parameter: Xml) -> str | None:
    """The text of a parameter, None where it is computed."""
    text = (parameter.text or "").strip()
    return None if len(parameter) or "${" in text or "#{" in text else text
