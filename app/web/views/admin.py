"""Administration: accounts with their roles and groups, new passwords, closing and opening, release of a lock-out."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.clinic import accounts, audit, directory, groups
from app.core.errors import Conflict, Invalid
from app.db.people import ROLES
from app.db.session import reading, transaction
from app.web.security import actor, allow
from app.web.throttle import throttle

blueprint = Blueprint("admin", __name__, url_prefix="/admin")
PAGE = 50

Answer = str | Response | tuple[str, int]


@blueprint.get("")
@allow("admin")
async def show() -> Answer:
    return await _list({}, {})


@blueprint.post("/users")
@allow("admin")
async def create() -> Answer:
    given = request.form.to_dict()
    roles = request.form.getlist("roles")
    try:
        async with transaction() as session:
            await accounts.create(
                session,
                given.get("username", ""),
                given.get("password", ""),
                roles,
                display_name=given.get("display_name", "").strip()[:160],
                email=given.get("email", "").strip()[:254],
                by=actor(),
            )
    except Invalid as error:
        return await _list(given, error.errors), 422
    except Conflict as error:
        return await _list(given, {"username": error.detail}), 409
    flash(f"The account {given['username']} is made.", "good")
    return redirect(url_for("admin.user", username=given["username"]), 303)


@blueprint.get("/users/<path:username>")
@allow("admin")
async def user(username: str) -> Answer:
    return await _user(username, {})


@blueprint.post("/users/<path:username>/roles")
@allow("admin")
async def set_roles(username: str) -> Answer:
    try:
        async with transaction() as session:
            await directory.set_roles(session, username, request.form.getlist("roles"), by=actor())
            await groups.put(session, actor(), username, request.form.getlist("groups"))
    except Invalid as error:
        return await _user(username, error.errors), 422
    except Conflict as error:
        return await _user(username, {"roles": error.detail}), 409
    return _done(username, "Roles and groups are changed; they count from the next click on.")


@blueprint.post("/users/<path:username>/password")
@allow("admin")
async def set_password(username: str) -> Answer:
    """A new password, told to its owner by word of mouth; whoever is signed in under the old one is signed out."""
    try:
        async with transaction() as session:
            login = await directory.number(session, username)
            await accounts.set_password(session, login, request.form.get("password", ""), by=actor())
    except Invalid as error:
        return await _user(username, error.errors), 422
    return _done(username, "The password is changed, and the account is signed out everywhere.")


@blueprint.post("/users/<path:username>/disable")
@allow("admin")
async def disable(username: str) -> Answer:
    try:
        async with transaction() as session:
            await directory.disable(session, username, by=actor())
    except Conflict as error:
        return await _user(username, {"state": error.detail}), 409
    return _done(username, "The account is closed and signed out everywhere.")


@blueprint.post("/users/<path:username>/enable")
@allow("admin")
async def enable(username: str) -> Response:
    async with transaction() as session:
        await directory.enable(session, username, by=actor())
    return _done(username, "The account is open again.")


@blueprint.post("/users/<path:username>/unlock")
@allow("admin")
async def unlock(username: str) -> Response:
    """Forget the failed tries of an account, so that its owner need not wait."""
    async with transaction() as session:
        login = await directory.number(session, username)
        await audit.record(session, "account.released", actor_id=actor().id, data={"login": login})
    await throttle().release(username)
    return _done(username, "Its failed tries are forgotten: it can sign in at once.")


@blueprint.post("/groups")
@allow("admin")
async def create_group() -> Answer:
    given = request.form.to_dict()
    try:
        async with transaction() as session:
            await groups.create(session, actor(), given.get("group", ""))
    except Invalid as error:
        return await _list(given, error.errors), 422
    flash("The group is made.", "good")
    return redirect(url_for("admin.show"), 303)


@blueprint.post("/groups/<name>/delete")
@allow("admin")
async def delete_group(name: str) -> Response:
    async with transaction() as session:
        await groups.delete(session, actor(), name)
    flash("The group is dissolved.", "good")
    return redirect(url_for("admin.show"), 303)


def _done(username: str, what: str) -> Response:
    flash(what, "good")
    return redirect(url_for("admin.user", username=username), 303)


async def _list(given: Mapping[str, str], errors: dict[str, str]) -> str:
    wanted, role = request.args.get("q", "").strip()[:100], request.args.get("role", "")
    async with reading() as session:
        found, after = await directory.listing(
            session, role=role or None, cursor=request.args.get("after"), limit=PAGE, wanted=wanted
        )
        known = await groups.listing(session)
    more = url_for("admin.show", q=wanted or None, role=role or None, after=after) if after else None
    return render_template(
        "admin.html",
        found=found,
        groups=known,
        wanted=wanted,
        role=role,
        more=more,
        roles=ROLES,
        given=given,
        errors=errors,
    )


async def _user(username: str, errors: dict[str, str]) -> str:
    async with reading() as session:
        account = await directory.show(session, username)
        known = await groups.listing(session)
        theirs = await groups.of(session, username)
    return render_template("admin_user.html", account=account, groups=known, theirs=theirs, roles=ROLES, errors=errors)
