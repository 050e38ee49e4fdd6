"""Declared data inputs and outputs of an activity: where it keeps to them they change nothing, and are left out.

By the standard an activity sees what it declares and nothing else. Here it sees every variable of the instance, which
is the same for an activity that uses nothing that it has not declared.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.engines.spiff.checks.model import B, Model, kind
from app.engines.spiff.forms import Form
from app.engines.spiff.intake import Xml
from app.engines.spiff.subset import BUILTINS

_CURE = "declare it too, or take the whole declaration out: every variable of the instance can be used"


def check(model: Model, forms: Mapping[str, Form]) -> None:
    """Refuses an activity that uses what it does not declare; takes the declarations of all others out of the tree."""
    for process in model.processes:
        for declaration in list(process.iter(f"{B}ioSpecification")):
            _check(model, declaration.getparent(), declaration, forms)


def _check(model: Model, owner: Xml, declaration: Xml, forms: Mapping[str, Form]) -> None:
    takes, gives = _names(declaration, "dataInput"), _names(declaration, "dataOutput")
    if not takes and not gives:
        owner.remove(declaration)
        return
    if kind(owner) not in ("task", "manualTask", "userTask", "scriptTask"):
        what = f"declares its data, which a {kind(owner)} cannot do here"
        model.report("io-specification", owner, what, "take the declaration out")
        return
    texts = [text for text in model.texts if text.node is owner]
    reads = {name for text in texts for name in text.compiled.reads - BUILTINS}
    writes = {name for text in texts for name in text.compiled.writes}
    if owner.get("id", "") in forms:
        writes |= {field.id for field in forms[owner.get("id", "")].fields}
    many = {item.get(key, "") for tag in ("inputDataItem", "outputDataItem") for item in owner.iter(B + tag)
            for key in ("id", "name")}  # fmt: skip
    undeclared = sorted((reads - takes - gives - writes - many) | (writes - gives - many))
    if undeclared:
        model.report("io-specification", owner, f"uses {', '.join(undeclared)} and does not declare it", _CURE)
        return
    renamed = _renamed(model, owner, takes | gives)
    if renamed:
        model.report("io-specification", owner, f"takes {renamed} by another name", "give both the same name")
        return
    owner.remove(declaration)


def _names(declaration: Xml, tag: str) -> set[str]:
    return {one.get(key, "") for one in declaration.iterchildren(B + tag) for key in ("id", "name")} - {""}


def _renamed(model: Model, owner: Xml, declared: set[str]) -> str:
    """A data object that has neither name of any declared input or output; "" if there is none."""
    for tag, end in (("dataInputAssociation", "sourceRef"), ("dataOutputAssociation", "targetRef")):
        for association in owner.iterchildren(B + tag):
            for ref in association.iterchildren(B + end):
                node = model.ids.get((ref.text or "").strip())
                names = {node.get("name"), node.get("dataObjectRef"), node.get("id")} if node is not None else set()
                if not names & declared:
                    return (ref.text or "").strip()
    return ""
