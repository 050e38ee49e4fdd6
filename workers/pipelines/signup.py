"""Sign-up as a chain: the account, its profile in the table of its role, the whole of it.

The account cannot be used until its profile is there; if the chain breaks, it is taken back.
"""

from __future__ import annotations

from typing import Any

from celery.canvas import Signature
from pydantic import BaseModel

from app.clinic import accounts, profiles
from app.core.errors import NotFound
from app.db.session import Session
from app.engines.runs import Run
from workers.registry import pipeline
from workers.steps import Step
from workers.tasks import task


class SignUp(BaseModel):
    """Checked fields; the password is hashed before it comes here."""

    username: str
    password_hash: str
    role: int
    profile: dict[str, Any]


async def withdraw(session: Session, run: Run, results: dict[str, Any]) -> None:  # noqa: ARG001 - the shape of an undo
    made = results.get("add_user_login")
    if made is not None:
        await profiles.withdraw(session, made["login"])


@pipeline("signup", SignUp, undo=withdraw, answers=True, private=True)
def signup(_: SignUp) -> Signature:
    """Make an account and its one profile, or nothing."""
    return add_user_login.s() | add_user_profile.s() | show_complete_login.s()


@task("add_user_login")
async def add_user_login(step: Step) -> dict[str, Any]:
    """Insert the account, closed for now."""
    given = SignUp.model_validate(await step.input())
    profile = profiles.read(given.role, given.profile)
    shown = f"{profile.firstname} {profile.lastname}"
    role = profiles.KINDS[given.role][2]
    login_id = await accounts.insert(
        step.session,
        given.username,
        given.password_hash,
        [role],
        display_name=shown,
        email=profile.email,
        disabled=True,
    )
    return {"login": login_id}


@task("add_user_profile")
async def add_user_profile(step: Step, made: dict[str, Any]) -> dict[str, Any]:
    """Insert the profile into the table of the role and open the account."""
    given = SignUp.model_validate(await step.input())
    await profiles.add(step.session, given.role, given.username, profiles.read(given.role, given.profile))
    await accounts.enable(step.session, made["login"])
    return {**made, "role": given.role}


@task("show_complete_login")
async def show_complete_login(step: Step, made: dict[str, Any]) -> dict[str, Any]:
    """Make sure that all of it is there. Raises NotFound if not, which takes all of it back."""
    found = await profiles.of_login(step.session, made["login"])
    if found["profile"] is None or found["role"] != made["role"]:
        raise NotFound("The profile is not there.")
    return made
