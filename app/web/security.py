"""Who may call what: permissions of routes, the signed-in person, CSRF, headers. Without a permission nothing opens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Request, Response, g, redirect, request, url_for
from flask.globals import request_ctx
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response as AnyResponse

from app.clinic import accounts
from app.core.actor import Actor
from app.core.errors import BadRequest, Forbidden, SignInRequired
from app.core.settings import settings
from app.db.driver import Line
from app.web.flask_loop import wait

COOKIE = "dams_session"
PUBLIC, SIGNED_IN = frozenset({"public"}), frozenset({"signed-in"})
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
UNATTENDED = "DAMS-Unattended"
"""The header of what a page asks for by itself."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
HEADERS_OF_PAGES = HEADERS | {"Cache-Control": "no-store"}
HEADERS_UNDER_TLS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

View = TypeVar("View", bound=Callable[..., Any])
csrf = CSRFProtect()


def public(view: View) -> View:
    """Open to everybody."""
    view.__dict__["permission"] = PUBLIC
    return view


def signed_in(view: View) -> View:
    """Open to whoever is signed in; what they see is decided by what is theirs."""
    view.__dict__["permission"] = SIGNED_IN
    return view


def allow(*roles: str) -> Callable[[View], View]:
    """Open to people with one of these roles."""

    def declare(view: View) -> View:
        view.__dict__["permission"] = frozenset(roles)
        return view

    return declare


def unattended(view: View) -> View:
    """Asked for by a page, not by who sits before it: it does not keep them signed in."""
    view.__dict__["unattended"] = True
    return view


def permission_of(app: Flask, endpoint: str) -> frozenset[str] | None:
    """What a route declared, or None if it declared nothing and is therefore closed."""
    if endpoint == "static":
        return PUBLIC
    return getattr(app.view_functions[endpoint], "permission", None)


def actor() -> Actor:
    """The signed-in person of this request. Raises :class:`SignInRequired`."""
    found: Actor | None = g.get("actor")
    if found is None:
        raise SignInRequired
    return found


def signed_in_or_none() -> Actor | None:
    """The signed-in person of this request, where a public call may have one."""
    found: Actor | None = g.get("actor")
    return found


def bearer() -> str | None:
    """The request's bearer token."""
    scheme, _, value = request_ctx.request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def is_api() -> bool:
    """Whether a program asks: a call under /api/, or one of the specification's own paths that answers in JSON."""
    asked, flask = request_ctx.request, request_ctx.app
    if asked.path.startswith(f"{settings().web.url_prefix}/api/"):
        return True
    if asked.endpoint is None:  # an address of nobody's: answered in the words of who asks
        return bearer() is not None
    return bool(getattr(flask.view_functions.get(asked.endpoint), "api", False))


async def _load() -> Actor | None:
    return await _person(bearer() if is_api() else None)


async def _person(token: str | None, *, used: bool = True) -> Actor | None:
    cookie = request_ctx.request.cookies.get(COOKIE) if token is None else None
    if token is None and not cookie:
        return None  # who is nobody costs no connection, and is answered without PostgreSQL too
    async with Line() as line:
        if token is not None:
            return await accounts.actor_of_token(line, token)
        return await accounts.actor_of_session(line, cookie or "", used=used)


def guard() -> AnyResponse | None:
    """Before each request: a route that declares nothing is closed; a synchronous view is admitted here."""
    g.actor = None
    # Each look through Flask's proxies costs as much as the rest of its line.
    asked, flask = request_ctx.request, request_ctx.app
    _refuse_nul(asked.path, *asked.args.values())
    endpoint = asked.endpoint
    if endpoint is None:  # no such page; who asks is known all the same, so that the page that says so has its menu
        g.actor = None if is_api() else wait(_load())
        return None
    permission = permission_of(flask, endpoint)
    if permission is None:
        raise Forbidden("This address declares no permission, so it is closed.")
    if endpoint == "static":
        return None
    if asked.method in UNSAFE:
        asked.get_data()  # read here, where too much of it is refused before anything begins
        if not asked.is_json:
            _refuse_nul(*(value for values in asked.form.listvalues() for value in values))
    view = flask.view_functions[endpoint]
    if flask.ensure_sync(view) is not view:
        return None  # admitted on the loop, in one piece with the view
    return wait(admit())


def _refuse_nul(*texts: str) -> None:
    """PostgreSQL stores every character but this one; refused here it cannot become an error further in."""
    if any("\x00" in text for text in texts):
        raise BadRequest("A NUL character cannot be stored or searched for.")


async def admit() -> AnyResponse | None:
    """Load the person, check origin and CSRF token, then the permission of the view that is about to run.

    Gives an answer that takes the view's place (a redirect to the sign-in page), or None.

    Raises:
        SignInRequired, Forbidden, CSRFError: the view must not run.
    """
    asked, flask = request_ctx.request, request_ctx.app
    view = flask.view_functions[asked.endpoint or ""]
    permission = permission_of(flask, asked.endpoint or "")
    if permission is None:
        raise Forbidden("This address declares no permission, so it is closed.")
    by_program = is_api()
    token = bearer() if by_program else None
    by_itself = UNATTENDED in asked.headers or getattr(view, "unattended", False)
    person = g.actor = await _person(token, used=not by_itself)
    if asked.method in UNSAFE and not token:
        _check_origin()
        if person is None and by_program and permission is not PUBLIC:
            raise SignInRequired
        # A call that nobody is signed in for carries no authority that another site could borrow.
        if not getattr(view, "csrf_exempt", False) and not (by_program and person is None):
            csrf.protect()
    return None if permission is PUBLIC else _check(permission)


def _check(permission: frozenset[str]) -> AnyResponse | None:
    person: Actor | None = g.actor
    if person is None:
        if is_api() or request.method != "GET":
            raise SignInRequired
        return redirect(url_for("signin.form", next=request.full_path.rstrip("?")))
    if permission is not SIGNED_IN:
        person.require(*permission)
    return None


def _check_origin() -> None:
    """A browser says where a form comes from; another site's form is refused even with a stolen token."""
    origin = request.headers.get("Origin")
    if origin and origin != "null" and urlsplit(origin).netloc != request.host:
        raise Forbidden("The form was sent from another site.")


class Hardened:
    """The application, each answer with the headers that a browser needs to protect people."""

    def __init__(self, answer: WSGIApplication, static: str) -> None:
        self._answer = answer
        self._static = f"{static}/"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given = HEADERS if environ["PATH_INFO"].startswith(self._static) else HEADERS_OF_PAGES
        if environ["wsgi.url_scheme"] == "https":
            given = given | HEADERS_UNDER_TLS

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            set_already = {name.lower() for name, _ in headers}
            further = [(name, value) for name, value in given.items() if name.lower() not in set_already]
            return start_response(status, headers + further, *error)

        return self._answer(environ, start)


class Cookies(SecureCookieSessionInterface):
    """Flask's session. A request without its cookie, as every program's is, needs no signature to be made ready."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if "HTTP_COOKIE" not in request.environ or self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if session or session.modified or session.accessed:
            super().save_session(app, session, response)


def safe_next(target: str | None) -> str | None:
    """A path of our own to go to after signing in; anything that leads elsewhere is dropped."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or "\n" in target or "\r" in target:
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc or "\\" in target else target
