"""Accounts, for administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.clinic import accounts, directory
from app.db.session import reading, transaction
from app.web.api.contract import Group
from app.web.api.schemas import Limit, Query, Request
from app.web.security import actor

group = Group("users")
blueprint = group.blueprint
ADMIN = ("admin",)

Role = Literal["patient", "doctor", "staff", "modeler", "ops", "admin"]
Roles = Annotated[list[Role], Field(min_length=1)]
Password = Annotated[str, Field(min_length=8, max_length=200)]


class UserQuery(Query):
    role: Role | None = None
    cursor: str | None = None
    limit: Limit = 50


class NewUser(Request):
    username: str = Field(min_length=1, max_length=20)
    password: Password
    roles: Roles
    display_name: str = Field(default="", max_length=160)
    email: str = Field(default="", max_length=254)


class NewPassword(Request):
    password: Password


class NewRoles(Request):
    roles: Roles


class User(BaseModel):
    username: str
    display_name: str
    email: str
    roles: list[Role]
    created_at: datetime
    disabled_at: datetime | None


class UserPage(BaseModel):
    items: list[User]
    next: str | None


@group.operation("GET", "/users", roles=ADMIN, query=UserQuery, answer=UserPage, errors=(422,))
async def listing(given: UserQuery) -> Any:
    """Accounts by user name"""
    async with reading() as session:
        items, following = await directory.listing(session, role=given.role, cursor=given.cursor, limit=given.limit)
    return {"items": items, "next": following}


@group.operation("POST", "/users", roles=ADMIN, body=NewUser, answer=User, status=201, errors=(409, 413, 422))
async def create(given: NewUser) -> Any:
    """A new account"""
    async with transaction() as session:
        await accounts.create(
            session,
            given.username,
            given.password,
            given.roles,
            display_name=given.display_name,
            email=given.email,
            by=actor(),
        )
        return await directory.show(session, given.username)


@group.operation("GET", "/users/<username>", roles=ADMIN, answer=User, errors=(404,))
async def show(_given: object, username: str) -> Any:
    """One account"""
    async with reading() as session:
        return await directory.show(session, username)


@group.operation(
    "PUT",
    "/users/<username>/roles",
    roles=ADMIN,
    body=NewRoles,
    answer=User,
    errors=(404, 409, 413, 422),
)
async def set_roles(given: NewRoles, username: str) -> Any:
    """Replace an account's roles"""
    async with transaction() as session:
        await directory.set_roles(session, username, given.roles, by=actor())
        return await directory.show(session, username)


@group.operation(
    "PUT",
    "/users/<username>/password",
    roles=ADMIN,
    body=NewPassword,
    answer=User,
    errors=(404, 413, 422),
)
async def set_password(given: NewPassword, username: str) -> Any:
    """Give an account another password and sign it out everywhere"""
    async with transaction() as session:
        await accounts.set_password(session, await directory.number(session, username), given.password, by=actor())
        return await directory.show(session, username)


@group.operation("POST", "/users/<username>/disable", roles=ADMIN, answer=User, errors=(404, 409))
async def disable(_given: object, username: str) -> Any:
    """Close an account and sign it out everywhere"""
    async with transaction() as session:
        await directory.disable(session, username, by=actor())
        return await directory.show(session, username)


@group.operation("POST", "/users/<username>/enable", roles=ADMIN, answer=User, errors=(404,))
async def enable(_given: object, username: str) -> Any:
    """Let a closed account sign in again"""
    async with transaction() as session:
        await directory.enable(session, username, by=actor())
        return await directory.show(session, username)
