"""What people enter in a form: taken, converted, or sent back with a sentence beside the field."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.engines.spiff.forms import TEXT_LIMIT, Field, Form, Option, shown, submit, valid_pattern

COLOURS = (Option("r", "Red"), Option("g", "Green"))


def form(*fields: Field) -> Form:
    return Form(fields)


def one(field: Field, entered: object) -> Any:
    return submit(form(field), {field.id: entered})[field.id]


def sentence(field: Field, entered: object) -> str:
    with pytest.raises(Invalid) as raised:
        submit(form(field), {field.id: entered})
    assert raised.value.status == 422
    return raised.value.errors[field.id]


@pytest.mark.parametrize(
    ("type_", "entered", "stored"),
    [
        ("string", "  Ana Cruz ", "  Ana Cruz "),
        ("string", "", ""),
        ("string", None, ""),
        ("long", "3", 3),
        ("long", " -3 ", -3),
        ("long", 3, 3),
        ("long", 3.0, 3),
        ("long", "", None),
        ("double", "1.5", 1.5),
        ("double", "1e3", 1000.0),
        ("double", 2, 2.0),
        ("boolean", "on", True),
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("boolean", True, True),
        ("boolean", "", None),
        ("date", "2026-02-28", "2026-02-28"),
        ("date", "", None),
    ],
)
def test_browser_texts_and_json_values_are_taken_alike(type_: Any, entered: object, stored: object) -> None:
    assert one(Field("f", "F", type_), entered) == stored


@pytest.mark.parametrize("entered", ["x", "1.5", "1e3", True, [1], {"a": 1}, "٣", "１", "0x1", "1_000",
                                     2**63, "9" * 30, 1e300,
                                     float("nan"), float("inf"), 1.5, "+", "1 2"])  # fmt: skip
def test_a_wrong_whole_number_gets_the_sentence_that_names_the_range(entered: object) -> None:
    assert sentence(Field("f", "F", "long", min=1, max=5), entered) == "Enter a whole number from 1 to 5."


@pytest.mark.parametrize("entered", ["x", "nan", "inf", "-inf", "1e999", True, [1], "1,5", "٣.٤", "9" * 400, 10**400])
def test_a_wrong_number_is_refused(entered: object) -> None:
    assert sentence(Field("f", "F", "double"), entered) == "Enter a number."


@pytest.mark.parametrize(
    ("field", "entered", "expected"),
    [
        (Field("f", "F", "long", min=1), 0, "Enter a whole number of at least 1."),
        (Field("f", "F", "double", max=2.5), 2.6, "Enter a number of at most 2.5."),
        (Field("f", "Patient ID", required=True), "   ", "Enter Patient ID."),
        (Field("f", "F"), 5, "Enter text."),
        (Field("f", "F"), ["a"], "Enter text."),
        (Field("f", "F", maxlength=3), "abcd", "Use at most 3 characters."),
        (Field("f", "F", minlength=3), "ab", "Use at least 3 characters."),
        (Field("f", "F"), "a\0b", "Take out the characters that cannot be stored."),
        (Field("f", "F"), "\ud800", "Take out the characters that cannot be stored."),
        (Field("f", "F", pattern="[A-Z]{2}"), "ABC", "This must have the form [A-Z]{2}"),
        (Field("f", "F", "boolean"), "yes", "Choose yes or no."),
        (Field("f", "F", "boolean"), 1, "Choose yes or no."),
        (Field("f", "F", "date"), "28.02.2026", "Enter a date as YYYY-MM-DD, for example 2027-03-31."),
        (Field("f", "F", "date"), "2026-02-30", "There is no such day: 2026-02-30."),
        (Field("f", "F", "date"), "2026-W09-1", "Enter a date as YYYY-MM-DD, for example 2027-03-31."),
        (Field("f", "F", "enum", options=COLOURS), "HACK", "Choose one of: Red, Green."),
        (Field("f", "F", "enum", options=COLOURS), ["r"], "Choose one of: Red, Green."),
        (Field("f", "F", "enum", required=True, options=COLOURS), "", "Choose one of: Red, Green."),
    ],
)
def test_the_sentence_says_what_to_enter(field: Field, entered: object, expected: str) -> None:
    assert sentence(field, entered) == expected


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(Invalid) as raised:
        submit(form(Field("a", "A", "long"), Field("b", "B", required=True), Field("c", "C")), {"a": "x", "c": "fine"})
    assert set(raised.value.errors) == {"a", "b"}


def test_a_megabyte_in_a_text_field_is_refused() -> None:
    assert sentence(Field("f", "F"), "x" * 1_000_000) == f"Use at most {TEXT_LIMIT} characters."
    assert one(Field("f", "F", maxlength=20_000), "x" * 15_000) == "x" * 15_000


def test_names_outside_the_form_are_never_stored() -> None:
    assert submit(form(Field("a", "A")), {"a": "1", "role": "admin", "__proto__": 1, "a.b": 2}) == {"a": "1"}


def test_a_readonly_field_is_never_taken_from_what_was_sent() -> None:
    only = form(Field("a", "A", readonly=True, default="fixed"))
    assert submit(only, {"a": "HACK"}) == {"a": "fixed"}
    assert submit(only, {"a": "HACK"}, {"a": "known"}) == {}


def test_what_is_not_sent_takes_its_default_and_keeps_what_is_known() -> None:
    both = form(Field("a", "A", default="x"), Field("b", "B", "long"), Field("c", "C"))
    assert submit(both, {}) == {"a": "x", "b": None, "c": ""}
    assert submit(both, {}, {"a": "known", "b": 4, "c": ""}) == {}


def test_a_required_field_that_is_already_known_need_not_be_sent_again() -> None:
    needed = form(Field("a", "A", required=True))
    assert submit(needed, {}, {"a": "known"}) == {}
    with pytest.raises(Invalid):
        submit(needed, {"a": ""}, {"a": "known"})


def test_dotted_ids_become_nested_data_merged_with_what_is_there() -> None:
    patient = form(Field("patient.name", "Name"), Field("patient.address.city", "City"))
    current = {"patient": {"age": 40, "address": {"zip": "1000"}}}
    stored = submit(patient, {"patient.name": "Ana", "patient": {"address": {"city": "Ulm"}}}, current)
    assert stored == {"patient": {"age": 40, "name": "Ana", "address": {"zip": "1000", "city": "Ulm"}}}
    assert current == {"patient": {"age": 40, "address": {"zip": "1000"}}}


def test_a_form_shows_what_is_known_before_its_default() -> None:
    both = form(Field("a.b", "A", default="x"), Field("c", "C", default="y"), Field("d", "D"))
    assert shown(both, {"a": {"b": "known"}}) == {"a.b": "known", "c": "y", "d": None}


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        (r"\d{3}", "123", "١٢٣"),
        (r"[\d-]+", "1-2", "1_2"),
        (r"\w+", "ab_1", "äb"),
        (r"T-[0-9]{1,4}", "T-7", "xT-7"),
        ("a|b", "b", "ba"),
        ("a$", "a", "a\n"),
        (r"\\d", "\\d", "1"),
        (r"[\]a]+", "]a", "b"),
    ],
)
def test_a_pattern_holds_for_the_whole_text_and_for_ascii_classes(pattern: str, fits: str, fails: str) -> None:
    field = Field("f", "F", pattern=pattern)
    assert one(field, fits) == fits
    assert sentence(field, fails) == f"This must have the form {pattern}"


def test_a_pattern_made_to_run_for_ever_runs_in_linear_time() -> None:
    began = time.process_time()  # of this process: a busy machine makes it wait, not work
    assert sentence(Field("f", "F", pattern="(a+)+"), "a" * 9_999 + "b")
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "[0-9", "(a{1000}){1000}", "x" * 501])
def test_a_pattern_that_cannot_run_in_linear_time_is_refused(pattern: str) -> None:
    assert valid_pattern(pattern)


@st.composite
def fields(draw: st.DrawFn) -> Field:
    type_ = draw(st.sampled_from(["string", "long", "double", "boolean", "date", "enum"]))
    low, high = sorted([draw(st.integers(-100, 100)), draw(st.integers(-100, 100))])
    return Field(
        id=draw(st.from_regex(r"[a-z][a-z0-9]{0,3}(\.[a-z]{1,2})?", fullmatch=True)),
        label="Label",
        type=type_,  # pyright: ignore[reportArgumentType]
        required=draw(st.booleans()),
        readonly=draw(st.booleans()),
        options=COLOURS if type_ == "enum" else (),
        min=low if type_ in ("long", "double") and draw(st.booleans()) else None,
        max=high if type_ in ("long", "double") and draw(st.booleans()) else None,
        minlength=draw(st.none() | st.integers(0, 3)) if type_ == "string" else None,
        maxlength=draw(st.none() | st.integers(3, 8)) if type_ == "string" else None,
        pattern=draw(st.none() | st.just("[a-z]*")) if type_ == "string" else None,
    )


def _separate(found: list[Field]) -> bool:
    """No field is a value and a group of values at once; the deployment check refuses such a form."""
    return not any(a.id == b.id.partition(".")[0] for a in found for b in found if "." in b.id)


patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
forms = st.lists(fields(), max_size=5, unique_by=lambda field: field.id).filter(_separate).map(lambda f: Form(tuple(f)))
garbage = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def _leaves(data: dict[str, Any], before: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in data.items():
        found |= _leaves(value, f"{before}{name}.") if isinstance(value, dict) else {before + name}
    return found


def _outcome(some: Form, entered: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        return submit(some, entered), {}
    except Invalid as refused:
        return {}, refused.errors


@patient
@given(forms, st.data())
def test_garbage_is_stored_clean_or_refused_and_nothing_else(some: Form, data: st.DataObject) -> None:
    names = [field.id for field in some.fields]
    given_values = data.draw(st.dictionaries(st.sampled_from([*names, "foreign"]), garbage, max_size=6))
    stored, refused = _outcome(some, given_values)
    assert set(refused) <= set(names)
    assert _leaves(stored) <= set(names)
    assert orjson.loads(orjson.dumps(stored)) == stored


@patient
@given(forms, st.data())
def test_what_was_stored_can_be_shown_and_sent_again(some: Form, data: st.DataObject) -> None:
    entered = {
        "string": st.text("abc", max_size=4),
        "long": st.integers(-100, 100).map(str),
        "double": st.floats(-100, 100).map(str),
        "boolean": st.sampled_from(["true", "false"]),
        "date": st.dates().map(str),
        "enum": st.sampled_from(["r", "g"]),
    }
    try:
        stored = submit(some, {field.id: data.draw(entered[field.type]) for field in some.fields})
    except Invalid:
        return
    sent = {name: value for name, value in shown(some, stored).items() if value is not None}
    again = submit(
        some, {name: str(value).lower() if isinstance(value, bool) else value for name, value in sent.items()}
    )
    assert again == stored


@patient
@given(forms)
def test_a_form_survives_the_database(some: Form) -> None:
    assert Form.from_list(orjson.loads(orjson.dumps(some.as_list()))) == some
