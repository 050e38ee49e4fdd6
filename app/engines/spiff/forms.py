"""The form of a user task as plain data, and the check of what people enter in it.

Reading a form from the XML is `checks.fields`; drawing it is the pages' part. Nothing here knows instances or tasks.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, cast

from pydantic import JsonValue
from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from app.core.errors import Invalid

FieldType = Literal["string", "long", "double", "money", "boolean", "date", "enum"]
FIELD_TYPES: tuple[FieldType, ...] = ("string", "long", "double", "money", "boolean", "date", "enum")
"""Camunda's own and `money`: an exact decimal with two places, never a binary fraction."""

TEXT_LIMIT = 10_000
"""Characters of a text field whose model sets no `maxlength`."""
PATTERN_LIMIT = 500
LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1
_NUMBER_TEXT = 60
_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MONEY = re.compile(r"[+-]?[0-9]{1,10}(?:\.[0-9]{1,2})?")
_CENT = Decimal("0.01")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TRUTHS: dict[object, bool] = {"true": True, "on": True, "false": False, "off": False}


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of an enum field: what is stored, and what people read."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """One `camunda:formField` with its constraints; lengths in characters."""

    id: str
    label: str
    type: FieldType = "string"
    required: bool = False
    readonly: bool = False
    default: JsonValue = None
    options: tuple[Option, ...] = ()
    min: float | int | None = None
    max: float | int | None = None
    minlength: int | None = None
    maxlength: int | None = None
    pattern: str | None = None
    lookup: str = ""
    """The look-up whose choices are the only values; `lookup_with` says what its parameters are (see `choices`)."""
    lookup_with: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])

    def as_dict(self) -> dict[str, Any]:
        """The members of `form.fields` in the API."""
        return {
            "id": self.id,
            "label": self.label,
            "type": self.type,
            "required": self.required,
            "readonly": self.readonly,
            "default": self.default,
            "options": [{"id": option.id, "name": option.name} for option in self.options],
            "min": self.min,
            "max": self.max,
            "minlength": self.minlength,
            "maxlength": self.maxlength,
            "pattern": self.pattern,
            "lookup": self.lookup,
            "lookup_with": dict(self.lookup_with),
        }


@dataclass(frozen=True, slots=True)
class Form:
    fields: tuple[Field, ...] = ()

    def as_list(self) -> list[dict[str, Any]]:
        return [field.as_dict() for field in self.fields]

    @classmethod
    def from_list(cls, rows: Sequence[Mapping[str, Any]]) -> Form:
        """A form from what `as_list` gave, as it comes back from the database."""
        return cls(tuple(_field(row) for row in rows))


def _field(row: Mapping[str, Any]) -> Field:
    members: dict[str, Any] = dict(row)
    members["options"] = tuple(Option(option["id"], option["name"]) for option in row["options"])
    return Field(**members)


def submit(form: Form, given: Mapping[str, object], current: Mapping[str, Any] | None = None) -> dict[str, JsonValue]:
    """What one submission stores: values checked and converted, names outside the form ignored.

    ``given`` holds texts of a browser or JSON values. A browser leaves out an unticked box, so a page sends
    "false" for it. A dotted id `patient.name` becomes `{"patient": {"name": …}}`. Readonly fields are never taken
    from ``given``. ``current`` is the instance's data: a field that is not given keeps its value there, and dotted
    ids are merged into it. Without one, a field not given takes its default, else "" for text and None otherwise.

    Raises:
        Invalid: one sentence per field that must be mended.
    """
    errors: dict[str, str] = {}
    values: dict[str, JsonValue] = {}
    for field in form.fields:
        known = _find(current or {}, field.id)
        entered = _MISSING if field.readonly else _find(given, field.id)
        if entered is _MISSING and (known is not _MISSING and known is not None):
            continue
        try:
            value = _absent(field) if entered is _MISSING else convert(field, entered)
        except ValueError as error:
            errors[field.id] = str(error)
            continue
        if value not in (None, ""):
            _put(values, field.id, value, current or {})
        elif field.required and not field.readonly:
            errors[field.id] = _wanted(field)
        elif not field.readonly:
            _put(values, field.id, value, current or {})
    if errors:
        raise Invalid(errors)
    return values


def shown(form: Form, data: Mapping[str, Any]) -> dict[str, JsonValue]:
    """What the form shows at first: the instance's value of each field, else the field's default."""
    found = {field.id: _find(data, field.id) for field in form.fields}
    return {
        field.id: field.default if found[field.id] is _MISSING else cast("JsonValue", found[field.id])
        for field in form.fields
    }


def convert(field: Field, entered: object) -> JsonValue:
    """One entry as the value that is stored; an empty one is "" for text and None otherwise.

    Raises:
        ValueError: it does not fit; the message is the sentence for people.
    """
    if entered is None or (isinstance(entered, str) and not entered.strip() and field.type != "string"):
        return "" if field.type == "string" else None
    return _CONVERTERS[field.type](field, entered)


def valid_pattern(pattern: str) -> str:
    """Why a pattern cannot be used, or nothing. Only what runs in linear time is allowed: no look-around."""
    if len(pattern) > PATTERN_LIMIT:
        return f"it is longer than {PATTERN_LIMIT} characters"
    try:
        _matcher(pattern)
    except SchemaError as error:
        reason = str(error).rpartition("error: ")[2].strip().splitlines()
        return reason[0] if reason else "it is not a regular expression"
    return ""


_MISSING = object()


def value_at(data: Mapping[str, object], dotted: str) -> object:
    """The value of a name or a dotted path, None where there is none."""
    found = _find(data, dotted)
    return None if found is _MISSING else found


def _find(data: Mapping[str, object], dotted: str) -> object:
    """A value by its id as it stands, else by its path through nested dictionaries."""
    if dotted in data:
        return data[dotted]
    at: object = data
    for part in dotted.split("."):
        if not isinstance(at, Mapping) or part not in at:
            return _MISSING
        at = at[part]
    return at


def _put(values: dict[str, JsonValue], dotted: str, value: JsonValue, current: Mapping[str, Any]) -> None:
    first, *path = dotted.split(".")
    if not path:
        values[first] = value
        return
    if first not in values:
        values[first] = _copied(current.get(first))
    at = cast("dict[str, JsonValue]", values[first])
    for part in path[:-1]:
        inner = _copied(at.get(part))
        at[part] = inner
        at = inner
    at[path[-1]] = value


def _copied(value: object) -> dict[str, JsonValue]:
    """Failure prevented: changing the caller's data while building the new one."""
    return dict(cast("Mapping[str, JsonValue]", value)) if isinstance(value, Mapping) else {}


def _absent(field: Field) -> JsonValue:
    if field.default is not None:
        return convert(field, field.default) if field.type == "money" else field.default
    return "" if field.type == "string" else None


def _string(field: Field, entered: object) -> JsonValue:
    if not isinstance(entered, str):
        raise ValueError("Enter text.")  # noqa: TRY004 - the caller collects one kind of error
    if field.required and not entered.strip():
        return ""
    limit = field.maxlength if field.maxlength is not None else TEXT_LIMIT
    if len(entered) > limit:
        raise ValueError(f"Use at most {limit} characters.")
    # Failure prevented: PostgreSQL stores neither NUL nor half of a surrogate pair, and fails the whole step.
    if "\0" in entered or any("\ud800" <= sign <= "\udfff" for sign in entered):
        raise ValueError("Take out the characters that cannot be stored.")
    if entered and field.minlength is not None and len(entered) < field.minlength:
        raise ValueError(f"Use at least {field.minlength} characters.")
    if entered and field.pattern and not _matches(field.pattern, entered):
        raise ValueError(f"This must have the form {field.pattern}")
    return entered


def _long(field: Field, entered: object) -> JsonValue:
    number: int | None = None
    if isinstance(entered, str):
        text = entered.strip()
        number = int(text) if len(text) <= _NUMBER_TEXT and _WHOLE.fullmatch(text) else None
    elif isinstance(entered, bool):
        number = None
    elif isinstance(entered, int):
        number = entered
    elif isinstance(entered, float) and math.isfinite(entered) and entered.is_integer():
        number = int(entered)
    if number is None or not LONG_MIN <= number <= LONG_MAX:
        raise ValueError(_wanted(field))
    return _within(field, number)


def _double(field: Field, entered: object) -> JsonValue:
    number: float | None = None
    if isinstance(entered, str):
        text = entered.strip()
        number = float(text) if len(text) <= _NUMBER_TEXT and _DECIMAL.fullmatch(text) else None
    elif isinstance(entered, int | float) and not isinstance(entered, bool):
        number = float(entered) if abs(entered) < 1e308 else None
    if number is None or not math.isfinite(number):
        raise ValueError(_wanted(field))
    return _within(field, number)


def _money(field: Field, entered: object) -> JsonValue:
    """An amount with two places, as `Decimal`. A JSON number is read by its shortest text, so 0.1 is a tenth."""
    text = entered.strip() if isinstance(entered, str) else ""
    if isinstance(entered, Decimal | int | float) and not isinstance(entered, bool):
        text = f"{entered:f}" if isinstance(entered, Decimal) else str(entered)
    if not _MONEY.fullmatch(text.removesuffix(".0")):
        raise ValueError(_wanted(field))
    amount = Decimal(text).quantize(_CENT)
    low, high = (None if bound is None else Decimal(str(bound)) for bound in (field.min, field.max))
    if (low is not None and amount < low) or (high is not None and amount > high):
        raise ValueError(_wanted(field))
    return cast("JsonValue", amount)  # the one value that JSON has no type for; it is shown as text


def _within(field: Field, number: float) -> JsonValue:
    if (field.min is not None and number < field.min) or (field.max is not None and number > field.max):
        raise ValueError(_wanted(field))
    return number


def _boolean(field: Field, entered: object) -> JsonValue:
    if isinstance(entered, bool):
        return entered
    truth = _TRUTHS.get(entered.strip().lower()) if isinstance(entered, str) else None
    if truth is None:
        raise ValueError(_wanted(field))
    return truth


def _date(field: Field, entered: object) -> JsonValue:
    text = entered.strip() if isinstance(entered, str) else ""
    if not _DAY.fullmatch(text):
        raise ValueError(_wanted(field))
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"There is no such day: {text}.") from None
    return text


def _enum(field: Field, entered: object) -> JsonValue:
    if not isinstance(entered, str) or (not field.lookup and entered not in {option.id for option in field.options}):
        raise ValueError(_wanted(field))
    return entered


_CONVERTERS = {
    "string": _string,
    "long": _long,
    "double": _double,
    "money": _money,
    "boolean": _boolean,
    "date": _date,
    "enum": _enum,
}


def _wanted(field: Field) -> str:
    """The sentence that says what belongs in a field."""
    match field.type:
        case "long":
            return f"Enter a whole number{_range(field)}."
        case "double":
            return f"Enter a number{_range(field)}."
        case "money":
            return f"Enter an amount such as 120.50{_range(field)}."
        case "boolean":
            return "Choose yes or no."
        case "date":
            return "Enter a date as YYYY-MM-DD, for example 2027-03-31."
        case "enum":
            names = [option.name for option in field.options]
            if field.lookup:
                return f"Choose {field.label or field.id}."
            return "Choose one of: " + ", ".join(names[:10]) + ("." if len(names) <= 10 else ", …")
        case "string":
            return f"Enter {field.label or field.id}."


def _range(field: Field) -> str:
    low, high = field.min, field.max
    if low is not None and high is not None:
        return (
            f" from {low:g} to {high:g}"
            if isinstance(low, float) or isinstance(high, float)
            else f" from {low} to {high}"
        )
    if low is not None:
        return f" of at least {low}"
    return f" of at most {high}" if high is not None else ""


def _matches(pattern: str, text: str) -> bool:
    try:
        _matcher(pattern).validate_python(text)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> SchemaValidator:
    """The whole text must match, as with HTML's `pattern`. The engine runs in linear time whatever the pattern."""
    return SchemaValidator(core_schema.str_schema(pattern=f"^(?:{_ascii(pattern)})$", regex_engine="rust-regex"))


def _ascii(pattern: str) -> str:
    r"""`\d` and `\w` for ASCII only, as browsers and Camunda read them; the engine here means Unicode."""
    result, inside, at = "", False, 0
    while at < len(pattern):
        pair = pattern[at : at + 2]
        if pair[0] == "\\" and len(pair) == 2:
            plain = {"\\d": "0-9", "\\w": "0-9A-Za-z_"}.get(pair)
            result += pair if plain is None else plain if inside else f"[{plain}]"
            at += 2
            continue
        inside = inside != (pair[0] == ("]" if inside else "["))
        result += pair[0]
        at += 1
    return result
