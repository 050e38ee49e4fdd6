"""The three kinds of profile that the specification names by number: 0 administrator, 1 doctor, 2 patient.

A profile belongs to exactly one account. What a form or a file gives is checked by :func:`read` before anything is
written.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, EmailStr, Field, StringConstraints, ValidationError, model_validator
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.clinic import accounts, audit
from app.core.actor import Actor
from app.core.errors import Conflict, Invalid, NotFound
from app.db.session import Session

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Age = Annotated[int, Field(ge=0, le=130)]
FOREIGN_KEY_VIOLATION = "23503"


class Person(BaseModel):
    """What all three share."""

    model_config = ConfigDict(extra="ignore")

    firstname: Word
    midname: Annotated[str, StringConstraints(strip_whitespace=True, max_length=50)] = ""
    lastname: Word
    email: Annotated[EmailStr, Field(max_length=254)]
    mobile: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^\+?[0-9 ()/-]{3,14}$")]


class Administrator(Person):
    empid: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,12}$")]
    position: Line
    status: bool = True
    date_started: date = Field(default_factory=date.today)


class Doctor(Administrator):
    age: Annotated[int, Field(ge=18, le=130)]
    specialization: Line


class Patient(Person):
    patientid: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """None: the next free number."""
    birthday: date
    age: Age | None = None
    """None: reckoned from the birthday."""
    profession: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] = ""
    address: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    date_registered: date = Field(default_factory=date.today)

    @model_validator(mode="after")
    def _born_before_today(self) -> Self:
        if not date(1850, 1, 1) <= self.birthday <= date.today():  # noqa: DTZ011 - a day of the calendar, no moment
            raise ValueError("birthday: a day from 1850 to today")
        if self.age is None:
            today = date.today()  # noqa: DTZ011
            before = (today.month, today.day) < (self.birthday.month, self.birthday.day)
            self.age = today.year - self.birthday.year - before
        return self


KINDS: dict[int, tuple[str, type[Person], str]] = {
    0: ("administrator", Administrator, "admin"),
    1: ("doctor", Doctor, "doctor"),
    2: ("patient", Patient, "patient"),
}
"""Table, shape and the account's role by the specification's number."""


def read(role: int, given: Mapping[str, Any]) -> Person:
    """A profile as it may be stored. Raises :class:`Invalid` with a sentence per field."""
    if role not in KINDS:
        raise Invalid({"role": "0 is an administrator, 1 a doctor, 2 a patient."})
    try:
        return KINDS[role][1].model_validate(given)
    except ValidationError as error:
        raise Invalid(dict(told(one) for one in error.errors())) from error


def told(one: Any) -> tuple[str, str]:
    """The field and the sentence of one error that pydantic found."""
    field, sentence = ".".join(str(part) for part in one["loc"]), str(one["msg"])
    if not field and ": " in sentence:
        field, _, sentence = sentence.removeprefix("Value error, ").partition(": ")
    return field or "profile", sentence


async def add(
    session: Session, role: int, username: str, profile: Person, *, by: Actor | None = None
) -> dict[str, Any]:
    """Store the profile of an account that has none yet; gives its key (empid or patientid).

    Raises:
        NotFound: no such account.
        Conflict: the account has a profile, or the key is taken; names the field.
    """
    table = KINDS[role][0]
    values = profile.model_dump() | {"username": username, "role": role}
    if role == 2 and values["patientid"] is None:
        values["patientid"] = await _next_patientid(session)
    columns = sorted(values)
    places = ", ".join(f":{column}" for column in columns)
    statement = text(f"insert into {table} ({', '.join(columns)}) values ({places})")  # noqa: S608 - columns of our own
    try:
        async with session.begin_nested():
            await session.execute(statement, values)
    except IntegrityError as error:
        raise _refusal(error) from error
    await audit.record(session, "profile.added", actor_id=by.id if by else None, data={"table": table})
    key = "patientid" if role == 2 else "empid"
    return {key: values[key]}


def _refusal(error: IntegrityError) -> Exception:
    if getattr(error.orig, "sqlstate", None) == FOREIGN_KEY_VIOLATION:
        return NotFound("No such account.")
    said = str(error.orig)
    for field in ("empid", "patientid", "username"):
        if f"_{field}" in said:
            return Conflict("This account has a profile already." if field == "username" else f"This {field} is taken.")
    return error


async def enrol(session: Session, profile: Patient, username: str = "") -> int:
    """A patient of whom nobody signs in yet: an account without password and the profile; gives the patientid.

    Raises:
        Conflict: the patientid or the user name is taken; nothing is stored.
    """
    async with session.begin_nested():
        number = profile.patientid or await _next_patientid(session)
        name = username or f"p{number}"
        shown = f"{profile.firstname} {profile.lastname}"
        await accounts.insert(session, name, accounts.NO_SIGN_IN, ["patient"], display_name=shown, email=profile.email)
        await add(session, 2, name, profile.model_copy(update={"patientid": number}))
    return number


async def _next_patientid(session: Session) -> int:
    # Failure prevented: two at once would take the same number; the lock ends with the transaction.
    await session.execute(text("select pg_advisory_xact_lock(hashtext('patient.patientid'))"))
    return await session.scalar(text("select coalesce(max(patientid), 0) + 1 from patient")) or 1


async def listing(session: Session, role: int) -> list[dict[str, Any]]:
    """Every profile of one kind, by key."""
    table = KINDS[role][0]
    key = "patientid" if role == 2 else "empid"
    rows = await session.execute(text(f"select * from {table} order by {key}"))  # noqa: S608 - constants above
    return [dict(row) for row in rows.mappings()]


async def of_login(session: Session, login_id: int) -> dict[str, Any]:
    """An account with its profile, without its password. Raises :class:`NotFound`."""
    row = (
        await session.execute(
            text("select id, username, display_name, email, roles from login where id = :id"), {"id": login_id}
        )
    ).first()
    if row is None:
        raise NotFound("No such account.")
    found: dict[str, Any] = dict(row._mapping) | {"role": None, "profile": None}  # pyright: ignore[reportPrivateUsage]
    for role, (table, *_) in KINDS.items():
        profile = (
            (
                await session.execute(
                    text(f"select * from {table} where username = :name"),  # noqa: S608 - constants above
                    {"name": row.username},
                )
            )
            .mappings()
            .first()
        )
        if profile is not None:
            found |= {"role": role, "profile": {name: value for name, value in profile.items() if name != "id"}}
    return found


async def withdraw(session: Session, login_id: int) -> None:
    """Take back an account that a failed sign-up made, with its profile. Twice is once."""
    for table, *_ in KINDS.values():
        await session.execute(
            text(f"delete from {table} where username = (select username from login where id = :id)"),  # noqa: S608
            {"id": login_id},
        )
    gone = await session.execute(text("delete from login where id = :id returning id"), {"id": login_id})
    if gone.first() is not None:
        await audit.record(session, "account.withdrawn", data={"login": login_id})
