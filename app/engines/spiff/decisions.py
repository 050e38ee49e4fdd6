"""Decision tables (DMN 1.1 to 1.5) as scripts for the sandbox: every hit policy and aggregator, FEEL in the cells.

A business rule task runs the script of its decision in one call; the decisions that it needs run before it there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

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
MAX_DEPTH, MAX_LINES = 20, 2000
Report = Callable[[Xml, str, str], None]
"""Takes the element at fault (a cell, a column, a rule or the decision), what is wrong and what to do."""


class PartsRefused(ScriptRefused):
    """What is wrong with single cells and columns of a table: each element with its refusal"""

    def __init__(self, parts: list[tuple[Xml, ScriptRefused]]) -> None:
        super().__init__(parts[0][1].message, 1, parts[0][1].fix)
        self.parts = parts


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision that can run: ``lines`` leave its matches in ``_hits``, a list of dictionaries by output."""

    id: str
    outputs: tuple[str, ...]
    single: bool
    aggregated: bool
    lines: tuple[str, ...] = field(default=())
    aliases: tuple[str, ...] = ()
    """Further names under which a decision that needs this one knows its result."""
    hidden: tuple[str, ...] = ()
    """Names of what it needs: they stay in the script."""

    def bound(self) -> dict[str, str]:
        """What a decision that needs this one reads, as Python over its hits."""
        whole = self.single or self.aggregated
        names = {
            name: f"_hits[0][{name!r}] if _hits else None" if whole else f"[_hit[{name!r}] for _hit in _hits]"
            for name in self.outputs
        }
        result = names[self.outputs[0]] if len(self.outputs) == 1 else "_hits[0] if _hits else None"
        if len(self.outputs) > 1 and not whole:
            result = "_hits"
        return dict.fromkeys(self.aliases, result) | names

    def script(self, variable: str, mapping: str) -> str:
        """The script of a business rule task with its result *variable* ("" sets one variable per output)."""
        lines = [f"# inputs 1: {', '.join(self.hidden)}", *self.lines] if self.hidden else list(self.lines)
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
    _join_words(root, space)
    nodes = {node.get("id", ""): node for node in root.iter(f"{space}decision")}
    found: dict[str, Decision | None] = {}

    def resolve(own: str, trail: tuple[str, ...]) -> Decision | None:
        if own not in found:
            found[own] = None
            try:
                needed = [need(ref, (*trail, own)) for ref in _required(nodes[own], space)]
                found[own] = _with_needed(_decision(nodes[own], space), needed)
            except PartsRefused as refused:
                for node, why in refused.parts:
                    report(node, why.message, why.fix)
            except ScriptRefused as refused:
                report(nodes[own], refused.message, refused.fix)
        return found[own]

    def need(ref: str, trail: tuple[str, ...]) -> Decision:
        if ref not in nodes:
            raise ScriptRefused(f"needs the decision {ref!r}, which is not in its file", 1, "put both into one file")
        if ref in trail or len(trail) > MAX_DEPTH:
            raise ScriptRefused(f"needs {ref!r}, which needs it in turn", 1, "take one of the requirements out")
        decision = resolve(ref, trail)
        if decision is None:
            raise ScriptRefused(f"needs {ref!r}, which cannot be run", 1, f"correct {ref} first")
        return decision

    return [decision for own in nodes if (decision := resolve(own, ())) is not None]


def _required(node: Xml, space: str) -> list[str]:
    found = node.iterfind(f"{space}informationRequirement/{space}requiredDecision")
    return [one.get("href", "").rpartition("#")[2] for one in found]


def _join_words(root: Xml, space: str) -> None:
    """Names of several words become one in every expression: `Guest Count` reads the variable Guest_Count."""
    named = (n.get("name", "") for tag in ("decision", "inputData", "variable") for n in root.iter(space + tag))
    words = sorted({name for name in named if len(name.split()) > 1}, key=len, reverse=True)
    if not words:
        return
    phrase = re.compile(r"\b(?:" + "|".join(r"\s+".join(map(re.escape, name.split())) for name in words) + r")\b")
    for holder in root.iter(f"{space}text"):
        parts = re.split(r'("(?:[^"\\]|\\.)*")', holder.text or "")
        parts[::2] = [phrase.sub(lambda found: _one_word(found[0]), part) for part in parts[::2]]
        holder.text = "".join(parts)


def _one_word(name: str) -> str:
    return re.sub(r"\W+", "_", name.strip())


def _decision(node: Xml, space: str) -> Decision:
    table, literal = node.find(f"{space}decisionTable"), node.find(f"{space}literalExpression")
    if table is not None:
        decision = _table(node.get("id", ""), table, space)
    elif literal is not None:
        decision = _literal(node, literal, space)
    else:
        raise ScriptRefused("is neither a decision table nor an expression", 1, "draw a decision table")
    variable = node.find(f"{space}variable")
    names = (node.get("id", ""), node.get("name", ""), variable.get("name", "") if variable is not None else "")
    words = dict.fromkeys(word for name in names if _NAME.fullmatch(word := _one_word(name)) and word[0] != "_")
    return replace(decision, aliases=tuple(words))


def _with_needed(decision: Decision, needed: list[Decision]) -> Decision:
    """A decision with what it needs before it, each once as it stands in the lines."""
    lines: list[str] = []
    hidden: dict[str, None] = {}
    for one in needed:
        bound = one.bound()
        lines += [*one.lines, *(f"{name} = {value}" for name, value in bound.items())]
        hidden |= dict.fromkeys((*one.hidden, *bound))
    twice = next((name for name in decision.outputs if name in hidden), "")
    if twice:
        raise ScriptRefused(f"its output {twice} has the name of what it needs", 1, "rename one of them")
    if len(lines) > MAX_LINES:
        raise ScriptRefused("needs too many decisions", 1, "divide it between two business rule tasks")
    return replace(decision, lines=(*lines, *decision.lines), hidden=tuple(hidden))


def _text(node: Xml | None, space: str) -> str:
    return "" if node is None else (node.findtext(f"{space}text") or "").strip()


def _literal(node: Xml, literal: Xml, space: str) -> Decision:
    variable = node.find(f"{space}variable")
    name = _one_word(variable.get("name", "") if variable is not None else node.get("name", ""))
    _checked(name)
    value = feel.expression(_text(literal, space))
    return Decision(node.get("id", ""), (name,), True, False, (f"_hits = [{{{name!r}: {value}}}]",))


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or name.startswith("_"):
        raise ScriptRefused(f"its output {name!r} cannot be the name of a variable", 1, "rename the output")
    return name


def _table(own: str, table: Xml, space: str) -> Decision:
    policy, aggregation = table.get("hitPolicy", "UNIQUE"), table.get("aggregation", "")
    outputs = table.findall(f"{space}output")
    names = tuple(output.get("name") or (own if len(outputs) == 1 else "") for output in outputs)
    parts = _Parts()
    for output, name in zip(outputs, names, strict=True):
        parts.read(output, partial(_checked, name))
    if policy not in _POLICIES or (aggregation and (policy != "COLLECT" or aggregation not in _AGGREGATORS)):
        raise ScriptRefused(f"its hit policy {policy} {aggregation}".rstrip() + " is not known", 1, "choose another")
    if aggregation and len(outputs) != 1:
        raise ScriptRefused("aggregates several outputs", 1, "keep one output, or collect without an aggregator")
    inputs = [parts.read(node, partial(_input, node, space)) for node in table.findall(f"{space}input")]
    lines = [*(f"_in{number} = ({read})" for number, read in enumerate(inputs)), "_hits = []"]
    for number, rule in enumerate(table.findall(f"{space}rule"), 1):
        lines += _rule(rule, names, number, space, parts)
    parts.end()
    lines += _chosen(own, policy, outputs, names, space)
    if aggregation:
        lines.append(f"_values = [_hit[{names[0]!r}] for _hit in _hits if _hit[{names[0]!r}] is not None]")
        lines.append(f"_hits = [{{{names[0]!r}: {_AGGREGATORS[aggregation]}}}]")
    return Decision(own, names, policy in _SINGLE, bool(aggregation), tuple(lines))


class _Parts:
    """The cells and columns of a table that were refused so far."""

    def __init__(self) -> None:
        self.refused: list[tuple[Xml, ScriptRefused]] = []

    def read(self, node: Xml, reading: Callable[[], str], where: str = "") -> str:
        try:
            return reading()
        except ScriptRefused as refused:
            self.refused.append((node, ScriptRefused(where + refused.message, 1, refused.fix)))
            return ""

    def end(self) -> None:
        if self.refused:
            raise PartsRefused(self.refused)


def _input(node: Xml, space: str) -> str:
    language = node.find(f"{space}inputExpression")
    return feel.expression(_text(language, space))


def _rule(rule: Xml, names: tuple[str, ...], number: int, space: str, parts: _Parts) -> list[str]:
    where = f"rule {number} cannot be read: "
    tests = [
        parts.read(cell, partial(feel.unary_tests, _text(cell, space), f"_in{n}"), where)
        for n, cell in enumerate(rule.findall(f"{space}inputEntry"))
    ]
    cells = rule.findall(f"{space}outputEntry")
    values = [parts.read(cell, partial(_value, _text(cell, space)), where) for cell in cells]
    row = ", ".join(f"{name!r}: {value}" for name, value in zip(names, values, strict=False))
    condition = " and ".join(test for test in tests if test != "True") or "True"
    return [f"if {condition}:", f"    _hits = _hits + [{{{row}}}]"]


def _value(cell: str) -> str:
    return feel.expression(cell) if cell and cell != "-" else "None"


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
