"""Service tasks with an external topic or an operator of Spiff: what of them is honoured, and that something serves it.

An operator becomes a topic: its id is the topic, its parameters are the inputs, in Python as everything in such a file.
"""

from __future__ import annotations

import ast
import re

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - untyped

from app.engines import topics
from app.engines.spiff.checks.model import B, C, Model, kind
from app.engines.spiff.intake import SPIFF, Xml

S = f"{{{SPIFF}}}"
CONNECTORS = {f"http/{method}Request{version}": method.upper() for method in ("Get", "Post") for version in ("", "V2")}
"""Spiff's own connectors that are the topic `http`, with their method."""
PYTHON = "python"
"""Marks a parameter whose text is Python as it stands."""

_KNOWN = frozenset("type topic resultVariable taskPriority asyncBefore asyncAfter exclusive jobPriority".split())  # noqa: SIM905
_NAME = re.compile(r"[^\W\d]\w*")


def bind(model: Model, node: Xml) -> bool:
    """Whether the task has an external topic; what is wrong with it is reported. It gets the attribute `topic`."""
    if not _take_operator(model, node):
        return True
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


def _take_operator(model: Model, node: Xml) -> bool:
    """Write an operator as a topic with inputs. False where it cannot be, which is reported."""
    operators = node.findall(f"{B}extensionElements/{S}serviceTaskOperator")
    if not operators:
        return True
    operator, named = operators[0], operators[0].get("id", "").strip()
    line = operator.sourceline or 0
    if len(operators) > 1 or node.get(f"{C}topic"):
        model.report("unbound-service", node, "says twice what does it", "leave one operator or topic", line)
        return False
    if named not in CONNECTORS and topics.read(named) is None:
        known = f"{topics.SYNTAX}; of Spiff's connectors {', '.join(CONNECTORS)}"
        model.report("unbound-service", node, f"nothing serves the operator {named[:80]!r}", f"write {known}", line)
        return False
    given = etree.SubElement(operator.getparent(), f"{C}inputOutput")
    if named in CONNECTORS:
        _input(given, "method", repr(CONNECTORS[named]), line)
    for parameter in operator.iterfind(f"{S}parameters/{S}parameter"):
        _input(given, parameter.get("id", ""), parameter.get("value", ""), parameter.sourceline or line)
    node.set(f"{C}type", "external")
    node.set(f"{C}topic", "http" if named in CONNECTORS else named)
    if operator.get("resultVariable"):
        node.set(f"{C}resultVariable", operator.get("resultVariable"))
    operator.getparent().remove(operator)
    return True


def _input(given: Xml, name: str, source: str, line: int) -> None:
    one = etree.SubElement(given, f"{C}inputParameter", {"name": name, PYTHON: "true"})
    one.text, one.sourceline = source, line


def _check_inputs(model: Model, node: Xml, topic: str) -> None:
    inputs = {one.get("name", ""): _literal(one) for one in node.iterfind(f"{B}extensionElements/{C}inputOutput/"
                                                                          f"{C}inputParameter")}  # fmt: skip
    for message, fix in topics.faults(topic, inputs):
        model.report("job-inputs", node, message, fix)


def _literal(parameter: Xml) -> str | None:
    """The text of a parameter, None where it is computed."""
    text = (parameter.text or "").strip()
    if parameter.get(PYTHON):
        try:
            return str(ast.literal_eval(text))
        except (ValueError, SyntaxError):
            return None
    return None if len(parameter) or "${" in text or "#{" in text else text
