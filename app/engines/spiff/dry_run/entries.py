"""What is entered into a form: one plain entry for each field, its bounds, and what the model compares it with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.core.errors import Invalid
from app.engines.spiff import forms
from app.engines.spiff.dry_run.hints import MOST, Hints
from app.engines.spiff.forms import Field, Form

SAMPLES = (
    "Sample", "sample", "A", "1", "12", "123", "1234", "12345", "123456", "0000000000", "A-1", "A1", "AB-123", "T-100",
    "someone@example.org", "+1 555 0100", "2027-03-01", "09:30", "12:00", "2027-03-01T09:30", "10.00", "A B",
)  # fmt: skip
"""Tried on a field with a pattern; the first that fits is its plain entry."""
LONG = 200
TOGETHER = 24


def of(form: Form, hints: Hints, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Submissions of a form that it takes, the plainest first, each as what is stored.

    One field differs from the plain submission at a time; of fields that the model compares with literals all
    literals are tried together as well. Empty for a form that nothing here fits into.
    """
    tried: list[dict[str, Any]] = []
    plain = {field.id: one for field in form.fields if not field.readonly for one in [_first(field, hints)]}
    candidates = [plain, *_one_by_one(form, plain, hints), *_together(form, plain, hints)]
    for given in candidates:
        try:
            stored = forms.submit(form, given, data)
        except Invalid:
            continue
        if stored not in tried:
            tried.append(dict(stored))
    return tried


def _one_by_one(form: Form, plain: dict[str, Any], hints: Hints) -> Iterator[dict[str, Any]]:
    for field in form.fields:
        if not field.readonly:
            for value in _values(field, hints):
                yield {**plain, field.id: value}
    optional = [field.id for field in form.fields if not field.required and not field.readonly]
    yield plain | dict.fromkeys(optional, None)


def _together(form: Form, plain: dict[str, Any], hints: Hints) -> Iterator[dict[str, Any]]:
    """Every pair of compared values of different fields, as far as there are not too many."""
    compared = [field for field in form.fields if hints.values.get(field.id) and not field.readonly]
    made = 0
    for number, one in enumerate(compared):
        for other in compared[number + 1 :]:
            for value in hints.values[one.id]:
                for second in hints.values[other.id]:
                    made += 1
                    if made > TOGETHER:
                        return
                    yield {**plain, one.id: value, other.id: second}


def _first(field: Field, hints: Hints) -> Any:
    return next((value for value in _values(field, hints) if _fits(field, value)), None)


def _fits(field: Field, value: Any) -> bool:
    try:
        return forms.convert(field, value) not in ("", None)
    except ValueError:
        return False


def _values(field: Field, hints: Hints) -> list[Any]:
    """The field's default, what it is compared with, its bounds; "" where it may be left out."""
    known = hints.values.get(field.id, hints.values.get(field.id.rpartition(".")[2], []))
    values = [] if field.default is None else [field.default]
    match field.type:
        case "enum":
            values += [option.id for option in field.options[:MOST]]
        case "boolean":
            values += [True, False]
        case "date":
            values += ["2027-03-01", "1980-02-29", "2099-12-31"]
        case "long" | "double" | "money":
            low, high = field.min, field.max
            inner = 1 if low is None and high is None else low if high is None else high
            values += [one for one in (inner, low, high, 0, 1, -1, 1_000_000) if one is not None]
        case "string":
            values += _texts(field)
    values += [one for one in known if not isinstance(one, list | dict)]
    if field.type == "string" or (field.type == "enum" and field.lookup):
        values += [] if known else hints.texts
        values += [] if field.type == "string" else ["sample"]
    if not field.required:
        values.append("")
    return values


def _texts(field: Field) -> list[str]:
    fitting = [one for one in SAMPLES if _fits(field, one)]
    shortest, longest = field.minlength or 1, min(field.maxlength or LONG, LONG)
    return [*fitting[:2], *("x" * length for length in dict.fromkeys((shortest, longest)))]
