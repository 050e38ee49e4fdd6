"""How a patient is reached: mail, telephone, address, whether they want to be reminded. Told by the desk or by them.

Who changes what somebody else has changed in the meantime is shown both, and decides again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, EmailStr, Field, StringConstraints, ValidationError, model_validator
from sqlalchemy import text

from app.clinic import audit, patients, profiles
from app.clinic.patients import Patient
from app.core.actor import DESK, Actor
from app.core.errors import Conflict, Invalid, NotFound
from app.db.session import Session


class Contact(BaseModel):
    """What can be changed; mail or telephone must be there."""

    model_config = ConfigDict(extra="ignore")

    email: Annotated[EmailStr, Field(max_length=254)] | Literal[""] = ""
    mobile: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^(\+?[0-9 ()/-]{3,14})?$")] = ""
    address: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    reminders: bool = False

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.email and not self.mobile:
            raise ValueError("mobile: Give a telephone number or a mail address.")
        return self


def seen(who: Patient) -> str:
    """What somebody saw who opens the form, in a few characters, so that a later change is noticed."""
    shown = "\n".join((who.email, who.mobile, who.address, str(who.reminders)))
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


async def change(session: Session, actor: Actor, patientid: int, given: Mapping[str, Any], was: str) -> None:
    """Change a patient's contact data, as they stood when *was* was :func:`seen`.

    Raises:
        Invalid: a sentence per field.
        NotFound: no such patient, or not one this person may change.
        Conflict: somebody changed them since; the newest stand on the page.
    """
    wanted = _read(given)
    await session.execute(text("select 1 from patient where patientid = :id for no key update"), {"id": patientid})
    who = await patients.find(session, patientid)
    if not actor.has(*DESK) and who.username != actor.username:
        raise NotFound("There is no patient of this number.")
    changed = sorted(name for name, value in wanted.items() if getattr(who, name) != value)
    if not changed:
        return
    if was != seen(who):
        raise Conflict("Somebody changed these data since you opened the page. Compare, and send yours again.")
    await session.execute(
        text("""with changed as (update patient set email = :email, mobile = :mobile, address = :address,
                                     reminders = :reminders where patientid = :id returning username)
                update login set email = :email where username in (select username from changed)"""),
        wanted | {"id": patientid},
    )
    data = {"patient": patientid, "fields": changed}
    await audit.record(session, "patient.contact-changed", actor_id=actor.id, data=data)


def _read(given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return Contact.model_validate(given).model_dump()
    except ValidationError as error:
        found = dict(profiles.told(one) for one in error.errors())
        said = {
            "email": "Write a mail address such as ana@example.org.",
            "mobile": "Write a telephone number such as +1 555 0100.",
            "address": "Write an address of up to 200 characters.",
        }
        raise Invalid({name.partition(".")[0]: _said(name, text, said) for name, text in found.items()}) from error


def _said(name: str, text: str, said: Mapping[str, str]) -> str:
    return text if text.startswith("Give ") else said.get(name.partition(".")[0], text)
