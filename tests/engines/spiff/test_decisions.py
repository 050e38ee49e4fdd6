"""Decision tables that are refused, and what is wrong with them, word for word."""

from __future__ import annotations

import pytest

from app.engines.spiff import checks, feel
from app.engines.spiff.subset import ScriptRefused
from tests.engines.spiff.conformance.rules import ENTRY, deciding, inside, needing, table
from tests.engines.spiff.test_checks import File

PRIORITY = 'hitPolicy="PRIORITY"'


def problems(dmn: bytes, attributes: str = ENTRY) -> list[tuple[str, str, str]]:
    found = checks.run([File("p.bpmn", deciding(attributes)), File("d.dmn", dmn)])
    return [(p.element_id, p.message, p.fix) for p in found.problems if p.rule == "decision-table"]


CELLS = "write literals, comparisons, ranges, lists, not(…), or a common function"


@pytest.mark.parametrize(
    ("dmn", "problem"),
    [
        (table("x", "o", "some y | 1"),
         ("d", "rule 1 cannot be read: `y` is not expected here in FEEL; names with spaces are not read", CELLS)),
        (table("x", "o", "> 1 | 1", "bean.call() | 2"), ("d", "rule 2 cannot be read: `(` is not expected here in FEEL",
                                                         CELLS)),
        (table("x", "o", "> 1 | get entries(x)"),
         ("d", "rule 1 cannot be read: `entries` is not expected here in FEEL; names with spaces are not read", CELLS)),
        (table("x", "o", '> 1 | duration("P1D")'),
         ("d", "rule 1 cannot be read: the function duration is not known here in this form", CELLS)),
        (table("x", "o", '> date("2026-02-30") | 1'), ("d", "rule 1 cannot be read: '2026-02-30' is no date", CELLS)),
        (table("x", "first name", "> 1 | 1"),
         ("o_first name", "its output 'first name' cannot be the name of a variable", "rename the output")),
        (table("x", "o", "> 1 | 1", policy=PRIORITY), ("d", "the hit policy PRIORITY needs output values",
                                                       "list them, the highest first")),
        (table("x", "o|q", "> 1 | 1 | 2", policy='hitPolicy="COLLECT" aggregation="SUM"'),
         ("d", "aggregates several outputs", "keep one output, or collect without an aggregator")),
    ],
)  # fmt: skip
def test_a_table_that_cannot_run_is_refused(dmn: bytes, problem: tuple[str, str, str]) -> None:
    assert problems(dmn) == [problem]


def test_every_broken_cell_and_column_is_named() -> None:
    dmn = table("x", "o", "some y | 1", "> 1 | bean.call()", "> 2 | 3").decode().replace(">x</text>", ">x y</text>")
    for place, own in (("<inputEntry>", "in_{}"), ("<outputEntry>", "out_{}")):
        for number in range(1, 4):
            dmn = dmn.replace(place, f'{place[:-1]} id="{own.format(number)}">', 1)
    found = [(p.element_type, p.element_id) for p in checks.run([File("d.dmn", dmn.encode())]).problems]
    assert found == [("input", "i0"), ("inputEntry", "in_1"), ("outputEntry", "out_2")]


@pytest.mark.parametrize(
    ("needed", "message", "fix"),
    [
        ("e", "needs the decision 'e', which is not in its file", "put both into one file"),
        ("d", "needs 'd', which needs it in turn", "take one of the requirements out"),
    ],
)
def test_a_decision_whose_needs_cannot_be_met_is_refused(needed: str, message: str, fix: str) -> None:
    needs = f'<informationRequirement><requiredDecision href="#{needed}" /></informationRequirement><decisionTable'
    found = problems(table("x", "o", "> 1 | 1").replace(b"<decisionTable", needs.encode()))
    assert found == [("d", message, fix)]


def test_an_output_with_the_name_of_what_is_needed_is_refused() -> None:
    same = inside(table("x", "o", "> 1 | 1"))
    assert problems(needing(same, same)) == [("d", "its output o has the name of what it needs", "rename one of them")]


def test_one_entry_of_a_decision_with_two_outputs_is_refused() -> None:
    message = "takes one entry of a decision with 2 outputs"
    assert problems(table("x", "o|q", "> 1 | 1 | 2")) == [
        ("a", message, "map the result as singleResult or resultList")
    ]


@pytest.mark.parametrize("text", ["__import__('os')", "(" * 5000, "x; y", 'x.__class__("a")', "open(1)", "lambda: 1"])
def test_no_cell_reaches_anything_but_its_variables(text: str) -> None:
    with pytest.raises(ScriptRefused):
        feel.expression(text)
