"""A coded process as BPMN: what the parser reads, and the diagram that pages show. Columns are steps from the start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import lxml.etree as etree

from app.engines.spiff.coded.reading import START, Spec, Step
from app.engines.spiff.intake import BPMN, CAMUNDA, Xml

DI = "http://www.omg.org/spec/BPMN/20100524/DI"
DC = "http://www.omg.org/spec/DD/20100524/DC"
WAY = "http://www.omg.org/spec/DD/20100524/DI"
NAMES = {"bpmn": BPMN, "camunda": CAMUNDA, "bpmndi": DI, "dc": DC, "di": WAY}
SIZES = {"start": (36, 36), "simple": (140, 80), "choice": (50, 50)}
COLUMN, ROW, LEFT, TOP = 210, 130, 60, 60
_CONSTRAINTS = ("required", "readonly", "min", "max", "minlength", "maxlength", "pattern")


def draw(spec: Spec) -> Xml:
    """The root element. Ids of tasks are the names in the file; a flow's id joins two of them by a hyphen."""
    root = etree.Element(f"{{{BPMN}}}definitions", nsmap=NAMES)
    root.set("id", f"{spec.name}-file")
    root.set("targetNamespace", "urn:dams:coded")
    process = _add(root, BPMN, "process", id=spec.name, name=spec.label, isExecutable="true")
    flows = list(_flows(spec))
    for step in spec.steps.values():
        _draw_step(process, step, [flow for flow in flows if flow[1] == step.name])
    for flow_id, source, target, condition in flows:
        flow = _add(process, BPMN, "sequenceFlow", id=flow_id, sourceRef=source, targetRef=target)
        if condition:
            flow.set("name", condition.replace("==", "="))
            _add(flow, BPMN, "conditionExpression").text = condition
    _draw_places(root, spec, flows)
    return root


def _flows(spec: Spec) -> Iterator[tuple[str, str, str, str]]:
    """(id, source, target, condition) of every way; the default of a choice comes last and has no condition."""
    for step in spec.steps.values():
        for number, branch in enumerate(step.branches):
            again = any(earlier.target == branch.target for earlier in step.branches[:number])
            own = f"{step.name}-{branch.target}" + (f"-{number + 1}" if again else "")
            yield own, step.name, branch.target, branch.condition


def _draw_step(process: Xml, step: Step, out: list[tuple[str, str, str, str]]) -> None:
    tag = {"start": "startEvent", "choice": "exclusiveGateway"}.get(step.kind, "userTask" if step.manual else "task")
    node = _add(process, BPMN, tag, id=step.name, name=step.label)
    if step.kind == "choice":
        node.set("default", out[-1][0])
    if roles := step.data.get("candidate_roles"):
        node.set(f"{{{CAMUNDA}}}candidateGroups", ",".join(str(role) for role in cast("list[Any]", roles)))
    if words := step.data.get("documentation"):
        _add(node, BPMN, "documentation").text = str(words)
    if rows := step.data.get("form"):
        form = _add(_add(node, BPMN, "extensionElements"), CAMUNDA, "formData")
        for row in cast("list[dict[str, Any]]", rows):
            _draw_field(form, row)


def _draw_field(form: Xml, row: dict[str, Any]) -> None:
    field = _add(form, CAMUNDA, "formField", id=str(row.get("id", "")))
    for member, attribute in (("label", "label"), ("type", "type"), ("default", "defaultValue")):
        if row.get(member) is not None:
            field.set(attribute, str(row[member]))
    rules = {name: row[name] for name in _CONSTRAINTS if row.get(name) is not None and row[name] is not False}
    if rules:
        validation = _add(field, CAMUNDA, "validation")
        for name, value in rules.items():
            _add(validation, CAMUNDA, "constraint", name=name, config=str(value).lower())
    for option in cast("list[dict[str, Any]]", row.get("options") or []):
        _add(field, CAMUNDA, "value", id=str(option.get("id", "")), name=str(option.get("name", "")))


def _draw_places(root: Xml, spec: Spec, flows: list[tuple[str, str, str, str]]) -> None:
    diagram = _add(root, DI, "BPMNDiagram", id=f"{spec.name}-diagram")
    plane = _add(diagram, DI, "BPMNPlane", id=f"{spec.name}-plane", bpmnElement=spec.name)
    boxes = _boxes(spec)
    for name, (x, y, width, height) in boxes.items():
        shape = _add(plane, DI, "BPMNShape", id=f"{name}-shape", bpmnElement=name)
        _add(shape, DC, "Bounds", x=str(x), y=str(y), width=str(width), height=str(height))
    for flow_id, source, target, _ in flows:
        edge = _add(plane, DI, "BPMNEdge", id=f"{flow_id}-edge", bpmnElement=flow_id)
        for x, y in _way(boxes[source], boxes[target]):
            _add(edge, WAY, "waypoint", x=str(x), y=str(y))


def _boxes(spec: Spec) -> dict[str, tuple[int, int, int, int]]:
    """Left, top, width and height of each task: its column is its distance from the start."""
    columns: dict[str, int] = {START: 0}
    todo = [START]
    for name in todo:
        for branch in spec.steps[name].branches:
            if branch.target not in columns:
                columns[branch.target] = columns[name] + 1
                todo.append(branch.target)
    boxes: dict[str, tuple[int, int, int, int]] = {}
    rows: dict[int, int] = {}
    for name, column in columns.items():
        width, height = SIZES[spec.steps[name].kind]
        row = rows[column] = rows.get(column, -1) + 1
        x, y = LEFT + column * COLUMN + (140 - width) // 2, TOP + row * ROW + (80 - height) // 2
        boxes[name] = (x, y, width, height)
    return boxes


def _way(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    begin, end = (one[0] + one[2], one[1] + one[3] // 2), (other[0], other[1] + other[3] // 2)
    if end[0] > begin[0]:
        middle = (begin[0] + end[0]) // 2
        return [begin, end] if begin[1] == end[1] else [begin, (middle, begin[1]), (middle, end[1]), end]
    low = max(one[1] + one[3], other[1] + other[3]) + 30  # back to an earlier task: below both
    begin, end = (one[0] + one[2] // 2, one[1] + one[3]), (other[0] + other[2] // 2, other[1] + other[3])
    return [begin, (begin[0], low), (end[0], low), end]


def _add(parent: Xml, space: str, tag: str, **attributes: str) -> Xml:
    return etree.SubElement(parent, f"{{{space}}}{tag}", attributes)
