"""Business rule tasks with DMN decision tables."""

from __future__ import annotations

from html import escape
from typing import Any

from tests.drawing import sequence
from tests.engines.spiff.conformance.drawn import feature

_DMN = "https://www.omg.org/spec/DMN/20191111/MODEL/"


def table(inputs: str, outputs: str, *rules: str, policy: str = "", values: str = "") -> bytes:
    """A decision `d`; a rule is its cells, inputs first, with `|` between them."""
    columns = [f'<input id="i{n}"><inputExpression id="e{n}"><text>{escape(text)}</text></inputExpression></input>'
               for n, text in enumerate(inputs.split("|"))]  # fmt: skip
    allowed = f"<outputValues><text>{escape(values)}</text></outputValues>" if values else ""
    columns += [f'<output id="o_{name}" name="{name}">{allowed}</output>' for name in outputs.split("|")]
    width = len(inputs.split("|"))
    rows: list[str] = []
    for rule in rules:
        cells = [escape(cell.strip()) for cell in rule.split("|")]
        tests = "".join(f"<inputEntry><text>{cell}</text></inputEntry>" for cell in cells[:width])
        results = "".join(f"<outputEntry><text>{cell}</text></outputEntry>" for cell in cells[width:])
        rows.append(f"<rule>{tests}{results}</rule>")
    body = f"<decisionTable {policy}>{''.join(columns)}{''.join(rows)}</decisionTable>"
    return (
        f'<definitions xmlns="{_DMN}" id="dmn" name="dmn" namespace="x"><decision id="d" name="d">{body}</decision>'
        "</definitions>"
    ).encode()


def deciding(attributes: str = "") -> bytes:
    return sequence("p", f'<bpmn:businessRuleTask id="a" camunda:decisionRef="d" {attributes} />')


ENTRY = 'camunda:resultVariable="r" camunda:mapDecisionResult="singleEntry"'
_ROWS = ("> 10 | 1", "> 5 | 2", "> 20 | 3")


def _decides(name: str, dmn: bytes, given: dict[str, Any], result: Any, attributes: str = ENTRY, **more: Any) -> None:
    more = {"done": "start a end", "variables": {"r": result}, "given": given} | more
    feature("decisions", name, deciding(attributes), dmn, **more)


_decides("hit policy UNIQUE", table("x", "o", *_ROWS, policy='hitPolicy="UNIQUE"'), {"x": 7}, 2)
_decides("hit policy UNIQUE: two matches are an incident", table("x", "o", *_ROWS, policy='hitPolicy="UNIQUE"'),
         {"x": 15}, None, done="start", status="failed", incident="script-error")  # fmt: skip
_decides("no rule matches", table("x", "o", *_ROWS), {"x": 1}, None)
_decides("hit policy FIRST", table("x", "o", *_ROWS, policy='hitPolicy="FIRST"'), {"x": 15}, 1)
_decides("hit policy ANY", table("x", "o", "> 10 | 1", "> 5 | 1", policy='hitPolicy="ANY"'), {"x": 15}, 1)
_decides("hit policy ANY: different answers are an incident", table("x", "o", *_ROWS, policy='hitPolicy="ANY"'),
         {"x": 15}, None, done="start", status="failed", incident="script-error")  # fmt: skip
_decides("hit policy PRIORITY", table("x", "o", *_ROWS, policy='hitPolicy="PRIORITY"', values="3, 2, 1"), {"x": 15}, 2)
_COLLECT = 'camunda:resultVariable="r" camunda:mapDecisionResult="collectEntries"'
_decides("hit policy OUTPUT ORDER", table("x", "o", *_ROWS, policy='hitPolicy="OUTPUT ORDER"', values="3, 2, 1"),
         {"x": 25}, [3, 2, 1], _COLLECT)  # fmt: skip
_decides("hit policy RULE ORDER", table("x", "o", *_ROWS, policy='hitPolicy="RULE ORDER"'), {"x": 25}, [1, 2, 3],
         _COLLECT)  # fmt: skip
_decides("hit policy COLLECT", table("x", "o", *_ROWS, policy='hitPolicy="COLLECT"'), {"x": 15}, [1, 2], _COLLECT)
for _aggregator, _result in (("SUM", 6), ("MIN", 1), ("MAX", 3), ("COUNT", 3)):
    _policy = f'hitPolicy="COLLECT" aggregation="{_aggregator}"'
    _decides(f"hit policy COLLECT with {_aggregator}", table("x", "o", *_ROWS, policy=_policy), {"x": 25}, _result)
for _name, _cell, _yes, _no in (
    ("comparison", "<= 3", 3, 4),
    ("interval", "[1..10]", 10, 11),
    ("open interval", "]1..10[", 2, 1),
    ("list of values", '"gold","silver"', "silver", "bronze"),
    ("not", 'not("bronze")', "gold", "bronze"),
    ("boolean", "true", True, False),
    ("date", '< date("2027-01-31")', "2026-12-31", "2027-02-01"),
    ("condition on the value", "? * 2 > 10", 6, 5),
):
    _dmn = table("x", "o", f"{_cell} | 1", "- | 2", policy='hitPolicy="FIRST"')
    _decides(f"FEEL cell: {_name}", _dmn, {"x": _yes}, 1)
    _decides(f"FEEL cell: {_name}, otherwise", _dmn, {"x": _no}, 2)
_decides("expressions in inputs and outputs", table("x + y", "o", '> 3 | if x > 2 then "big" else upper case("small")'),
         {"x": 2, "y": 2}, "SMALL")  # fmt: skip
_TWO = table("x", "o|q", "> 1 | 1 | 2", "> 5 | 3 | 4", policy='hitPolicy="COLLECT"')
_decides("result as a list", _TWO, {"x": 7}, [{"o": 1, "q": 2}, {"o": 3, "q": 4}], 'camunda:resultVariable="r"')
_decides("result as one dictionary", _TWO, {"x": 2}, {"o": 1, "q": 2},
         'camunda:resultVariable="r" camunda:mapDecisionResult="singleResult"')  # fmt: skip
_decides("without a result variable each output is one", table("x", "o|q", "> 1 | 1 | 2"), {"x": 7}, None, "",
         variables={"o": 1, "q": 2})  # fmt: skip


def needing(first: str, second: str) -> bytes:
    """A decision `d` that needs the decision `m`; each is what stands inside it."""
    return (
        f'<definitions xmlns="{_DMN}" id="dmn" name="dmn" namespace="x"><decision id="d" name="d">'
        '<informationRequirement id="n"><requiredDecision href="#m" /></informationRequirement>'
        f'{first}</decision><decision id="m" name="Guest Count">{second}</decision></definitions>'
    ).encode()


def inside(dmn: bytes) -> str:
    """The table of a file of one decision."""
    return dmn.decode().partition('name="d">')[2].partition("</decision>")[0]


_decides("a decision that needs another, known by its output",
         needing(inside(table("g", "o", "> 5 | 1", "<= 5 | 2", policy='hitPolicy="UNIQUE"')),
                 inside(table("x", "g", "> 1 | 9", "<= 1 | 3"))),
         {"x": 7}, 1, variables={"r": 1, "g": None})  # fmt: skip
_decides("a decision that needs another, known by its name of two words",
         needing(inside(table("Guest Count + 1", "o", "> 5 | 1", "<= 5 | 2")),
                 "<literalExpression><text>x * 2</text></literalExpression>"),
         {"x": 1}, 2, variables={"r": 2, "Guest_Count": None})  # fmt: skip
_decides("a decision that needs one with several hits",
         needing(inside(table("sum(g)", "o", "> 10 | 1", "<= 10 | 2")),
                 inside(table("x", "g", "> 1 | 9", "> 2 | 3", policy='hitPolicy="COLLECT"'))),
         {"x": 7}, 1)  # fmt: skip
