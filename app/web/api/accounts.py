"""The specification's own calls for accounts and profiles: sign-up, logins, administrators, doctors, patients."""

from __future__ import annotations

from typing import Any

from flask import request
from pydantic import BaseModel, ConfigDict, Field

from app.clinic import accounts, audit, profiles
from app.core.errors import Invalid
from app.db.session import reading, transaction
from app.engines import pipelines
from app.web.api.contract import Group
from app.web.security import actor, signed_in_or_none
from app.web.throttle import throttle

group = Group("accounts", prefix="")
blueprint = group.blueprint
WHO = {"admin": 0, "doc": 1, "patient": 2}


class SignUp(BaseModel):
    """Credentials, the role's number and the fields of that role's profile."""

    model_config = ConfigDict(extra="allow")

    username: str = Field(max_length=20)
    password: str = Field(max_length=200)
    role: int


class Login(BaseModel):
    username: str = Field(max_length=20)
    password: str = Field(max_length=200)


class Profile(BaseModel):
    """The account's name and the fields of the profile."""

    model_config = ConfigDict(extra="allow")

    username: str = Field(max_length=20)


class Account(BaseModel):
    id: int
    username: str
    display_name: str
    email: str
    roles: list[str]
    role: int | None
    profile: dict[str, Any] | None


class Records(BaseModel):
    records: list[dict[str, Any]]


class Count(BaseModel):
    count: int


class Added(BaseModel):
    message: str
    id: int | None = None
    key: str | int | None = None


@group.operation(
    "POST",
    "/login/user/add",
    public=True,
    body=SignUp,
    answer=Account,
    status=201,
    errors=(401, 403, 409, 413, 422, 429),
)
async def sign_up(given: SignUp) -> Any:
    """Sign up: an account with its profile, or nothing. Without an administrator's token, patients only"""
    person = signed_in_or_none()
    if given.role not in profiles.KINDS:
        raise Invalid({"role": "0 is an administrator, 1 a doctor, 2 a patient."})
    if given.role != 2:
        actor().require("admin")
    role = profiles.KINDS[given.role][2]
    accounts.check_fields(given.username, given.password, [role])
    profile = profiles.read(given.role, given.model_extra or {})
    if person is None:
        await throttle().attempt(f"sign-up {given.username}", request.remote_addr or "")
    wanted = {
        "username": given.username,
        "password_hash": await accounts.hash_password(given.password),
        "role": given.role,
        "profile": profile.model_dump(mode="json"),
    }
    made = await pipelines.call("signup", wanted, started_by=person.id if person else None)
    async with reading() as session:
        return await profiles.of_login(session, made["login"])


@group.operation("POST", "/login/add", roles=("admin",), body=Login, answer=Added, status=201, errors=(409, 413, 422))
async def add_login(given: Login) -> Any:
    """Add an account without a profile"""
    async with transaction() as session:
        made = await accounts.create(session, given.username, given.password, [], by=actor())
    return {"message": "added", "id": made, "key": given.username}


@group.operation("GET", "/login/list/all", roles=("admin", "ops"), answer=Records)
async def list_logins(_given: object) -> Any:
    """Every account, without its password"""
    async with reading() as session:
        return {"records": await accounts.listing(session)}


@group.operation("GET", "/login/list/count", roles=("admin",), answer=Count)
async def count_logins(_given: object) -> Any:
    """How many accounts there are: a chain of two tasks"""
    return await pipelines.call("login-count", {}, started_by=actor().id)


def _declare(path: str, role: int, allowed: tuple[str, ...]) -> None:
    """The two calls of one kind of profile."""

    async def add(given: Profile) -> Any:
        profile = profiles.read(role, given.model_extra or {})
        async with transaction() as session:
            key = await profiles.add(session, role, given.username, profile, by=actor())
            await accounts.join(session, given.username, profiles.KINDS[role][2])
        return {"message": "added", "key": next(iter(key.values()))}

    async def listing(_given: object) -> Any:
        async with transaction() as session:
            found = await profiles.listing(session, role)
            # Who read patients' data is part of the audit trail.
            await audit.record(session, "profiles.listed", actor_id=actor().id, data={"table": profiles.KINDS[role][0]})
        return {"records": found}

    table = profiles.KINDS[role][0]
    add.__name__, listing.__name__ = f"add_{table}", f"list_{table}s"
    add.__doc__, listing.__doc__ = f"Give an account the profile of {table}", f"Every {table}"
    group.operation(
        "POST",
        f"/{path}/profile/add",
        roles=allowed,
        body=Profile,
        answer=Added,
        status=201,
        errors=(404, 409, 413, 422),
    )(add)
    group.operation("GET", f"/{path}/profile/list/all", roles=allowed, answer=Records)(listing)


_declare("admin", 0, ("admin",))
_declare("doc", 1, ("admin",))
_declare("patient", 2, ("admin", "staff"))
