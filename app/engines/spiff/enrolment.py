"""Signing up and signing in as processes: the effect that opens an account, and what the pages hand to each process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from app.clinic import accounts, profiles
from app.core.actor import Actor
from app.core.errors import Conflict, Forbidden
from app.db.session import Session
from app.engines.spiff import effects, instances
from app.engines.spiff.listeners import Heard
from app.engines.spiff.records import InstanceView

SIGNUP, LOGIN = "Process_SignupDams01", "Process_LoginDams01"
KINDS = {"administrator": 0, "doctor": 1, "patient": 2}
"""The specification's number by the name in the forms."""
PROFILE = (
    *("firstname", "midname", "lastname", "email", "mobile", "empid", "position", "age", "specialization"),
    *("birthday", "profession", "address"),
)


@effects.effect("create_account", "account", "kind")
async def _create(session: Session, heard: Heard) -> Mapping[str, Any]:
    """Store the profile of a new, closed account, give it its role and open it.

    Only an administrator opens accounts, and nobody an account that was open before.
    """
    actor = await accounts.by_id(session, heard.actor_id) if heard.actor_id is not None else None
    if actor is None or not actor.has("admin"):
        raise Forbidden("Only an administrator opens accounts.")
    role, number = KINDS[str(heard.variables["kind"])], int(heard.variables["account"])
    row = (
        await session.execute(
            text("select username, roles, disabled_at from login where id = :id for update"), {"id": number}
        )
    ).first()
    if row is None or row.disabled_at is None or row.roles:
        raise Conflict("This is not an account that waits to be opened.")
    given = {name: heard.variables[name] for name in PROFILE if heard.variables.get(name) not in (None, "")}
    await profiles.add(session, role, row.username, profiles.read(role, given), by=actor)
    await accounts.set_roles(session, number, [profiles.KINDS[role][2]], by=actor)
    await session.execute(
        text("update login set display_name = :shown, email = :email where id = :id"),
        {"shown": f"{given.get('firstname', '')} {given.get('lastname', '')}".strip(), "email": given.get("email", ""),
         "id": number},
    )  # fmt: skip
    await accounts.enable(session, number)
    return {}


async def sign_up(
    session: Session, actor: Actor, kind: str, username: str, password: str, *, key: str | None = None
) -> InstanceView:
    """Make a closed account and lead its process to the profile. The password goes no further than its hash.

    Raises:
        Invalid, Conflict: a field that cannot be, a name that is taken; nothing is written.
    """
    accounts.check_fields(username, password, [])
    hashed = await accounts.hash_password(password)
    number = await accounts.insert(session, username, hashed, [], by=actor, disabled=True)
    view = await instances.start(session, actor, SIGNUP, {}, key=key)
    view = await instances.complete(session, actor, view.tasks[0].id, {"kind": kind})
    return await instances.complete(session, actor, view.tasks[0].id, {"account": number, "username": username})


async def route(session: Session, actor: Actor, role: str) -> InstanceView:
    """Let the sign-in process decide where an account belongs that asks for a role.

    Raises:
        Invalid: a role that the process does not know.
        NotFound: the process is not deployed.
    """
    view = await instances.start(session, actor, LOGIN, {"account": actor.id, "roles": sorted(actor.roles)})
    return await instances.complete(session, actor, view.tasks[0].id, {"role": role})
