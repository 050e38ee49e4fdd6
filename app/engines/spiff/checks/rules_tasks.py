"""Business rule tasks: the decision they name must be in the deployment; its script takes their place."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.engines.spiff.checks.model import B, C, Model, Text
from app.engines.spiff.decisions import Decision
from app.engines.spiff.expressions import compile_script
from app.engines.spiff.intake import SPIFF, Xml
from app.engines.spiff.subset import ScriptRefused

_NAME = re.compile(r"[^\W\d]\w*")
_MAPPINGS = ("", "singleEntry", "singleResult", "collectEntries", "resultList")


def decision_of(node: Xml) -> str:
    """The id of the decision that a business rule task names, "" if it names none."""
    own = node.get(f"{C}decisionRef", "") or node.findtext(f"{B}extensionElements/{{{SPIFF}}}calledDecisionId") or ""
    return own.strip()


def check(model: Model, decisions: Mapping[str, Decision]) -> None:
    for node in model.nodes_of("businessRuleTask"):
        own = decision_of(node)
        if own:
            _check(model, node, own, decisions.get(own))


def _check(model: Model, node: Xml, own: str, decision: Decision | None) -> None:
    variable, mapping = node.get(f"{C}resultVariable", ""), node.get(f"{C}mapDecisionResult", "")
    if decision is None:
        model.report("decision-missing", node, f"names the decision {own!r}, which this deployment does not hold",
                     "deploy the .dmn file together with the process")  # fmt: skip
    elif node.find(f"{B}extensionElements/{C}inputOutput") is not None:
        model.report("input-output", node, "input and output parameters are not honoured on a businessRuleTask",
                     "set the variables in a script task beside it")  # fmt: skip
    elif node.get(f"{C}decisionRefBinding", "latest") not in ("latest", "deployment"):
        model.report("camunda-extension", node, "a decision is bound to the version deployed with it",
                     "take the binding out")  # fmt: skip
    elif (variable and not _NAME.fullmatch(variable)) or mapping not in _MAPPINGS:
        model.report("decision-table", node, f"cannot give its result as {variable or mapping!r}",
                     "name a variable, and one of Camunda's mappings of a decision's result")  # fmt: skip
    elif variable in decision.hidden:
        model.report("decision-table", node, f"its result {variable} has the name of a decision that it needs",
                     "rename the result")  # fmt: skip
    elif mapping in ("singleEntry", "collectEntries") and len(decision.outputs) != 1:
        model.report("decision-table", node, f"takes one entry of a decision with {len(decision.outputs)} outputs",
                     "map the result as singleResult or resultList")  # fmt: skip
    else:
        _decide(model, node, decision.script(variable, mapping))


def _decide(model: Model, node: Xml, source: str) -> None:
    try:
        compiled = compile_script(source)
    except ScriptRefused as refused:
        model.report("decision-table", node, f"its decision cannot run: {refused.message}", refused.fix)
        return
    node.set("decided", source)
    model.texts.append(Text(node, "script", compiled))
