"""References between what stands beside the processes: correlations, items, operations, data stores.

The engine runs a process without most of them; a file in which they lead nowhere still is not what its modeler sees.
"""

from __future__ import annotations

from app.engines.spiff.checks.model import B, Model, kind
from app.engines.spiff.expressions import compile_expression, translate
from app.engines.spiff.intake import Xml
from app.engines.spiff.subset import ScriptRefused

_ATTRIBUTES: tuple[tuple[str, str, str], ...] = (
    ("receiveTask", "operationRef", "operation"),
    ("sendTask", "operationRef", "operation"),
    ("message", "itemRef", "itemDefinition"),
    ("property", "itemSubjectRef", "itemDefinition"),
    ("dataObject", "itemSubjectRef", "itemDefinition"),
    ("dataStore", "itemSubjectRef", "itemDefinition"),
    ("dataStoreReference", "dataStoreRef", "dataStore"),
    ("correlationPropertyRetrievalExpression", "messageRef", "message"),
    ("correlationPropertyBinding", "correlationPropertyRef", "correlationProperty"),
    ("correlationSubscription", "correlationKeyRef", "correlationKey"),
)
_TEXTS: tuple[tuple[str, str, str], ...] = (
    ("correlationKey", "correlationPropertyRef", "correlationProperty"),
    ("operation", "inMessageRef", "message"),
    ("operation", "outMessageRef", "message"),
)
_PATHS = ("messagePath", "dataPath")


def check(model: Model) -> None:
    for holder, attribute, target in _ATTRIBUTES:
        for node in model.root.iter(B + holder):
            _check(model, node, attribute, node.get(attribute, ""), target)
    for holder, child, target in _TEXTS:
        for node in model.root.iter(B + holder):
            for ref in node.iterchildren(B + child):
                _check(model, node, child, (ref.text or "").strip(), target)
    for tag in _PATHS:
        for holder in model.root.iter(B + tag):
            _check_path(model, holder)


def _check(model: Model, node: Xml, name: str, value: str, target: str) -> None:
    prefix, _, local = value.rpartition(":")
    if not value or (prefix and node.nsmap.get(prefix) != model.root.get("targetNamespace")):
        return  # a name of another vocabulary, `xsd:string`
    found = model.ids.get(local)
    if found is None or kind(found) != target:
        message = f"{name} points to {value!r}, which is no {target} of the file"
        model.report("dangling-reference", _named(node), message, "choose one, or take the reference out")


def _check_path(model: Model, holder: Xml) -> None:
    """The engine evaluates these where a message is thrown or caught."""
    try:
        compiled = compile_expression(translate(holder.text or "", model.dialect))
    except ScriptRefused as refused:
        message = f"its {kind(holder)} cannot be read: {refused.message}"
        model.report("expression-syntax", _named(holder), message, refused.fix, holder.sourceline)
        return
    holder.text = compiled.source


def _named(node: Xml) -> Xml:
    while not node.get("id") and node.getparent() is not None:
        node = node.getparent()
    return node
