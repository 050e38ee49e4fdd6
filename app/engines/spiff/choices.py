"""The choices of a form's fields that name a look-up: what is offered, and the check of what comes back.

The look-ups themselves, and who may choose what, live in `app.clinic.lookups`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.clinic import lookups
from app.clinic.lookups import Choice, Wish
from app.core.actor import Actor
from app.core.errors import Invalid
from app.db.session import Session
from app.engines.spiff import forms
from app.engines.spiff.forms import Field, Form


async def offered(
    session: Session, actor: Actor, form: Form, data: Mapping[str, Any], mine: UUID | None = None
) -> list[dict[str, Any]]:
    """The fields of a form as the API shows them, with the choices that *data* (the case's values, then what was
    entered so far) leaves to the instance *mine*. `more` says that there are others; `missing` names what must be
    filled in before.
    """
    return [await _offer(session, actor, field, form, data, mine) for field in form.fields]


async def _offer(
    session: Session, actor: Actor, field: Field, form: Form, data: Mapping[str, Any], mine: UUID | None
) -> dict[str, Any]:
    row = field.as_dict()
    del row["lookup_with"]
    if not field.lookup:
        return row | {"lookup": None}
    given, missing = parameters(field, data)
    own = {one.id: one.label for one in form.fields}
    depends = [source for source in field.lookup_with.values() if source in own]
    entered = forms.value_at(data, field.id)
    found = [] if missing else await lookups.choices(session, actor, field.lookup, Wish(given, mine=mine))
    more = len(found) > lookups.MOST
    if more and isinstance(entered, str | int) and str(entered).strip():
        found = await find(session, actor, field, data, str(entered))
    row["options"] = [{"id": one.id, "name": one.name} for one in found[: lookups.MOST]]
    told = {"name": field.lookup, "more": more, "depends_on": depends}
    return row | {"lookup": told | {"missing": [own.get(source, source) for source in missing]}}


async def find(session: Session, actor: Actor, field: Field, data: Mapping[str, Any], search: str) -> list[Choice]:
    """The choices that hold the words of *search*; the one whose id it is comes first."""
    given, missing = parameters(field, data)
    if missing or not field.lookup:
        return []
    exact = await lookups.choices(session, actor, field.lookup, Wish(given, id=search[: lookups.LONGEST]))
    found = await lookups.choices(session, actor, field.lookup, Wish(given, search=search[: lookups.LONGEST]))
    return [*exact, *(one for one in found if one not in exact)]


async def check(
    session: Session,
    actor: Actor | None,
    form: Form,
    given: Mapping[str, Any],
    data: Mapping[str, Any],
    mine: UUID | None = None,
) -> None:
    """Raises :class:`Invalid` for each value of *given* that is not among its field's choices now."""
    errors: dict[str, str] = {}
    merged = {**data, **given}
    for field in form.fields:
        value = forms.value_at(given, field.id)
        if not field.lookup or field.readonly or value in (None, ""):
            continue
        known, missing = parameters(field, merged)
        wish = Wish(known, id=str(value), mine=mine)
        fits = not missing and await lookups.fits(session, actor, field.lookup, wish)
        if not fits:
            told = "" if missing else await lookups.instead(session, field.lookup, known, str(value))
            errors[field.id] = told or _told(field, missing)
    if errors:
        raise Invalid(errors)


def _told(field: Field, missing: list[str]) -> str:
    if missing:
        return f"Fill in {', '.join(missing)} first."
    return f"{field.label or field.id}: this is not one of the choices, or not any more. Choose another."


def parameters(field: Field, data: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """The parameters of a field's look-up that are known, and the variables that have no value yet."""
    known, missing = dict[str, str](), list[str]()
    for name, source in field.lookup_with.items():
        value = source[1:-1] if source.startswith("'") else forms.value_at(data, source)
        if value is None or value == "" or not isinstance(value, str | int):
            missing.append(source)
        else:
            known[name] = str(value)
    return known, missing


def has_any(form: Form | None) -> bool:
    """Whether a field of the form has a look-up."""
    return form is not None and any(field.lookup for field in form.fields)
