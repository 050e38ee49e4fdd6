"""Signing in and out."""

from __future__ import annotations

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask import session as form_session
from werkzeug.wrappers import Response

from app.clinic import accounts
from app.core.errors import SignInRequired, TooManyAttempts
from app.core.settings import settings
from app.db.session import transaction
from app.web.security import COOKIE, public, safe_next, signed_in
from app.web.throttle import throttle

blueprint = Blueprint("signin", __name__)


@blueprint.get("/login")
@public
def form() -> str | Response:
    if g.actor is not None:
        return redirect(url_for("home.show"))
    return render_template("signin.html", username="", refused="", next=safe_next(request.args.get("next")) or "")


@blueprint.get("/login/form")
@public
def old_form() -> Response:
    return redirect(url_for("signin.form"), 301)


@blueprint.post("/login")
@public
async def send() -> Response | tuple[str, int] | tuple[str, int, dict[str, str]]:
    username, password = request.form.get("username", ""), request.form.get("password", "")
    target = safe_next(request.form.get("next"))
    try:
        await throttle().attempt(username, request.remote_addr or "")
        async with transaction() as session:
            person = await accounts.authenticate(session, username, password)
            # A new session each time: a cookie somebody planted before is worth nothing after.
            value = await accounts.open_session(session, person)
            if old := request.cookies.get(COOKIE):
                await accounts.close_session(session, old)
    except (SignInRequired, TooManyAttempts) as refusal:
        async with transaction() as session:
            await accounts.record_refusal(session, username, request.remote_addr or "")
        page = render_template("signin.html", username=username, refused=refusal.detail, next=target or "")
        wait = refusal.context.get("retry_after")
        return page, refusal.status, ({"Retry-After": str(wait)} if wait else {})
    form_session.clear()  # with the token of forms: whoever planted that cookie would know it
    await throttle().succeeded(username, request.remote_addr or "")
    response = redirect(target or url_for("home.show"), 303)
    response.set_cookie(COOKIE, value, httponly=True, samesite="Lax", secure=settings().web.secure_cookies, path="/")
    return response


@blueprint.post("/logout")
@signed_in
async def leave() -> Response:
    async with transaction() as session:
        await accounts.close_session(session, request.cookies.get(COOKIE, ""))
    response = redirect(url_for("signin.form"), 303)
    response.delete_cookie(COOKIE)
    return response
