"""Choosing the language of this browser."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from app.core.errors import BadRequest
from app.core.settings import settings
from app.web.language import COOKIE, LANGUAGES
from app.web.security import public, safe_next

blueprint = Blueprint("language", __name__)
YEAR = 365 * 24 * 3600


@blueprint.post("/language")
@public
def choose() -> Response:
    """Keep the choice in a cookie and go back to where it was made."""
    wanted = request.form.get("language", "")
    if wanted not in LANGUAGES:
        raise BadRequest(f"Choose one of {', '.join(LANGUAGES)}.")
    answer = redirect(safe_next(request.form.get("next")) or url_for("home.root"), 303)
    secure = settings().web.secure_cookies
    answer.set_cookie(COOKIE, wanted, max_age=YEAR, httponly=True, samesite="Lax", secure=secure, path="/")
    return answer
