"""The tree as the engine gets it: loops in Python, without the drawing and without what is only drawn.

Only files without errors get here. Ids stay those of the file; ids that mean something to SpiffWorkflow itself are
the parser's business.
"""

from __future__ import annotations

import ast
import re

from app.engines.spiff import normaliser
from app.engines.spiff.checks import behaviors
from app.engines.spiff.checks.model import B, C, Model, Text
from app.engines.spiff.expressions import compile_expression, translate
from app.engines.spiff.intake import Xml
from app.engines.spiff.subset import ScriptRefused

_DI = "http://www.omg.org/spec/BPMN/20100524/DI"
MAX_RUNS = 100_000
_DRAWN = ("dataStore", "dataStoreReference", "dataObject", "dataObjectReference", "dataInputAssociation",
          "dataOutputAssociation")  # fmt: skip


def check_loops(model: Model) -> None:
    """Multi-instance activities: what they go over is found and put into Python."""
    for node in model.nodes:
        for many in node.iterchildren(f"{B}multiInstanceLoopCharacteristics"):
            _check_many(model, node, many)
            behaviors.check(model, node, many)


def normalise(model: Model) -> None:
    """Changes the tree in place."""
    for child in list(model.root):
        if str(child.tag).startswith(f"{{{_DI}}}"):
            model.root.remove(child)
    if model.dialect == "camunda":
        _drop_drawn_data(model)
    else:
        _name_data(model)
    normaliser.simplify(model.root)


def _check_many(model: Model, node: Xml, many: Xml) -> None:
    reference = many.find(f"{B}loopDataInputRef")
    if many.get(f"{C}collection") is not None:
        source = _collection(model, node, many.get(f"{C}collection"))
        many.set(f"{C}collection", source)
    elif reference is not None:
        reference.text = _collection(model, node, reference.text or "")
    collected = many.get(f"{C}collection") is not None or reference is not None
    cardinality = many.find(f"{B}loopCardinality")
    if (cardinality is not None) == collected:
        model.report("multi-instance", node, "does not say how often it runs, or says it twice",
                     "give it a cardinality or a collection")  # fmt: skip
    if cardinality is not None and _is_no_count((cardinality.text or "").strip()):
        model.report("multi-instance", node, "its cardinality is no whole number from 0", "write how often it runs")
    if cardinality is not None and (cardinality.text or "").strip().isdecimal() and int(cardinality.text) > MAX_RUNS:
        model.report("multi-instance", node, f"runs more than {MAX_RUNS} times", "go over a collection in parts")
    _check_items(model, node, many)


def _check_items(model: Model, node: Xml, many: Xml) -> None:
    """Failure prevented: results of the runs that nothing collects, and items whose name no script can write."""
    whole, part = many.find(f"{B}loopDataOutputRef"), many.find(f"{B}outputDataItem")
    if (whole is None) != (part is None):
        lacks = "an output data item" if part is None else "a collection for its outputs"
        model.report("multi-instance", node, f"collects results and has not {lacks}",
                     "give it both loopDataOutputRef and outputDataItem, or neither")  # fmt: skip
    used = {name for text in model.texts for name in (*text.compiled.reads, *text.compiled.writes)}
    names: list[str] = []
    for item in (one for tag in ("inputDataItem", "outputDataItem") for one in many.iterchildren(B + tag)):
        own, name = item.get("id", ""), item.get("name", "")
        names.append(own if not name or (own in used and name not in used) else name)
        item.set("id", names[-1])  # the engine knows the variable by it
    collected = [] if whole is None else [(whole.text or "").strip()]
    for name in [*names, *collected, *filter(None, [many.get(f"{C}elementVariable")])]:
        if not re.fullmatch(r"[^\W\d]\w*", name):
            model.report("multi-instance", node, f"{name!r} cannot be the name of a variable", "rename the item")


def _is_no_count(text: str) -> bool:
    """Whether a cardinality is a negative number, a fraction or a text, as far as it can be seen now."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return False
    return isinstance(value, bool) or not isinstance(value, int) or value < 0


def _collection(model: Model, node: Xml, text: str) -> str:
    try:
        compiled = compile_expression(translate(text, model.dialect))
    except ScriptRefused as refused:
        rule = refused.rule if refused.rule in ("script-name", "expression-dialect") else "expression-syntax"
        model.report(rule, node, f"its collection cannot be read: {refused.message}", refused.fix)
        return text
    model.texts.append(Text(node, "loop", compiled))
    return compiled.source


def _name_data(model: Model) -> None:
    """A data object is the variable of its id; of its name where only that is used in the file."""
    used = {name for text in model.texts for name in (*text.compiled.reads, *text.compiled.writes)}
    names = {node.get("dataObjectRef"): node.get("name") for node in model.root.iter(f"{B}dataObjectReference")}
    for node in model.root.iter(f"{B}dataObject"):
        own = node.get("id", "")
        name = next((one for one in (node.get("name"), names.get(own)) if one in used), None)
        if own not in used and name is not None:
            node.set("id", name)
            for reference in model.root.iter(f"{B}dataObjectReference"):
                if reference.get("dataObjectRef") == own:
                    reference.set("dataObjectRef", name)


def _drop_drawn_data(model: Model) -> None:
    """In Camunda 7 data objects and stores are drawings without an effect; SpiffWorkflow would demand their values."""
    for tag in _DRAWN:
        for node in list(model.root.iter(B + tag)):
            node.getparent().remove(node)
