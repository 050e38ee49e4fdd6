"""What a multi-instance activity tells when runs are done: each (None), the first (One), by conditions (Complex).

Outside source: BPMN 2.0, table 10.31. What is found goes to the attribute `tells` of the activity, for the parser.
"""

from __future__ import annotations

import orjson

from app.engines.spiff.checks.model import B, Model, Text, kind
from app.engines.spiff.expressions import compile_expression, translate
from app.engines.spiff.intake import Xml
from app.engines.spiff.subset import ScriptRefused

_ATTRIBUTES = {"None": "noneBehaviorEventRef", "One": "oneBehaviorEventRef"}
_DEFINITIONS = {"signalEventDefinition": "signal", "messageEventDefinition": "message",
                "escalationEventDefinition": "escalation"}  # fmt: skip
_CURE = "choose a signal, message or escalation event definition of the file"


def check(model: Model, node: Xml, many: Xml) -> None:
    behavior = many.get("behavior", "All")
    found: list[list[str] | None] = []
    if behavior in _ATTRIBUTES:
        reference = many.get(_ATTRIBUTES[behavior], "").rpartition(":")[2]
        found = [_told(model, node, model.ids.get(reference), "" if behavior == "None" else "first")]
    elif behavior == "Complex":
        found = [_complex(model, node, one) for one in many.iterchildren(f"{B}complexBehaviorDefinition")]
        if not found:
            model.report(
                "multi-instance-behavior", node, "has no complex behavior definition", "say when it tells what"
            )
    for name, attribute in _ATTRIBUTES.items():
        if behavior != name and many.get(attribute):
            model.report("multi-instance-behavior", node, f"has a {attribute}, and behavior is {behavior}",
                         f"set behavior to {name}, or take the reference out")  # fmt: skip
    if found and all(found):
        node.set("tells", orjson.dumps(found).decode())


def _complex(model: Model, node: Xml, one: Xml) -> list[str] | None:
    holder, event = one.find(f"{B}condition"), one.find(f"{B}event")
    try:
        compiled = compile_expression(translate("" if holder is None else holder.text or "", model.dialect))
    except ScriptRefused as refused:
        message = f"the condition of its behavior cannot be read: {refused.message}"
        model.report("multi-instance-behavior", node, message, refused.fix, one.sourceline)
        return None
    model.texts.append(Text(node, "loop", compiled))
    inner = [] if event is None else [child for child in event if kind(child) in _DEFINITIONS]
    return _told(model, node, inner[0] if inner else None, compiled.source)


def _told(model: Model, node: Xml, definition: Xml | None, when: str) -> list[str] | None:
    """When it is told, its kind, its name and its code; None where that cannot be found out, which is reported."""
    what = _DEFINITIONS.get(kind(definition)) if definition is not None else None
    if definition is None or what is None:
        model.report("multi-instance-behavior", node, "does not say which event it tells", _CURE)
        return None
    named = model.ids.get(definition.get(f"{what}Ref", "").rpartition(":")[2])
    if named is None or kind(named) != what or not named.get("name"):
        model.report("multi-instance-behavior", node, f"tells a {what} that is not in the file or has no name", _CURE)
        return None
    return [when, what, named.get("name"), named.get("escalationCode", "")]
