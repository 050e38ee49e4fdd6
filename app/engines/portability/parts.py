"""The parts of a drawing that both engines have under other names: conditions, jobs, mappings, forms, collections."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.engines.portability import texts
from app.engines.spiff.expressions import Dialect, compile_script
from app.engines.spiff.intake import BPMN, CAMUNDA, ZEEBE, Xml, dialect_of
from app.engines.spiff.subset import ScriptRefused

B, C, Z = f"{{{BPMN}}}", f"{{{CAMUNDA}}}", f"{{{ZEEBE}}}"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
FORMS = {"string": "textfield", "long": "number", "boolean": "checkbox", "enum": "select", "date": "datetime"}
"""Kinds of Camunda's form fields, and the components of form-js that enter the same."""
_JOBS = ("serviceTask", "sendTask", "businessRuleTask")
_EMBEDDED = "camunda-forms:bpmn:"


@dataclass(frozen=True, slots=True)
class Change:
    """What was put into the other engine's words at an element."""

    element_id: str
    what: str


def to_zeebe(root: Xml) -> list[Change]:
    """Changes the tree in place; what has no exact counterpart stays."""
    dialect = dialect_of(root)
    changes = list(_conditions_to_feel(root, dialect))
    for node in _elements(root):
        changes += _job_to_zeebe(node, dialect)
        changes += _script_to_zeebe(node)
        changes += _form_to_zeebe(node)
        changes += _collection_to_zeebe(node)
    return changes


def to_camunda(root: Xml) -> list[Change]:
    """Changes the tree in place; what has no exact counterpart stays."""
    forms = {one.get("id"): one.text or "" for one in root.iter(f"{Z}userTaskForm")}
    changes = list(_conditions_to_juel(root))
    for node in _elements(root):
        changes += _job_to_camunda(node)
        changes += _script_to_camunda(node)
        changes += _form_to_camunda(node, forms)
        changes += _collection_to_camunda(node)
    for one in list(root.iter(f"{Z}userTaskForm")):
        one.getparent().remove(one)
    _drop_empty(root)
    return changes


def _elements(root: Xml) -> list[Xml]:
    return [node for node in root.iter(f"{B}*") if node.get("id")]


def _conditions_to_feel(root: Xml, dialect: Dialect) -> Iterator[Change]:
    for condition in root.iter(f"{B}conditionExpression"):
        said = texts.to_feel((condition.text or "").strip(), dialect)
        if said is not None:
            condition.text = f"={said}"
            condition.attrib.pop("language", None)
            yield Change(condition.getparent().get("id", ""), f"condition: ={said}")


def _conditions_to_juel(root: Xml) -> Iterator[Change]:
    for condition in root.iter(f"{B}conditionExpression"):
        said = texts.to_juel(condition.text or "")
        if said is not None:
            condition.text = said
            yield Change(condition.getparent().get("id", ""), f"condition: {said}")


def _job_to_zeebe(node: Xml, dialect: Dialect) -> Iterator[Change]:
    topic = node.get(f"{C}topic", "").strip()
    if _name(node) not in _JOBS or node.get(f"{C}type") != "external" or not topic:
        return
    mapping = node.find(f"{B}extensionElements/{C}inputOutput")
    said = _mapped_to_feel(mapping, dialect) if mapping is not None else []
    if said is None:
        return
    for name in ("type", "topic"):
        node.attrib.pop(f"{C}{name}")
    holder = _holder(node)
    if mapping is not None:
        holder.remove(mapping)
    _add(holder, "taskDefinition", type=topic)
    if said:
        inside = _add(holder, "ioMapping")
        for kind, source, target in sorted(said):
            _add(inside, kind, source=source, target=target)
    yield Change(node.get("id", ""), f"job type: {topic}")


def _mapped_to_feel(mapping: Xml, dialect: Dialect) -> list[tuple[str, str, str]] | None:
    """Kind, FEEL source and target of each parameter; None where one has no exact counterpart."""
    found: list[tuple[str, str, str]] = []
    for parameter in mapping:
        kind = "input" if parameter.tag == f"{C}inputParameter" else "output"
        source = (parameter.text or "").strip()
        said = texts.to_feel(source, dialect) if "${" in source or dialect == "python" else json.dumps(source)
        if len(parameter) or not parameter.get("name") or said is None:
            return None
        found.append((kind, f"={said}", parameter.get("name", "")))
    return found


def _job_to_camunda(node: Xml) -> Iterator[Change]:
    holder = node.find(f"{B}extensionElements")
    task = holder.find(f"{Z}taskDefinition") if holder is not None else None
    if holder is None or task is None or _name(node) not in _JOBS or task.get("type", "=").startswith("="):
        return
    mapping = holder.find(f"{Z}ioMapping")
    said = [(one, texts.to_juel(one.get("source", ""))) for one in (mapping if mapping is not None else ())]
    if any(source is None for _, source in said):
        return
    node.set(f"{C}type", "external")
    node.set(f"{C}topic", task.get("type", ""))
    holder.remove(task)
    if mapping is not None:
        holder.remove(mapping)
        inside = holder.makeelement(f"{C}inputOutput", {})
        holder.append(inside)
        for one, source in said:
            kind = "inputParameter" if one.tag == f"{Z}input" else "outputParameter"
            parameter = inside.makeelement(f"{C}{kind}", {"name": one.get("target", "")})
            parameter.text = source
            inside.append(parameter)
    yield Change(node.get("id", ""), f"topic: {task.get('type', '')}")


def _script_to_zeebe(node: Xml) -> Iterator[Change]:
    """A script that only sets one variable is an expression with a result."""
    script = node.find(f"{B}script")
    if _name(node) != "scriptTask" or script is None:
        return
    try:
        compile_script(script.text or "")
        body = ast.parse((script.text or "").strip()).body
    except (ScriptRefused, SyntaxError):
        return
    match body:
        case [ast.Assign([ast.Name(name)], value)]:
            said = texts.to_feel(ast.unparse(value), "python")
        case _:
            return
    if said is None:
        return
    node.remove(script)
    node.attrib.pop("scriptFormat", None)
    _add(_holder(node), "script", expression=f"={said}", resultVariable=name)
    yield Change(node.get("id", ""), f"script: {name} = {said}")


def _script_to_camunda(node: Xml) -> Iterator[Change]:
    holder = node.find(f"{B}extensionElements")
    script = holder.find(f"{Z}script") if holder is not None else None
    if _name(node) != "scriptTask" or holder is None or script is None:
        return
    said, name = texts.to_python(script.get("expression", "")), script.get("resultVariable", "")
    if said is None or not name.isidentifier():
        return
    holder.remove(script)
    node.set("scriptFormat", "python")
    body = node.makeelement(f"{B}script", {})
    body.text = f"{name} = {said}"
    node.append(body)
    yield Change(node.get("id", ""), f"script: {body.text}")


def _form_to_zeebe(node: Xml) -> Iterator[Change]:
    form = node.find(f"{B}extensionElements/{C}formData")
    if _name(node) != "userTask" or form is None:
        return
    fields = [_component(field) for field in form.iterchildren(f"{C}formField")]
    if not all(fields):
        return
    process = next(one for one in node.iterancestors(f"{B}process"))
    own = f"form_{node.get('id')}"
    schema: dict[str, Any] = {"type": "default", "id": own, "components": fields}
    _add(_holder(process), "userTaskForm", id=own).text = json.dumps(schema, ensure_ascii=False)
    holder = _holder(node)
    holder.remove(form)
    _add(holder, "formDefinition", formKey=f"{_EMBEDDED}{own}")
    yield Change(node.get("id", ""), f"form: {len(fields)} {'field' if len(fields) == 1 else 'fields'}")


def _component(field: Xml) -> dict[str, Any] | None:
    kind = FORMS.get(field.get("type", ""))
    rules = {one.get("name") for one in field.iter(f"{C}constraint")}
    if kind is None or not rules <= {"required"} or field.find(f"{C}properties") is not None:
        return None
    found: dict[str, Any] = {"type": kind, "key": field.get("id"), "label": field.get("label") or field.get("id")}
    if field.get("defaultValue"):
        found["defaultValue"] = field.get("defaultValue")
    if "required" in rules:
        found["validate"] = {"required": True}
    if kind == "select":
        choices = [{"value": one.get("id"), "label": one.get("name")} for one in field.iterchildren(f"{C}value")]
        found["values"] = choices
    if kind == "datetime":
        found |= {"subtype": "date", "dateLabel": found["label"]}
    return found


def _form_to_camunda(node: Xml, forms: dict[str | None, str]) -> Iterator[Change]:
    holder = node.find(f"{B}extensionElements")
    named = holder.find(f"{Z}formDefinition") if holder is not None else None
    key = named.get("formKey", "") if named is not None else ""
    own = key.removeprefix(_EMBEDDED)
    if _name(node) != "userTask" or holder is None or named is None or own == key or own not in forms:
        return
    kinds = {component: kind for kind, component in FORMS.items()}
    try:
        components: list[dict[str, Any]] = json.loads(forms[own])["components"]
        fields = [(one["key"], kinds[one["type"]], one) for one in components]
    except (ValueError, KeyError, TypeError):
        return
    holder.remove(named)
    form = holder.makeelement(f"{C}formData", {})
    holder.append(form)
    for name, kind, component in fields:
        form.append(_field(form, str(name), kind, component))
    yield Change(node.get("id", ""), f"form: {len(fields)} {'field' if len(fields) == 1 else 'fields'}")


def _field(form: Xml, name: str, kind: str, component: dict[str, Any]) -> Xml:
    field = form.makeelement(f"{C}formField", {"id": name, "label": str(component.get("label", name)), "type": kind})
    if component.get("defaultValue") not in (None, ""):
        field.set("defaultValue", str(component["defaultValue"]))
    if (component.get("validate") or {}).get("required"):
        validation = field.makeelement(f"{C}validation", {})
        validation.append(field.makeelement(f"{C}constraint", {"name": "required"}))
        field.append(validation)
    for choice in component.get("values", ()):
        given = {"id": str(choice.get("value")), "name": str(choice.get("label", ""))}
        field.append(field.makeelement(f"{C}value", given))
    return field


def _collection_to_zeebe(node: Xml) -> Iterator[Change]:
    many = node.find(f"{B}multiInstanceLoopCharacteristics")
    name = many.get(f"{C}collection", "") if many is not None else ""
    source = name.removeprefix("${").removesuffix("}").strip()
    if many is None or not source.isidentifier():
        return
    given = {"inputCollection": f"={source}"}
    if item := many.get(f"{C}elementVariable"):
        given["inputElement"] = item
    for own in ("collection", "elementVariable"):
        many.attrib.pop(f"{C}{own}", None)
    _add(_holder(many), "loopCharacteristics", **given)
    yield Change(node.get("id", ""), f"for each of {source}")


def _collection_to_camunda(node: Xml) -> Iterator[Change]:
    many = node.find(f"{B}multiInstanceLoopCharacteristics")
    holder = many.find(f"{B}extensionElements") if many is not None else None
    loop = holder.find(f"{Z}loopCharacteristics") if holder is not None else None
    source = loop.get("inputCollection", "").strip().removeprefix("=").strip() if loop is not None else ""
    if many is None or holder is None or loop is None or not source.isidentifier() or loop.get("outputCollection"):
        return
    many.set(f"{C}collection", source)
    if item := loop.get("inputElement"):
        many.set(f"{C}elementVariable", item)
    holder.remove(loop)
    yield Change(node.get("id", ""), f"for each of {source}")


def _holder(node: Xml) -> Xml:
    """Its extension elements, which the schema wants behind the documentation and before all else."""
    found = node.find(f"{B}extensionElements")
    if found is None:
        found = node.makeelement(f"{B}extensionElements", {})
        node.insert(len(node.findall(f"{B}documentation")), found)
    return found


def _add(holder: Xml, name: str, **attributes: str) -> Xml:
    made = holder.makeelement(f"{Z}{name}", attributes, nsmap={"zeebe": ZEEBE})
    holder.append(made)
    return made


def _drop_empty(root: Xml) -> None:
    for holder in list(root.iter(f"{B}extensionElements")):
        if not len(holder):
            holder.getparent().remove(holder)


def _name(node: Xml) -> str:
    return str(node.tag).removeprefix(B)
