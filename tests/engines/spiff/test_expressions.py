"""Texts of a model become Python once, at deployment: dialects, names, lines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.spiff.expressions import compile_expression, compile_script, first_line, tidy, translate, with_inputs
from app.engines.spiff.sandbox import Limits, Sandbox, ScriptFailed
from app.engines.spiff.subset import ScriptRefused

SANDBOX = Sandbox(Limits(), workers=1)


@pytest.fixture(scope="module", autouse=True)
def closed_after() -> Iterator[None]:
    yield
    SANDBOX.close()


def juel(text: str, **data: Any) -> Any:
    return SANDBOX.evaluate(compile_expression(text, "camunda"), data)


@pytest.mark.parametrize(
    ("text", "data", "answer"),
    [
        ("${proceed}", {"proceed": True}, True),
        ("#{proceed == true}", {"proceed": True}, True),
        ("${role == 'doctor'}", {"role": "doctor"}, True),
        ('${role eq "doctor" or role ne "x"}', {"role": "nurse"}, True),
        ("${a lt 3 and a le 2 && a gt 0 && a ge 1}", {"a": 2}, True),
        ("${!(a > 3) || false}", {"a": 9}, False),
        ("${not empty list}", {"list": [1]}, True),
        ("${empty name}", {"name": ""}, True),
        ("${empty name}", {"name": 0}, False),
        ("${patient.name}", {"patient": {"name": "Ana"}}, "Ana"),
        ("${patient['name']}", {"patient": {"name": "Ana"}}, "Ana"),
        ("${patient.missing == null}", {"patient": {}}, True),
        ("${lines[1].price}", {"lines": [{}, {"price": 4}]}, 4),
        ("${a + b * 2 - 1}", {"a": 1, "b": 3}, 6),
        ("${7 / 2}", {}, 3.5),
        ("${7 div 2 > 3}", {}, True),
        ("${7 mod 4}", {}, 3),
        ("${-7 % 4}", {}, -3),
        ("${a > 5 ? 'high' : 'low'}", {"a": 7}, "high"),
        ("${amount == 5}", {"amount": "5"}, True),
        ("${amount < 10}", {"amount": "9"}, True),
        ("${flag == 'true'}", {"flag": True}, True),
        ("${a == null}", {"a": None}, True),
        ("${a < 1}", {"a": None}, False),
        ("${1.5e2}", {}, 150.0),
        ("${'it\\'s'}", {}, "it's"),
        ("${'{0}' == a}", {"a": "{0}"}, True),
        ("proceed == True", {"proceed": True}, True),
    ],
)
def test_the_expression_language_of_camunda_7_means_here_what_it_means_there(
    text: str, data: dict[str, Any], answer: object
) -> None:
    assert juel(text, **data) == answer


@pytest.mark.parametrize(
    "text",
    [
        "${bean.call()}",
        "${execution.getVariable('x')}",
        "Hello ${name}",
        "${a}${b}",
        "${}",
        "${a =}",
        "${a = 1}",
        "${a b}",
        "${lambda}",
        "${'open}",
        "${" + "(" * 10_000,
        "${" + "-" * 10_000 + "1}",
        "${a" + ">=a" * 60 + "}",
        "${a;b}",
        "${a->b}",
        "${[1,2]}",
        "${a.class}x",
        "${def}",
    ],
)
def test_what_is_outside_the_subset_is_refused(text: str) -> None:
    with pytest.raises(ScriptRefused) as raised:
        compile_expression(text, "camunda")
    assert raised.value.fix


def test_text_is_not_added_up() -> None:
    with pytest.raises(ScriptFailed):
        juel("${a + b}", a="1", b="2")


def test_a_dollar_sign_means_nothing_in_a_python_file() -> None:
    with pytest.raises(ScriptRefused):
        compile_expression("${proceed}", "python")


def test_feel_is_left_to_zeebe() -> None:
    with pytest.raises(ScriptRefused):
        translate("=x > 1", "feel")


@given(st.text(alphabet="ab1 .'\"()[]<>=!&|?:+-*/%{}$#\\emptyandornot", max_size=40))
def test_no_text_makes_the_translation_fail_in_another_way(text: str) -> None:
    with contextlib.suppress(ScriptRefused):
        assert compile_expression("${" + text + "}", "camunda").code


@given(st.text(max_size=60))
def test_no_text_makes_the_compilation_fail_in_another_way(text: str) -> None:
    for compile_ in (compile_script, compile_expression):
        with contextlib.suppress(ScriptRefused):
            assert compile_(text).code


def test_the_names_a_script_reads_and_writes_are_known() -> None:
    compiled = compile_script(
        "import math\n"
        "def area(r):\n    return math.pi * r * r\n"
        "total = area(radius)\n"
        "for line in lines:\n    total += line\n"
        "_temporary = 1\n"
        "found = [x for x in lines if x > limit]\n"
    )
    assert compiled.reads == {"radius", "lines", "limit", "total", "line"}
    assert compiled.writes == ("found", "line", "total")
    assert compiled.mutates


def test_a_function_of_ours_is_no_variable_unless_the_model_sets_it() -> None:
    assert compile_script("x = today()").reads == set()
    assert compile_expression("age < 18").reads == {"age"}


def test_indentation_from_the_file_is_taken_off_and_lines_still_count_from_the_tag() -> None:
    source = "\n\n      a = 1\n      if a:\n          b = 2\n    "
    assert tidy(source) == "a = 1\nif a:\n    b = 2"
    assert first_line(source) == 2


@pytest.mark.parametrize(
    ("source", "line", "rule"),
    [
        ("x = 1\nif x\n    y = 2", 2, "script-syntax"),
        ("x = 1\n\nimport os", 3, "script-import"),
        ("x = 1\ndel x", 2, "script-syntax"),
        ("x = (\n  open('a'))", 2, "script-name"),
        ("return 1", 1, "script-syntax"),
        ("", 1, "script-missing"),
        ("x = 1\0", 1, "script-syntax"),
        ("x = " + "(" * 300 + ")" * 300, 1, "script-syntax"),
        ("x = 1\n" * 20_000, 1, "script-syntax"),
        ("try:\n    x = 1\nexcept BpmnError:\n    pass", 3, "script-syntax"),
    ],
)
def test_a_refused_script_is_refused_with_its_line(source: str, line: int, rule: str) -> None:
    with pytest.raises(ScriptRefused) as raised:
        compile_script(source)
    assert (raised.value.line, raised.value.rule) == (line, rule)
    assert raised.value.fix


def test_declared_inputs_are_the_scripts_own_and_declared_outputs_must_be_set() -> None:
    text = with_inputs("if amount > limit:\n    high = True", {"limit": "base * 2"}, ("high",))
    compiled = compile_script(text)
    assert SANDBOX.execute(compiled, {"amount": 9, "base": 2}) == {"high": True}
    with pytest.raises(ScriptFailed) as raised:
        SANDBOX.execute(compiled, {"amount": 1, "base": 2})
    assert (raised.value.code, raised.value.message) == ("name-not-set", "high is not set")


def test_lines_are_those_of_the_authors_script_whatever_stands_before_it() -> None:
    text = with_inputs("a = 1\nb = missing", {"limit": "2", "other": "3"})
    with pytest.raises(ScriptFailed) as raised:
        SANDBOX.execute(compile_script(text), {})
    assert raised.value.line == 2
