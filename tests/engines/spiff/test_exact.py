"""Amounts are compared and added exactly, from the form through the saved state to the decision."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.core.errors import Invalid
from app.engines.spiff import exact, forms, values
from app.engines.spiff.expressions import compile_expression
from app.engines.spiff.forms import Field, Form
from app.engines.spiff.sandbox import ScriptFailed
from tests.drawing import definitions, field, flow, gateway, script, sequence, user_task
from tests.engines.spiff.runs import Run, loaded

cents = some.integers(0, 10**11)


def amount(number: int) -> Decimal:
    return Decimal(number).scaleb(-2)


def computed(text: str, **data: Any) -> Any:
    return exact.evaluate(compile_expression(text), data)


@given(cents, cents, cents)
def test_a_sum_is_compared_as_whole_cents_would_be(paid: int, discount: int, charge: int) -> None:
    data = {"amount": amount(paid), "discount": amount(discount), "charge": amount(charge)}
    assert computed("amount + discount == charge", **data) == (paid + discount == charge)
    assert computed("amount + discount < charge", **data) == (paid + discount < charge)
    assert computed("charge - discount - amount > 0", **data) == (charge - discount - paid > 0)


@given(cents, some.sampled_from(["text", "spaced", "decimal"]))
def test_an_amount_is_the_same_whatever_it_is_entered_as(number: int, how: str) -> None:
    entered: object = amount(number)
    if how != "decimal":
        entered = f" {amount(number)} " if how == "spaced" else str(amount(number))
    assert forms.convert(Field("a", "A", "money"), entered) == amount(number)


@given(some.integers(0, 10**9))
def test_a_json_number_means_the_decimal_it_is_written_as(number: int) -> None:
    assert forms.convert(Field("a", "A", "money"), number / 100) == amount(number)


@given(cents)
def test_an_amount_survives_the_saved_state_with_its_places(number: int) -> None:
    kept = values.unpack(values.pack(values.wrap({"a": [amount(number)]})))["a"][0]
    assert isinstance(kept, Decimal)
    assert str(kept) == str(amount(number))


@pytest.mark.parametrize("entered", ["1.005", "12,50", "1e3", "NaN", "Infinity", "", "0x10", "1 000", 0.005, True, "١"])
def test_what_is_no_amount_is_named_beside_its_field(entered: object) -> None:
    with pytest.raises(Invalid) as refused:
        forms.submit(Form((Field("a", "A", "money", required=True),)), {"a": entered})
    assert refused.value.errors == {"a": "Enter an amount such as 120.50."}


def test_bounds_of_an_amount_are_exact() -> None:
    bounded = Field("a", "A", "money", min=0, max=0.3)
    assert forms.convert(bounded, "0.30") == Decimal("0.30")
    for beyond in ("-0.01", "0.31"):
        with pytest.raises(ValueError, match="0"):
            forms.convert(bounded, beyond)


@pytest.mark.parametrize(
    ("text", "data", "found"),
    [
        ("0.1 + 0.2 == 0.3", {}, True),
        ("a == '100.0'", {"a": Decimal("100.00")}, True),
        ("a == b", {"a": "yes", "b": "yes"}, True),
        ("a == 'yes'", {"a": Decimal(1)}, False),
        ("a == 2 and a > 1", {"a": 2}, True),
        ("not (a == 2 == b)", {"a": 2, "b": 2.0}, False),
        ("-a < 0 or a == 0", {"a": 0}, True),
        ("1 < a <= 3", {"a": Decimal("3.00")}, True),
        ("a == True", {"a": True}, True),
        ("a == None", {"a": None}, True),
        ("a * 3 == 0.3", {"a": 0.1}, True),
        ("juel_less(a, 1) or a in (None, '', [], {})", {"a": Decimal(2)}, False),
        ("juel_less(None, a)", {"a": Decimal(2)}, False),
    ],
)
def test_numbers_are_decimals_and_texts_of_numbers_count_beside_them(
    text: str, data: dict[str, Any], found: bool
) -> None:
    assert computed(text, **data) is found


@pytest.mark.parametrize(
    ("text", "data", "code"),
    [
        ("a < 1", {"a": "soon"}, "script-error"),
        ("a + 1 == 2", {"a": "x"}, "script-error"),
        ("a / 3 == 1", {"a": 3}, "script-error"),
        ("a ** 999999999 == 1", {"a": 3}, "script-error"),
        ("len(a) == 1", {"a": "x"}, "script-error"),
        ("a == 1", {}, "name-not-set"),
        ("a == 1", {"a": float("nan")}, "script-error"),
    ],
)
def test_what_cannot_be_computed_exactly_is_an_error_and_never_a_guess(
    text: str, data: dict[str, Any], code: str
) -> None:
    with pytest.raises(ScriptFailed) as failed:
        computed(text, **data)
    assert failed.value.code == code


MODEL = definitions(
    "P",
    '<bpmn:startEvent id="start" />',
    user_task("pay", field("amount", "money", required=True), field("discount", "money", default="0.20")),
    gateway("exclusive", "check", default="short"),
    '<bpmn:endEvent id="covered" />',
    '<bpmn:endEvent id="owed" />',
    flow("start", "pay"),
    flow("pay", "check"),
    flow("check", "covered", "${amount + discount >= 0.3}"),
    flow("check", "owed", flow_id="short"),
)


def test_a_drawn_model_compares_amounts_exactly_too() -> None:
    form = Form((Field("amount", "Amount", "money"), Field("discount", "Discount", "money", default="0.20")))
    entered = forms.submit(form, {"amount": "0.10"})
    run = Run(loaded(MODEL)).complete("pay", **entered)
    assert "covered" in run.done()
    assert run.variables == {"amount": "0.10", "discount": "0.20"}


def test_a_script_sees_an_amount_as_its_text() -> None:
    source = "from decimal import Decimal\ndouble = str(Decimal(amount) * 2)"
    model = sequence("P", user_task("pay", field("amount", "money")), script("twice", source))
    done = Run(loaded(model)).complete("pay", amount=Decimal("0.10"))
    assert done.variables["double"] == "0.20"
