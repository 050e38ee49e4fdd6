"""Signing up as a patient, by oneself: account and profile in one transaction, and signed in at once."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.clinic import accounts, audit, profiles
from app.core.errors import Conflict, Forbidden, Invalid, TooManyAttempts
from app.core.settings import settings
from app.db.session import transaction
from app.web.security import COOKIE, public
from app.web.throttle import throttle

blueprint = Blueprint("register", __name__)
PATIENT = 2
PROFILE = ("firstname", "midname", "lastname", "birthday", "email", "mobile", "address", "profession")
SAID = {
    "firstname": "Write your first name, up to 50 characters.",
    "midname": "Up to 50 characters.",
    "lastname": "Write your last name, up to 50 characters.",
    "birthday": "Write a day from 1850 to today, such as 1990-04-30.",
    "email": "Write a mail address such as ana@example.org.",
    "mobile": "Write a telephone number such as +1 555 0100.",
    "address": "Write your address, up to 200 characters.",
    "profession": "Up to 100 characters.",
}
"""What a person reads beside a field, in place of what a program says."""

Answer = str | Response | tuple[str, int]


@blueprint.get("/register")
@public
def form() -> Answer:
    if g.actor is not None:
        return redirect(url_for("home.show"))
    _open()
    return _page({}, {})


@blueprint.post("/register")
@public
async def send() -> Answer:
    """303 to one's own page; 422, 409 and 429 keep what was entered, but not the password."""
    _open()
    given = {name: request.form.get(name, "")[:2000] for name in ("username", *PROFILE)}
    password = request.form.get("password", "")
    try:
        profile = _read(given, password)
        await throttle().attempt(f"sign-up {given['username']}", request.remote_addr or "")
        shown = f"{profile.firstname} {profile.lastname}"
        hashed = await accounts.hash_password(password)
        async with transaction() as session:
            await accounts.insert(
                session, given["username"], hashed, ["patient"], display_name=shown, email=profile.email, itself=True
            )
            person = await accounts.by_username(session, given["username"])
            await profiles.add(session, PATIENT, person.username, profile, by=person)
            await audit.record(session, "account.signed-in", actor_id=person.id)
            value = await accounts.open_session(session, person)
    except Invalid as error:
        return _page(given, error.errors), 422
    except Conflict as error:
        return _page(given, {"username": error.detail}), 409
    except TooManyAttempts as error:
        return _page(given, {"username": error.detail}), 429
    flash("Welcome. Your account is made; you can book a visit now.", "good")
    response = redirect(url_for("my.show"), 303)
    response.set_cookie(COOKIE, value, httponly=True, samesite="Lax", secure=settings().web.secure_cookies, path="/")
    return response


def _open() -> None:
    if not settings().web.sign_up:
        raise Forbidden("Accounts are made at the front desk.")


def _read(given: Mapping[str, str], password: str) -> profiles.Person:
    """The profile; every wrong field is named at once, those of the account among them."""
    errors: dict[str, str] = {}
    try:
        accounts.check_fields(given["username"], password, ["patient"])
    except Invalid as error:
        errors |= error.errors
    try:
        profile = profiles.read(PATIENT, {name: given[name] for name in PROFILE})
    except Invalid as error:
        raise Invalid({name: SAID.get(name, text) for name, text in error.errors.items()} | errors) from error
    if errors:
        raise Invalid(errors)
    return profile


def _page(given: Mapping[str, str], errors: Mapping[str, str]) -> str:
    return render_template("register.html", given=given, errors=errors)
