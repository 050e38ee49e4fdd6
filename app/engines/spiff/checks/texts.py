"""Every script and expression of a file: compiled here for the sandbox, and put into the tree as Python.

Texts the engine will evaluate are found by this module or refused by it; no other text reaches the engine.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Literal

from app.engines.spiff import juel
from app.engines.spiff.checks import parameters, timers
from app.engines.spiff.checks.model import GATEWAYS, B, C, Model, Text, kind
from app.engines.spiff.expressions import compile_expression, compile_script, first_line, tidy, translate, with_inputs
from app.engines.spiff.intake import Xml
from app.engines.spiff.subset import ScriptRefused

_PYTHON = frozenset({"", "python", "python3", "text/python", "text/x-python", "application/x-python"})
_JUEL = frozenset({"", "juel", "python"})
_NAME = re.compile(r"[^\W\d]\w*")
Slot = Literal["condition", "loop", "other"]


def check(model: Model) -> None:
    for node in list(model.nodes):
        if kind(node) == "scriptTask":
            _script_task(model, node)
    for flow in model.flows:
        condition = flow.find(f"{B}conditionExpression")
        if condition is not None and (condition.text or "").strip():
            _expression(model, flow, condition, "condition")
        elif condition is not None and kind(model.ids.get(flow.get("sourceRef", ""), flow)) not in GATEWAYS:
            model.report("condition-syntax", flow, "its condition is empty", "write it, or take the condition out")
    for node, holder in _loop_texts(model):
        _expression(model, node, holder, "loop")
    for node in model.nodes:
        for holder in node.iterfind(f"{B}conditionalEventDefinition/{B}condition"):
            _expression(model, node, holder, "condition")
        _completion(model, node)
    parameters.check(model)
    timers.check(model)


def _completion(model: Model, node: Xml) -> None:
    holder = node.find(f"{B}completionCondition")
    if kind(node) == "adHocSubProcess" and holder is not None:
        if (holder.text or "").strip():
            _expression(model, node, holder, "condition")
        else:
            model.report("expression-syntax", node, "its completionCondition is empty", "write it or take it out")


def _loop_texts(model: Model) -> Iterator[tuple[Xml, Xml]]:
    paths = (
        f"{B}standardLoopCharacteristics/{B}loopCondition",
        f"{B}multiInstanceLoopCharacteristics/{B}loopCardinality",
        f"{B}multiInstanceLoopCharacteristics/{B}completionCondition",
    )
    for node in model.nodes:
        for path in paths:
            for holder in node.iterfind(path):
                if (holder.text or "").strip():
                    yield node, holder
                else:
                    model.report("expression-syntax", node, f"its {kind(holder)} is empty", "write it or take it out")


def _expression(model: Model, owner: Xml, holder: Xml, slot: Slot) -> None:
    language = holder.get("language", "").strip().lower()
    if language not in _JUEL and not language.startswith("http"):
        model.report("expression-dialect", owner, f"its expression is written in {language}", "write it in Python",
                     holder.sourceline)  # fmt: skip
        return
    try:
        source = translate(holder.text or "", model.dialect)
        compiled = compile_expression(source)
        if slot == "condition":
            _check_answer(compiled.source)
    except ScriptRefused as refused:
        _refuse(model, owner, holder, refused, "condition-syntax" if slot == "condition" else "expression-syntax")
        return
    holder.text = compiled.source
    model.texts.append(Text(owner, slot, compiled))


def _check_answer(source: str) -> None:
    """Failure prevented: a text, number or list that stands as a condition would always hold, or never."""
    only = ast.parse(source.strip(), mode="eval").body
    if isinstance(only, ast.Constant) and not isinstance(only.value, bool):
        raise ScriptRefused("a text or number is no condition", 1, "compare it with something")
    if isinstance(only, ast.Lambda | ast.List | ast.Dict | ast.Set | ast.Tuple | ast.JoinedStr):
        raise ScriptRefused("what it says is never false", 1, "compare it with something")
    if any(isinstance(part, ast.NamedExpr) for part in ast.walk(only)):
        raise ScriptRefused("`:=` sets a variable that is gone at once", 1, "compare with ==, or set it in a script")


def _refuse(model: Model, owner: Xml, holder: Xml, refused: ScriptRefused, syntax: str) -> None:
    rule = syntax if refused.rule in ("script-syntax", "script-missing") else refused.rule
    fix = refused.fix
    if model.dialect == "python" and re.match(r"\s*[$#]\{", holder.text or ""):
        fix = "`${…}` is only read in Camunda 7 files; write plain Python here"
    line = (holder.sourceline or 0) + first_line(holder.text or "") + refused.line - 1
    model.report(rule, owner, refused.message, fix, line)


def _script_task(model: Model, node: Xml) -> None:
    form = node.get("scriptFormat", "").strip().lower()
    if form not in _PYTHON:
        model.report("script-format", node, f"its script is {form}, which is not run", "write it in Python")
        return
    holder = node.find(f"{B}script")
    if holder is None or not (holder.text or "").strip():
        message = "has its script in a resource" if node.get(f"{C}resource") else "has no script"
        model.report("script-missing", node, message, "add one, or make it a manual task")
        return
    _script(model, node, holder, holder.text)


def _script(model: Model, node: Xml, holder: Xml, source: str) -> None:
    try:
        compile_script(source)  # first on its own, so that lines are those of the file
        text = _extended(model, node, tidy(source))
        compiled = compile_script(text)
    except ScriptRefused as refused:
        _refuse(model, node, holder, refused, "script-syntax")
        return
    holder.text = text
    model.texts.append(Text(node, "script", compiled))


def _extended(model: Model, node: Xml, source: str) -> str:
    """The script with the task's declared inputs before it, and its declared outputs and result behind it."""
    inputs: dict[str, str] = {}
    outputs: list[str] = []
    computed = ""
    written = compile_script(source).writes
    for parameter in node.iterfind(f"{B}extensionElements/{C}inputOutput/*"):
        name, text = parameter.get("name", ""), (parameter.text or "").strip()
        if not _NAME.fullmatch(name) or len(parameter):
            model.report("input-output", node, f"the parameter {name!r} is not a name with a simple value",
                         "use one text or `${…}` for it, or set it in the script", parameter.sourceline)  # fmt: skip
        elif parameter.tag == f"{C}inputParameter":
            if text:
                inputs[name] = juel.text_to_python(text)
        elif text:
            computed += f"\n{name} = ({juel.text_to_python(text)})"
        elif name not in written:
            model.report("output-missing", node, f"the script never sets its declared output {name}",
                         f"set {name} in the script", parameter.sourceline)  # fmt: skip
        else:
            outputs.append(name)
            model.report("declared-output", node, f"the script must set {name}: it is an incident if it does not",
                         "nothing to do", parameter.sourceline)  # fmt: skip
    result = node.get(f"{C}resultVariable")
    if result:
        source = _with_result(model, node, source, result, written)
    source += computed
    return with_inputs(source, inputs, tuple(outputs)) if inputs or outputs else source


def _with_result(model: Model, node: Xml, source: str, result: str, written: tuple[str, ...]) -> str:
    if not _NAME.fullmatch(result):
        model.report("input-output", node, f"{result!r} cannot be the name of a variable", "rename the result variable")
        return source
    if result in written:
        model.report("result-variable", node, f"{result} keeps the value that the script itself gives it",
                     "nothing to do")  # fmt: skip
        return source
    last = ast.parse(source).body[-1]
    if not isinstance(last, ast.Expr):
        model.report("result-variable", node, f"the script ends without a value for {result}; it becomes None",
                     f"end the script with an expression, or set {result}")  # fmt: skip
        return f"{source}\n{result} = None"
    model.report("result-variable", node, f"{result} takes the value of the script's last line", "nothing to do")
    lines = source.split("\n")
    at, column = last.lineno - 1, len(lines[last.lineno - 1].encode()[: last.col_offset].decode())
    lines[at] = f"{lines[at][:column]}{result} = ({lines[at][column:]}"
    return "\n".join(lines) + "\n)"
