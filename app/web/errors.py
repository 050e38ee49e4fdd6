"""Turns errors into answers: problem documents for the API, pages for people. Nothing shows its inside."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import orjson
from flask import Flask, Response, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import Conflict, DamsError, Invalid, ModelRefused, SignInRequired, Unavailable
from app.core.log import log
from app.web.security import is_api

LOCK_NOT_AVAILABLE, QUERY_CANCELLED, SERIALIZATION = "55P03", "57014", "40001"
TITLES = {
    400: "The request cannot be read",
    404: "There is nothing here, or it is not yours to see",
    405: "This address does not do that",
    413: "That is too big",
    415: "This kind of content is not taken here",
}
CURES = {
    403: "Ask an administrator for the role, or go back.",
    404: "Check the address, or start from your tasks.",
    409: "Nothing of yours was lost; look at the newest state and decide again.",
    503: "Your form is kept in this tab: wait a moment, go back and send it again.",
}


def register(app: Flask) -> None:
    """Every error of every view ends in one of these."""
    app.register_error_handler(DamsError, answer)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(CSRFError, _csrf)
    for lost in (DBAPIError, InterfaceError, OperationalError, PoolTimeout, ConnectionError):
        app.register_error_handler(lost, _database)
    app.register_error_handler(Exception, _unknown)


def problem(error: DamsError) -> dict[str, Any]:
    """The problem document (RFC 9457) of an error."""
    document: dict[str, Any] = {
        "type": f"about:blank#{error.code}",
        "title": error.title(),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **error.context,
    }
    if isinstance(error, ModelRefused):
        document["problems"] = [item.as_dict() for item in error.problems]
    if isinstance(error, Invalid):
        document["errors"] = error.errors
    return document


def answer(error: DamsError) -> AnyResponse:
    """A problem document or a page. What is our fault has a reference, by which the log finds it."""
    if error.status >= 500 and "reference" not in error.context:
        error.context["reference"] = uuid4().hex[:12]
        told = {"reference": error.context["reference"], "status": error.status, "path": request.path}
        log.warning("answered with an error", detail=error.detail, **told)
    if is_api():
        body = orjson.dumps(problem(error))
        response = Response(body, error.status, content_type="application/problem+json")
    elif isinstance(error, SignInRequired) and request.endpoint != "signin.send":
        return redirect(url_for("signin.form"), 303)
    else:
        page = render_template("error.html", error=error, cure=CURES.get(error.status, ""))
        response = Response(page, error.status, content_type="text/html; charset=utf-8")
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="dams"'
    if "retry_after" in error.context:
        response.headers["Retry-After"] = str(error.context["retry_after"])
    return response


class _Http(DamsError):
    """What the web framework itself refuses"""

    def __init__(self, error: HTTPException) -> None:
        super().__init__(error.description or "")
        self.status = error.code or 500  # pyright: ignore[reportAttributeAccessIssue]
        self.code = (error.name or "error").lower().replace(" ", "-")  # pyright: ignore[reportAttributeAccessIssue]
        self._title = TITLES.get(self.status, error.name or "Error")

    def title(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._title


def _http(error: HTTPException) -> AnyResponse:
    if error.code is not None and error.code < 400:
        return error.get_response()
    response = answer(_Http(error))
    if allowed := getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _csrf(error: CSRFError) -> AnyResponse:
    from app.core.errors import BadRequest

    return answer(BadRequest(f"{error.description} Reload the page and send the form again."))


def _database(error: Exception) -> AnyResponse:
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if state in (LOCK_NOT_AVAILABLE, SERIALIZATION):
        return answer(Conflict("Somebody is working on this just now. Try again in a moment."))
    if state is not None and state[:2] not in ("08", "57", "53"):
        return _unknown(error)
    log.error("database not available", error=type(error).__name__, state=state)
    return answer(Unavailable("The database does not answer.", retry_after=2))


def _unknown(error: Exception) -> AnyResponse:
    reference = uuid4().hex[:12]
    log.error("unexpected error", reference=reference, path=request.path, exc_info=error)
    return answer(DamsError(f"It has been recorded as {reference}.", reference=reference))
