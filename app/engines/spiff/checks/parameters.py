"""Input and output parameters and the mappings of call activities: what they compute is put into the tree as Python.

The parameters of a script task are part of its script; `texts` reads those.
"""

from __future__ import annotations

import re

from app.engines.spiff import juel
from app.engines.spiff.checks import services
from app.engines.spiff.checks.model import B, C, Model, Text, kind
from app.engines.spiff.expressions import compile_expression, translate
from app.engines.spiff.intake import Xml
from app.engines.spiff.subset import ScriptRefused

_NAME = re.compile(r"[^\W\d]\w*")


def check(model: Model) -> None:
    for node in model.nodes:
        _check_list(model, node)
        if kind(node) == "scriptTask":
            continue
        for parameter in node.iterfind(f"{B}extensionElements/{C}inputOutput/*"):
            _parameter(model, node, parameter)
        if kind(node) == "callActivity":
            for tag in ("in", "out"):
                for one in node.iterfind(f"{B}extensionElements/{C}{tag}"):
                    _mapping(model, node, one)


def _check_list(model: Model, node: Xml) -> None:
    """Each parameter once, and nothing but parameters."""
    seen = set[tuple[str, str]]()
    for one in node.iterfind(f"{B}extensionElements/{C}inputOutput/*"):
        tag = str(one.tag).removeprefix(C)
        if tag not in ("inputParameter", "outputParameter"):
            model.report("input-output", node, f"{tag.rpartition('}')[2]} is no parameter", "take it out",
                         one.sourceline)  # fmt: skip
        elif (tag, one.get("name", "")) in seen:
            message = f"the parameter {one.get('name')} stands there twice"
            model.report("input-output", node, message, "keep one of them",
                         one.sourceline)  # fmt: skip
        seen.add((tag, one.get("name", "")))


def _parameter(model: Model, node: Xml, parameter: Xml) -> None:
    name = parameter.get("name", "")
    if not _NAME.fullmatch(name):
        model.report("input-output", node, f"{name!r} cannot be the name of a variable", "rename the parameter",
                     parameter.sourceline)  # fmt: skip
        return
    try:
        source = _value(parameter)
        compiled = compile_expression(source)
    except ScriptRefused as refused:
        model.report("input-output", node, f"the parameter {name} cannot be read: {refused.message}", refused.fix,
                     parameter.sourceline)  # fmt: skip
        return
    for child in list(parameter):
        parameter.remove(child)
    parameter.text = compiled.source
    model.texts.append(Text(node, "other", compiled))


def _value(holder: Xml) -> str:
    """Python for a text, an expression, a `camunda:list` or a `camunda:map`; an empty text is empty text."""
    inner = list(holder)
    if not inner:
        text = (holder.text or "").strip()
        if holder.get(services.PYTHON):
            return text or "''"
        return juel.text_to_python(text)
    if len(inner) == 1 and inner[0].tag == f"{C}list":
        return "[" + ", ".join(_value(item) for item in inner[0]) + "]"
    if len(inner) == 1 and inner[0].tag == f"{C}map":
        if not all(entry.get("key") for entry in inner[0]):
            raise ScriptRefused("an entry of its map has no key", 1, "give each entry a key")
        return "{" + ", ".join(f"{entry.get('key')!r}: {_value(entry)}" for entry in inner[0]) + "}"
    raise ScriptRefused("it holds a script", 1, "set the variable in a script task beside it")


def _mapping(model: Model, node: Xml, one: Xml) -> None:
    for attribute in ("source", "target"):
        if one.get(attribute) and not _NAME.fullmatch(one.get(attribute)):
            model.report("call-mapping", node, f"{one.get(attribute)!r} cannot be the name of a variable",
                         "rename it", one.sourceline)  # fmt: skip
    text = one.get("sourceExpression")
    if not text:
        return
    try:
        compiled = compile_expression(translate(text, "camunda"))
    except ScriptRefused as refused:
        model.report("call-mapping", node, f"its source expression cannot be read: {refused.message}", refused.fix,
                     one.sourceline)  # fmt: skip
        return
    one.set("sourceExpression", compiled.source)
    model.texts.append(Text(node, "other", compiled))
