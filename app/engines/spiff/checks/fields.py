"""Forms of user tasks, from `camunda:formData` to `forms.Form`, with the problems a modeler can mend."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Mapping
from dataclasses import replace

from pydantic import JsonValue

from app.clinic.lookups import LOOKUPS
from app.engines.spiff.checks.model import B, C, Model
from app.engines.spiff.forms import FIELD_TYPES, Field, FieldType, Form, Option, convert, valid_pattern
from app.engines.spiff.intake import Xml

_ID = re.compile(r"[^\W\d_]\w*(?:\.[^\W\d_]\w*){0,4}")
_CONSTRAINTS = ("required", "readonly", "min", "max", "minlength", "maxlength", "pattern")
_FITS: dict[str, tuple[FieldType, ...]] = {
    "min": ("long", "double", "money"),
    "max": ("long", "double", "money"),
    "minlength": ("string",),
    "maxlength": ("string",),
    "pattern": ("string",),
}
MAX_FIELDS = 200
LOOKUP = "lookup"
_LOOKED_UP: tuple[FieldType, ...] = ("string", "long", "date", "enum")
_SOURCE = re.compile(r"'[^']{1,200}'|[^\W\d]\w*(?:\.[^\W\d]\w*){0,4}")


def check(model: Model) -> dict[str, Form]:
    """The form of every user task by the task's id; tasks without one get an empty form."""
    forms: dict[str, Form] = {}
    for node in model.nodes_of("userTask", "manualTask"):
        forms[node.get("id", "")] = read_form(node, model)
    for node in model.nodes_of("startEvent"):
        if node.find(f"{B}extensionElements/{C}formData") is not None:
            forms[node.get("id", "")] = _start_form(node, model)
    return forms


def _start_form(node: Xml, model: Model) -> Form:
    form = read_form(node, model)
    if not model.by_hand(node):
        model.report("start-form", node, "nobody fills in its form: it is not a person who starts it here",
                     "take the form out, or ask in a first user task")  # fmt: skip
    elif any(field.lookup for field in form.fields):
        model.report("start-form", node, "a start has no look-ups", "ask for it in a first user task")
    return form


def read_form(user_task: Xml, model: Model | None = None) -> Form:
    """The form of one user task; problems go to ``model`` if there is one."""
    nodes = user_task.iterfind(f"{B}extensionElements/{C}formData/{C}formField")
    fields = [_FieldReader(node, user_task, model).read() for node in nodes]
    if model is not None:
        _check_ids(model, user_task, fields)
    return Form(tuple(fields[:MAX_FIELDS]))


def _check_ids(model: Model, task: Xml, fields: list[Field]) -> None:
    seen: set[str] = set()
    if len(fields) > MAX_FIELDS:
        model.report("field-id", task, f"its form has more than {MAX_FIELDS} fields", "split the form over tasks")
    for field in fields:
        if not _ID.fullmatch(field.id) or any(keyword.iskeyword(part) for part in field.id.split(".")):
            model.report("field-id", task, f"the field id {field.id!r} cannot be the name of a variable",
                         "use letters, digits and underscores; dots for nested data")  # fmt: skip
        elif field.id in seen:
            model.report("field-id", task, f"the field {field.id} stands twice in the form", "rename one of them")
        elif any(other.startswith(f"{field.id}.") or field.id.startswith(f"{other}.") for other in seen):
            model.report("field-id", task, f"the field {field.id} is a value and a group of values at once",
                         "rename one of them")  # fmt: skip
        seen.add(field.id)


class _FieldReader:
    """Reads one `camunda:formField`; what is wrong is reported and left out of the field."""

    def __init__(self, node: Xml, task: Xml, model: Model | None) -> None:
        self.node, self.task, self.model = node, task, model
        self.id = node.get("id", "")

    def complain(self, rule: str, message: str, fix: str, node: Xml | None = None) -> None:
        if self.model is not None:
            line = (node if node is not None else self.node).sourceline
            self.model.report(rule, self.task, f"field {self.id}: {message}", fix, line)

    def read(self) -> Field:
        type_ = self._type()
        rules = self._constraints(type_)
        lookup, given = self._lookup(type_)
        field = Field(
            id=self.id,
            label=" ".join((self.node.get("label") or self.id).split()),
            type=type_,
            required=self._truth("required", rules),
            readonly=self._truth("readonly", rules),
            options=self._options(type_, lookup),
            min=self._number("min", rules, type_),
            max=self._number("max", rules, type_),
            minlength=self._length("minlength", rules),
            maxlength=self._length("maxlength", rules),
            pattern=self._pattern(rules),
            lookup=lookup,
            lookup_with=given,
        )
        self._check_range(field.min, field.max, "min", "max")
        self._check_range(field.minlength, field.maxlength, "minlength", "maxlength")
        return self._with_default(field)

    def _type(self) -> FieldType:
        given = self.node.get("type")
        if given is None or not given.strip():
            self.complain("field-untyped", "has no type and is taken as text", "give it a type")
            return "string"
        for known in FIELD_TYPES:
            if given.strip() == known:
                return known
        self.complain("field-type", f"the type {given!r} is not known", f"use one of {', '.join(FIELD_TYPES)}")
        return "string"

    def _constraints(self, type_: FieldType) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for child in self.node.iterfind(f"{C}properties/{C}property"):
            if child.get("id") in _CONSTRAINTS:
                found[child.get("id")] = child.get("value", "")
        for child in self.node.iterfind(f"{C}validation/{C}constraint"):
            name = child.get("name", "")
            if name not in _CONSTRAINTS:
                self.complain("field-constraint", f"the constraint {name!r} is not known",
                              f"use {', '.join(_CONSTRAINTS)}", child)  # fmt: skip
            else:
                found[name] = child.get("config", "")
        for name in found:
            if type_ not in _FITS.get(name, FIELD_TYPES):
                self.complain("field-constraint", f"{name} has no meaning for the type {type_}", "take it out")
        return {name: value for name, value in found.items() if type_ in _FITS.get(name, FIELD_TYPES)}

    def _truth(self, name: str, rules: Mapping[str, str]) -> bool:
        text = rules.get(name, "false").strip().lower()
        if text not in ("", "true", "false"):
            self.complain("field-constraint", f"{name} is {text!r}", "write true or false")
        return text != "false"

    def _number(self, name: str, rules: Mapping[str, str], type_: FieldType) -> int | float | None:
        text = rules.get(name)
        if text is None:
            return None
        try:
            number = int(text) if re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", text) else float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.complain("field-constraint", f"{name} is {text!r}, which is no number", "write a number")
            return None
        if type_ == "long" and not isinstance(number, int):
            self.complain("field-constraint", f"{name} is {text!r}, and the field is a whole number",
                          "write a whole number, or make it a double")  # fmt: skip
            return None
        return number

    def _length(self, name: str, rules: Mapping[str, str]) -> int | None:
        text = rules.get(name)
        if text is None:
            return None
        if not re.fullmatch(r"\s*[0-9]{1,6}\s*", text):
            self.complain("field-constraint", f"{name} is {text!r}, which is no length", "write a whole number")
            return None
        return int(text)

    def _pattern(self, rules: Mapping[str, str]) -> str | None:
        pattern = rules.get("pattern")
        if not pattern:
            return None
        reason = valid_pattern(pattern)
        if reason:
            self.complain("field-constraint", f"its pattern cannot be used: {reason}",
                          "use a regular expression without look-around and back references")  # fmt: skip
            return None
        return pattern

    def _check_range(self, low: float | None, high: float | None, name: str, other: str) -> None:
        if low is not None and high is not None and low > high:
            self.complain("field-constraint", f"{name} {low} is above {other} {high}", "swap them")

    def _lookup(self, type_: FieldType) -> tuple[str, dict[str, str]]:
        """The look-up that a field names, and where each of its parameters comes from."""
        properties = {p.get("id", ""): p for p in self.node.iterfind(f"{C}properties/{C}property")}
        given = {key.partition(".")[2]: p for key, p in properties.items() if key.startswith(f"{LOOKUP}.")}
        named = properties.get(LOOKUP)
        if named is None:
            if given:
                self.complain("lookup-unknown", "has parameters of a look-up but names none",
                              f"add the property {LOOKUP}")  # fmt: skip
            return "", {}
        name = named.get("value", "").strip()
        known = LOOKUPS.get(name)
        if known is None:
            self.complain("lookup-unknown", f"there is no look-up {name!r}", f"use one of {', '.join(LOOKUPS)}", named)
            return "", {}
        if type_ not in _LOOKED_UP:
            self.complain("lookup-parameter", f"a look-up has no meaning for the type {type_}",
                          f"use one of {', '.join(_LOOKED_UP)}", named)  # fmt: skip
        sources = {key: p.get("value", "").strip() for key, p in given.items()}
        wanted = (*known.needs, *known.takes)
        for key, source in sources.items():
            if key not in wanted:
                self.complain("lookup-parameter", f"the look-up {name} takes no {key!r}",
                              f"use {', '.join(wanted)}" if wanted else "take it out", given[key])  # fmt: skip
            elif not _SOURCE.fullmatch(source):
                self.complain("lookup-parameter", f"{key} is {source[:40]!r}, which is neither a variable nor a text",
                              "write a variable's name, or a text in single quotes", given[key])  # fmt: skip
        for key in known.needs:
            if key not in sources:
                self.complain("lookup-parameter", f"the look-up {name} needs {key!r}",
                              f"add the property {LOOKUP}.{key} with the name of a variable", named)  # fmt: skip
        return name, sources

    def _options(self, type_: FieldType, lookup: str) -> tuple[Option, ...]:
        nodes = self.node.findall(f"{C}value")
        if lookup:
            if nodes:
                self.complain(
                    "field-options", "its values come from its look-up", "take the camunda:value elements out"
                )
            return ()
        options = tuple(Option(node.get("id", ""), node.get("name") or node.get("id", "")) for node in nodes)
        if type_ == "enum":
            ids = [option.id for option in options]
            if not ids or "" in ids:
                self.complain("field-options", "an enum needs values with ids", "add camunda:value elements")
            elif len(set(ids)) < len(ids):
                self.complain("field-options", "two values have the same id", "rename one of them")
            return options
        if nodes:
            self.complain("field-options", f"values have no meaning for the type {type_}", "make it an enum")
        return ()

    def _with_default(self, field: Field) -> Field:
        text = self.node.get("defaultValue")
        if text is None or text == "":
            return field
        if text.strip().startswith(("${", "#{")):
            self.complain("field-default", "its default is an expression",
                          "set the variable before the task: the form shows its value")  # fmt: skip
            return field
        try:
            default: JsonValue = convert(field, text)
        except ValueError as error:
            self.complain("field-default", f"its default {text[:40]!r} does not fit the field: {error}", "correct it")
            return field
        # Amounts are kept as text where there is only JSON.
        return replace(field, default=text.strip() if field.type == "money" else default)


def set_names(forms: Mapping[str, Form]) -> set[str]:
    """Names of variables that the forms of a file set."""
    return {field.id.partition(".")[0] for form in forms.values() for field in form.fields}
