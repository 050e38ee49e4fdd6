"""Hostile expressions in every place of a model that evaluates one."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.engines.spiff import assignment
from app.engines.spiff.checks import Checked
from tests import drawing as draw
from tests.engines.spiff import faulty, faulty_links
from tests.engines.spiff.hostile import ESCAPES
from tests.engines.spiff.test_checks import checked

SLOTS = {
    "a condition": lambda text: faulty.choice(text, "", default="f2"),
    "a date": lambda text: faulty.timer("timeDate", draw.escape(text)),
    "a duration": lambda text: faulty.timer("timeDuration", draw.escape(text)),
    "a cycle": lambda text: faulty.timer("timeCycle", draw.escape(text)),
    "a cardinality": lambda text: faulty.loop(f"<bpmn:loopCardinality>{draw.escape(text)}</bpmn:loopCardinality>"),
    "a completion condition": lambda text: faulty.loop(
        "<bpmn:loopCardinality>3</bpmn:loopCardinality>"
        f"<bpmn:completionCondition>{draw.escape(text)}</bpmn:completionCondition>"
    ),
    "a collection": lambda text: faulty.loop("", f'camunda:collection="{draw.escape(text)}"'),
    "a loop condition": lambda text: faulty.task(
        "<bpmn:standardLoopCharacteristics>"
        f"<bpmn:loopCondition>{draw.escape(text)}</bpmn:loopCondition></bpmn:standardLoopCharacteristics>"
    ),
    "a conditional event": lambda text: faulty.event(
        "intermediateCatchEvent", "conditional", inner=f"<bpmn:condition>{draw.escape(text)}</bpmn:condition>"
    ),
    "a script": lambda text: faulty.script(draw.escape(text)),
    "a script before a task": lambda text: _beside("preScript", text),
    "a script behind a task": lambda text: _beside("postScript", text),
    "an input parameter": lambda text: faulty.script(
        "x = 1",
        inner=faulty.parameters(f'<camunda:inputParameter name="y">${{{draw.escape(text)}}}</camunda:inputParameter>'),
    ),
    "an input parameter of a user task": lambda text: faulty.extended(
        f'<camunda:inputOutput><camunda:inputParameter name="y">${{{draw.escape(text)}}}</camunda:inputParameter>'
        "</camunda:inputOutput>"
    ),
    "a mapping of a call": lambda text: faulty.extended(
        f'<camunda:in sourceExpression="${{{quoted(text)}}}" target="y" />', 'calledElement="P"', "callActivity"
    ),
    "an assignee": lambda text: faulty.task("", f'camunda:assignee="${{{quoted(text)}}}"'),
    "a candidate group": lambda text: faulty.task("", f'camunda:candidateGroups="staff, ${{{quoted(text)}}}"'),
    "an ad-hoc completion condition": lambda text: faulty.sub_process(
        f"{draw.manual_task('a')}<bpmn:completionCondition>{draw.escape(text)}</bpmn:completionCondition>",
        kind="adHocSubProcess",
    ),
    "a service task": lambda text: faulty.task("", f'camunda:expression="{draw.escape(text)}"', "serviceTask"),
    "text around an expression": lambda text: _put("inputParameter", f"Room ${{{draw.escape(text)}}}"),
    "text around an assignee": lambda text: faulty.task("", f'camunda:assignee="desk-${{{quoted(text)}}}"'),
    "an output parameter": lambda text: _put("outputParameter", f"${{{draw.escape(text)}}}"),
    "an item of a list": lambda text: _put(
        "inputParameter", f"<camunda:list><camunda:value>${{{draw.escape(text)}}}</camunda:value></camunda:list>"
    ),
    "a correlation key": lambda text: faulty_links.beside(faulty_links.correlated(draw.escape(text))),
    "a collection by reference": lambda text: faulty.loop(
        f"<bpmn:loopDataInputRef>{draw.escape(text)}</bpmn:loopDataInputRef>"
    ),
    "a collection of outputs": lambda text: faulty.loop(
        f"<bpmn:loopDataInputRef>x</bpmn:loopDataInputRef><bpmn:loopDataOutputRef>{draw.escape(text)}"
        '</bpmn:loopDataOutputRef><bpmn:outputDataItem id="o" name="o" />'
    ),
    "an element variable": lambda text: faulty.loop(
        "", f'camunda:collection="x" camunda:elementVariable="{quoted(text)}"'
    ),
    "a called process": lambda text: faulty.task("", f'calledElement="${{{quoted(text)}}}"', "callActivity"),
    "an input of a job": lambda text: faulty.extended(
        f'<camunda:inputOutput><camunda:inputParameter name="url">${{{draw.escape(text)}}}</camunda:inputParameter>'
        "</camunda:inputOutput>",
        'camunda:type="external" camunda:topic="http"',
        "serviceTask",
    ),
    "a listener": lambda text: faulty.extended(
        '<camunda:executionListener event="start"><camunda:script scriptFormat="python">'
        f"{draw.escape(text)}</camunda:script></camunda:executionListener>"
    ),
    "a message payload": lambda text: faulty.extended(
        f'<s:messagePayload xmlns:s="http://spiffworkflow.org/bpmn/schema/1.0/core">{draw.escape(text)}</s:messagePayload>'
    ),
}


def quoted(text: str) -> str:
    """For an attribute in double quotes."""
    return draw.escape(text).replace('"', "&quot;")


def _put(parameter: str, value: str) -> bytes:
    inside = f'<camunda:{parameter} name="y">{value}</camunda:{parameter}>'
    return faulty.extended(f"<camunda:inputOutput>{inside}</camunda:inputOutput>")


def _beside(slot: str, text: str) -> bytes:
    spiff = "http://spiffworkflow.org/bpmn/schema/1.0/core"
    return faulty.extended(f'<s:{slot} xmlns:s="{spiff}">{draw.escape(text)}</s:{slot}>', kind="manualTask")


NAMED = [text for text in ESCAPES if any(word in text for word in ("__", "open", "eval", "exec", "import", "getattr"))]


@pytest.mark.parametrize("slot", SLOTS)
def test_no_slot_of_a_model_takes_a_hostile_expression(slot: str) -> None:
    assert len(NAMED) >= 30
    assert [text for text in NAMED if _reaches_code(checked(SLOTS[slot](text)))] == []


def _reaches_code(found: Checked) -> bool:
    """Whether a checked file holds an attribute or a call that is not one of ours; `a.b` of JUEL is a look-up."""
    trees = [ast.parse(text) for file in found.files for text in _evaluated(file.tree)]
    return any(isinstance(node, ast.Attribute) for tree in trees for node in ast.walk(tree)) or (found.ok and not trees)


def _evaluated(tree: Any) -> Iterator[str]:
    """The Python that a checked tree holds where these models put it."""
    yield from (node.text or "" for node in tree.iter("{*}script", "{*}preScript", "{*}inputParameter"))
    for node in tree.iter("{*}userTask"):
        yield from (source for _, source in json.loads(node.get(assignment.COMPUTED, "[]")))
    yield from (node.get("sourceExpression") for node in tree.iter("{*}in"))
