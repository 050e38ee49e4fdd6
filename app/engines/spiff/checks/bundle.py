"""What only shows when all files of a deployment are seen together: ids, calls between processes, names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.engines.spiff.checks.model import B, C, Model
from app.engines.spiff.intake import Xml
from app.engines.spiff.subset import BUILTINS

_ITEM_PATHS = ("inputDataItem", "outputDataItem")
_COUNTERS = frozenset({"loopCounter", "nrOfInstances", "nrOfCompletedInstances", "nrOfActiveInstances"})
"""Set by the engine while a loop or multi-instance activity runs."""


def set_names(models: Sequence[Model], set_by_forms: set[str]) -> set[str]:
    """Names of variables that anything in the models sets."""
    return set_by_forms.union(*(_set_names(model) for model in models))


def check(models: Sequence[Model], known: set[str]) -> None:
    """Calls, and names that are not *known* to be set by anything, over the models that run in process."""
    processes = {p.get("id", ""): (model, p) for model in models for p in model.processes}
    for model in models:
        for node in model.nodes_of("callActivity"):
            _check_call(model, node, processes)
    _check_recursion(processes)
    for model in models:
        _check_names(model, known)


def check_ids(models: Sequence[Model]) -> None:
    """A process is started and called by its id, whatever file it stands in."""
    seen: dict[str, tuple[Model, Xml]] = {}
    for model in models:
        for node in model.processes:
            own = node.get("id", "")
            other = seen.setdefault(own, (model, node))
            if other[0] is not model:
                model.report("duplicate-id", node, f"the id {own} also stands in {other[0].file}", "change one of them")


def _check_call(model: Model, node: Xml, processes: dict[str, tuple[Model, Xml]]) -> None:
    called = node.get("calledElement", "").strip()
    if not called:
        model.report("called-element", node, "does not say which process it calls", "choose a called element")
    elif re.search(r"[$#]\{|^=", called):
        model.report("called-element", node, "the called process is an expression",
                     "name the process, and choose with a gateway")  # fmt: skip
    elif called.rpartition(":")[2] not in processes:
        model.report("called-element", node, f"calls {called!r}, which is no executable process of this deployment",
                     "deploy both files together")  # fmt: skip


def _check_recursion(processes: dict[str, tuple[Model, Xml]]) -> None:
    calls = {
        own: {node.get("calledElement", "") for node in process.iter(f"{B}callActivity")} & set(processes)
        for own, (_, process) in processes.items()
    }
    for own, (model, process) in processes.items():
        seen: set[str] = set()
        todo = list(calls[own])
        while todo:
            called = todo.pop()
            if called == own:
                model.report("recursive-call", process, "calls itself, directly or through another process",
                             "make sure that the calls end")  # fmt: skip
                break
            if called not in seen:
                seen.add(called)
                todo.extend(calls[called])


def _set_names(model: Model) -> set[str]:
    names = {name for text in model.texts for name in text.compiled.writes}
    for process in model.processes:
        for many in process.iter(f"{B}multiInstanceLoopCharacteristics"):
            names |= {v for key, v in many.attrib.items() if key.endswith("elementVariable")}
            names |= {item.get("name") or item.get("id", "") for tag in _ITEM_PATHS for item in many.iter(B + tag)}
            names |= {(ref.text or "").strip() for ref in many.iter(f"{B}loopDataOutputRef")}
        names |= {node.get("id", "") for node in process.iter(f"{B}dataObject")}
        names |= {
            node.get("name", "") for tag in ("inputParameter", "outputParameter") for node in process.iter(C + tag)
        }
        names |= {node.get("target", "") for tag in ("in", "out") for node in process.iter(C + tag)}
        names |= {node.get(f"{C}resultVariable", "result") for node in process.iter(f"{B}serviceTask")}
    return names | _COUNTERS


def _check_names(model: Model, known: set[str]) -> None:
    for text in model.texts:
        if text.slot == "script":
            continue
        for name in sorted(text.compiled.reads - known - BUILTINS):
            what = "condition" if text.slot == "condition" else "expression"
            message = f"its {what} uses {name}, which no form or script of the model sets"
            fix = f"pass {name} with the start or a message, or correct the name"
            model.report("name-never-set", text.node, message, fix)
