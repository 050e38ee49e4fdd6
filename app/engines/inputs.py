"""What a pipeline asks for, as a form: its JSON Schema read into fields, entries checked before a run is asked for.

The worker checks the same entries again with the model that the schema was made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from app.core.errors import Invalid
from app.engines.spiff import forms

FILE_CHARACTERS = 2 * 1024 * 1024
_TYPES: dict[tuple[str, str], forms.FieldType] = {
    ("integer", ""): "long",
    ("number", ""): "double",
    ("boolean", ""): "boolean",
    ("string", "date"): "date",
}


class Upload(BaseModel):
    """A text file that somebody chose; the run keeps it until it has ended."""

    name: str = Field(max_length=200)
    text: str = Field(max_length=FILE_CHARACTERS)


def form_of(schema: Mapping[str, Any]) -> forms.Form:
    """The fields of an input, in its order; files are :func:`files_of`."""
    required = schema.get("required", [])
    return forms.Form(
        tuple(
            _field(name, one, name in required)
            for name, one in schema.get("properties", {}).items()
            if name not in files_of(schema)
        )
    )


def files_of(schema: Mapping[str, Any]) -> dict[str, str]:
    """The inputs that are files, with their labels."""
    return {
        name: one.get("title", name)
        for name, one in schema.get("properties", {}).items()
        if one.get("$ref", "").endswith("/Upload")
    }


def check(schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The input as it is stored. Raises :class:`Invalid` with a sentence per field."""
    errors: dict[str, str] = {}
    values: dict[str, Any] = {}
    try:
        values = dict(forms.submit(form_of(schema), given))
    except Invalid as refused:
        errors |= refused.errors
    for name in files_of(schema):
        file = given.get(name)
        if not isinstance(file, Mapping) or not isinstance(file.get("text"), str) or not file["text"].strip():
            errors[name] = "Choose a text file that is not empty."
        elif len(file["text"]) > FILE_CHARACTERS or "\x00" in file["text"]:
            errors[name] = "Choose a text file of at most 2 MB."
        else:
            values[name] = {"name": str(file.get("name", ""))[:200], "text": file["text"]}
    if errors:
        raise Invalid(errors)
    return {name: value for name, value in values.items() if value is not None}


def _field(name: str, schema: Mapping[str, Any], required: bool) -> forms.Field:
    one = next((kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"), schema)
    options = tuple(forms.Option(str(value), str(value)) for value in one.get("enum", []))
    kind = "enum" if options else _TYPES.get((one.get("type", ""), one.get("format", "")), "string")
    return forms.Field(
        id=name,
        label=schema.get("title", name),
        type=kind,
        required=required,
        default=schema.get("default"),
        options=options,
        min=one.get("minimum"),
        max=one.get("maximum"),
        minlength=one.get("minLength"),
        maxlength=one.get("maxLength"),
        pattern=one.get("pattern"),
    )
