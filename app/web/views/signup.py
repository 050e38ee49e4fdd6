"""Signing somebody up: the account on this page, its profile in the forms of the sign-up process."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.core.errors import Conflict, Invalid
from app.core.ids import uuid7
from app.db.session import transaction
from app.engines.spiff import enrolment
from app.web.security import actor, allow

blueprint = Blueprint("signup", __name__)


@blueprint.get("/signup")
@allow("admin")
def form() -> str:
    return _page({}, {})


@blueprint.post("/signup")
@allow("admin")
async def send() -> Response | tuple[str, int]:
    """303 to the form of the profile; 422 and 409 keep what was entered, but not the password."""
    given = {name: request.form.get(name, "")[:2000] for name in ("kind", "username", "password", "key")}
    if given["kind"] not in enrolment.KINDS:
        return _page(given, {"kind": "Choose the kind of user."}), 422
    try:
        async with transaction() as session:
            view = await enrolment.sign_up(
                session, actor(), given["kind"], given["username"], given["password"], key=given["key"] or None
            )
    except Invalid as error:
        return _page(given, error.errors), 422
    except Conflict as error:
        return _page(given, {"username": error.detail}), 409
    return redirect(url_for("tasks.show", task_id=view.tasks[0].id), 303)


def _page(given: dict[str, str], errors: dict[str, str]) -> str:
    return render_template("signup.html", given=given, errors=errors, kinds=list(enrolment.KINDS), key=str(uuid7()))
