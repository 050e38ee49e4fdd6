"""Signing in and out."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, g, get_flashed_messages, redirect, render_template, request, url_for
from flask import session as form_session
from werkzeug.wrappers import Response

from app.clinic import accounts
from app.core.actor import Actor
from app.core.errors import Forbidden, Invalid, NotFound, SignInRequired, TooManyAttempts
from app.core.settings import settings
from app.db.session import Session, transaction
from app.engines.spiff import enrolment
from app.web.security import COOKIE, allow, public, safe_next, signed_in
from app.web.throttle import throttle

blueprint = Blueprint("signin", __name__)
MENUS = {"admin": "signin.administrator", "doc": "signin.doctor", "patient": "signin.patient"}
"""The page of each dashboard that the sign-in process may decide on."""


@blueprint.get("/login")
@public
def form() -> str | Response:
    if g.actor is not None:
        return redirect(url_for("home.show"))
    return _page("", "", safe_next(request.args.get("next")))


@blueprint.get("/login/form")
@public
def old_form() -> Response:
    return redirect(url_for("signin.form"), 301)


@blueprint.post("/login")
@public
async def send() -> Response | tuple[str, int] | tuple[str, int, dict[str, str]]:
    username, password = request.form.get("username", ""), request.form.get("password", "")
    target, role = safe_next(request.form.get("next")), request.form.get("role", "")[:20]
    try:
        await throttle().attempt(username, request.remote_addr or "")
        async with transaction() as session:
            person = await accounts.authenticate(session, username, password)
            target = await _dashboard(session, person, role) or target if role else target
            # A new session each time: a cookie somebody planted before is worth nothing after.
            value = await accounts.open_session(session, person)
            if old := request.cookies.get(COOKIE):
                await accounts.close_session(session, old)
    except (SignInRequired, TooManyAttempts, Forbidden, Invalid) as refusal:
        async with transaction() as session:
            await accounts.record_refusal(session, username, request.remote_addr or "")
        if isinstance(refusal, Forbidden | Invalid):
            return render_template("error.html", error=refusal, cure="Sign in again, as who you are."), refusal.status
        page = _page(username, refusal.detail, target)
        wait = refusal.context.get("retry_after")
        return page, refusal.status, ({"Retry-After": str(wait)} if wait else {})
    told = get_flashed_messages(with_categories=True)
    form_session.clear()  # with the token of forms: whoever planted that cookie would know it
    for category, message in told:
        flash(message, category)
    await throttle().succeeded(username, request.remote_addr or "")
    response = redirect(target or url_for("home.show"), 303)
    response.set_cookie(COOKIE, value, httponly=True, samesite="Lax", secure=settings().web.secure_cookies, path="/")
    return response


def _page(username: str, refused: str, target: str | None) -> str:
    sign_up = settings().web.sign_up
    return render_template("signin.html", username=username, refused=refused, next=target or "", sign_up=sign_up)


async def _dashboard(session: Session, person: Actor, role: str) -> str | None:
    """Where the sign-in process leads an account that asks for a role; None where the process is not deployed.

    Raises :class:`Forbidden` with the process's own message for a role that the account does not have.
    """
    try:
        view = await enrolment.route(session, person, role)
    except NotFound:
        return None
    message = str(view.variables.get("header_msg", ""))
    found = MENUS.get(str(view.variables.get("dashboard_type")))
    if found is None:
        raise Forbidden(message or "The sign-in process did not say where to go.")
    flash(message, "good")
    return url_for(found)


@blueprint.get("/menu/admin")
@allow("admin")
def administrator() -> Response:
    return redirect(url_for("home.show"))


@blueprint.get("/menu/doc")
@allow("doctor")
def doctor() -> Response:
    return redirect(url_for("home.show"))


@blueprint.get("/menu/patient")
@allow("patient")
def patient() -> Response:
    return redirect(url_for("my.show" if "my.show" in current_app.view_functions else "home.show"))


@blueprint.post("/logout")
@signed_in
async def leave() -> Response:
    async with transaction() as session:
        await accounts.close_session(session, request.cookies.get(COOKIE, ""))
    response = redirect(url_for("signin.form"), 303)
    response.delete_cookie(COOKIE)
    return response
