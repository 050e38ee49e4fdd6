"""Decision tables (DMN 1.1 to 1.5) as scripts for the sandbox: every hit policy and aggregator, FEEL in the cells.

A business rule task runs the script of its decision in one call. Decisions that need other decisions are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from app.engines.spiff import feel
from app.engines.spiff.intake import Xml
from app.engines.spiff.subset import ScriptRefused

_NAME = re.compile(r"[^\W\d]\w*")
_SINGLE = frozenset({"UNIQUE", "FIRST", "ANY", "PRIORITY"})
_POLICIES = _SINGLE | {"COLLECT", "RULE ORDER", "OUTPUT ORDER"}
_AGGREGATORS = {
    "SUM": "sum(_values) if _values else None",
    "MIN": "min(_values) if _values else None",
    "MAX": "max(_values) if _values else None",
    "COUNT": "len(_values)",
}
Report = Callable[[Xml, str, str], None]
"""Takes the element at fault, what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision that can run: ``lines`` leave its matches in ``_hits``, a list of dictionaries by output."""

    id: str
    outputs: tuple[str, ...]
    single: bool
    aggregated: bool
    lines: tuple[str, ...] = field(default=())

    def script(self, variable: str, mapping: str) -> str:
        """The script of a business rule task with its result *variable* ("" sets one variable per output)."""
        lines = list(self.lines)
        if not variable:
            for name in self.outputs:
                if self.single or self.aggregated:
                    lines.append(f"{name} = _hits[0][{name!r}] if _hits else None")
                else:
                    lines.append(f"{name} = [_hit[{name!r}] for _hit in _hits]")
            return "\n".join(lines)
        entry = f"[{self.outputs[0]!r}]"
        if mapping in ("singleEntry", "singleResult"):
            lines += ["if len(_hits) > 1:", f'    raise ValueError("several rules of {self.id} match")']
            lines.append(f"{variable} = _hits[0]{entry if mapping == 'singleEntry' else ''} if _hits else None")
        elif mapping == "collectEntries":
            lines.append(f"{variable} = [_hit{entry} for _hit in _hits]")
        else:
            lines.append(f"{variable} = _hits")
        return "\n".join(lines)


def is_dmn(root: Xml) -> bool:
    return isinstance(root.tag, str) and root.tag.startswith("{") and "/DMN/" in root.tag.split("}")[0]


def read(root: Xml, report: Report) -> list[Decision]:
    """The decisions of a file; what cannot be run goes to *report*."""
    space = root.tag.split("}")[0] + "}"
    found: list[Decision] = []
    for node in root.iter(f"{space}decision"):
        if next(node.iter(f"{space}requiredDecision"), None) is not None:
            report(node, "needs another decision", "put both into one table, or into two business rule tasks")
            continue
        table, literal = node.find(f"{space}decisionTable"), node.find(f"{space}literalExpression")
        try:
            if table is not None:
                found.append(_table(node.get("id", ""), table, space))
            elif literal is not None:
                found.append(_literal(node, literal, space))
            else:
                report(node, "is neither a decision table nor an expression", "draw a decision table")
        except ScriptRefused as refused:
            report(node, refused.message, refused.fix)
    return found


def _text(node: Xml | None, space: str) -> str:
    return "" if node is None else (node.findtext(f"{space}text") or "").strip()


def _literal(node: Xml, literal: Xml, space: str) -> Decision:
    variable = node.find(f"{space}variable")
    name = variable.get("name", "") if variable is not None else ""
    _checked(name)
    value = feel.expression(_text(literal, space))
    return Decision(node.get("id", ""), (name,), True, False, (f"_hits = [{{{name!r}: {value}}}]",))


def _checked(name: str) -> None:
    if not _NAME.fullmatch(name) or name.startswith("_"):
        raise ScriptRefused(f"its output {name!r} cannot be the name of a variable", 1, "rename the output")


def _table(own: str, table: Xml, space: str) -> Decision:
    policy, aggregation = table.get("hitPolicy", "UNIQUE"), table.get("aggregation", "")
    outputs = table.findall(f"{space}output")
    names = tuple(output.get("name") or (own if len(outputs) == 1 else "") for output in outputs)
    for name in names:
        _checked(name)
    if policy not in _POLICIES or (aggregation and (policy != "COLLECT" or aggregation not in _AGGREGATORS)):
        raise ScriptRefused(f"its hit policy {policy} {aggregation}".rstrip() + " is not known", 1, "choose another")
    if aggregation and len(outputs) != 1:
        raise ScriptRefused("aggregates several outputs", 1, "keep one output, or collect without an aggregator")
    lines = [f"_in{n} = ({_input(i, space)})" for n, i in enumerate(table.findall(f"{space}input"))]
    lines.append("_hits = []")
    for number, rule in enumerate(table.findall(f"{space}rule"), 1):
        lines += _rule(rule, names, number, space)
    lines += _chosen(own, policy, outputs, names, space)
    if aggregation:
        lines.append(f"_values = [_hit[{names[0]!r}] for _hit in _hits if _hit[{names[0]!r}] is not None]")
        lines.append(f"_hits = [{{{names[0]!r}: {_AGGREGATORS[aggregation]}}}]")
    return Decision(own, names, policy in _SINGLE, bool(aggregation), tuple(lines))


def _input(node: Xml, space: str) -> str:
    language = node.find(f"{space}inputExpression")
    return feel.expression(_text(language, space))


def _rule(rule: Xml, names: tuple[str, ...], number: int, space: str) -> list[str]:
    try:
        entries = rule.findall(f"{space}inputEntry")
        tests = [feel.unary_tests(_text(entry, space), f"_in{n}") for n, entry in enumerate(entries)]
        cells = [_text(entry, space) for entry in rule.findall(f"{space}outputEntry")]
        values = [feel.expression(cell) if cell and cell != "-" else "None" for cell in cells]
    except ScriptRefused as refused:
        raise ScriptRefused(f"rule {number} cannot be read: {refused.message}", 1, refused.fix) from None
    row = ", ".join(f"{name!r}: {value}" for name, value in zip(names, values, strict=False))
    condition = " and ".join(test for test in tests if test != "True") or "True"
    return [f"if {condition}:", f"    _hits = _hits + [{{{row}}}]"]


def _chosen(own: str, policy: str, outputs: list[Xml], names: tuple[str, ...], space: str) -> list[str]:
    if policy == "UNIQUE":
        return ["if len(_hits) > 1:", f'    raise ValueError("several rules of {own} match, and one only may")']
    if policy == "ANY":
        return ["if [_hit for _hit in _hits if _hit != _hits[0]]:",
                f'    raise ValueError("rules of {own} match that say different things")',
                "_hits = _hits[:1]"]  # fmt: skip
    if policy in ("PRIORITY", "OUTPUT ORDER"):
        ranks: list[str] = []
        for output, name in zip(outputs, names, strict=True):
            text = _text(output.find(f"{space}outputValues"), space)
            if text:
                ranks.append(f"[{feel.expression('[' + text + ']')}.index(_hit[{name!r}])]")
        if not ranks:
            raise ScriptRefused(f"the hit policy {policy} needs output values", 1, "list them, the highest first")
        lines = [f"_hits = sorted(_hits, key=lambda _hit: {' + '.join(ranks)})"]
        return [*lines, "_hits = _hits[:1]"] if policy == "PRIORITY" else lines
    return ["_hits = _hits[:1]"] if policy == "FIRST" else []
