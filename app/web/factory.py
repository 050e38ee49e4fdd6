"""Makes the Flask application. Blueprints are found by themselves: a page is one module in `views`."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import timedelta
from types import ModuleType

from flask import Blueprint, Flask

import app.web.api
import app.web.views
from app.core import log
from app.core.settings import ROOT, Settings, settings
from app.web import assets, errors, language, metrics, presentation, security
from app.web.flask_loop import LoopFlask

SHORTEST_SECRET = 32


class NotSafeToStart(RuntimeError):
    """The settings would open the clinic's data"""


def check(given: Settings) -> None:
    """Raise :class:`NotSafeToStart` for settings that no service with patients may have."""
    if len(given.security.secret_key.get_secret_value()) < SHORTEST_SECRET:
        raise NotSafeToStart(f"DAMS_SECURITY__SECRET_KEY needs {SHORTEST_SECRET} characters or more")
    if given.web.debug and not given.web.demo:
        raise NotSafeToStart("web.debug is only for the demo")
    if given.web.test_clock and not given.web.demo:
        raise NotSafeToStart("web.test_clock is only for the demo")
    if not given.web.secure_cookies and not given.web.demo:
        raise NotSafeToStart("web.secure_cookies must be true outside the demo")


def create_app() -> Flask:
    """The application with the settings of this process.

    Raises:
        NotSafeToStart: see :func:`check`.
    """
    given = settings()
    check(given)
    log.configure()
    flask = LoopFlask("dams", root_path=str(ROOT / "app/web"), static_folder="static", static_url_path=_static(given))
    flask.config.update(
        SECRET_KEY=given.security.secret_key.get_secret_value(),
        DEBUG=given.web.debug,
        MAX_CONTENT_LENGTH=given.web.max_body_bytes,
        MAX_FORM_MEMORY_SIZE=given.web.max_body_bytes,
        SESSION_COOKIE_NAME="dams_form",
        SESSION_COOKIE_SECURE=given.web.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(days=365),
    )
    flask.session_interface = security.Cookies()
    security.csrf.init_app(flask)
    flask.admit = security.admit
    metrics.register(flask)
    flask.before_request(security.guard)
    flask.wsgi_app = security.Hardened(flask.wsgi_app, _static(given))
    errors.register(flask)
    assets.register(flask)
    language.register(flask)
    presentation.register(flask)
    for blueprint in blueprints():
        flask.register_blueprint(blueprint, url_prefix=given.web.url_prefix + (blueprint.url_prefix or ""))
    return flask


def _static(given: Settings) -> str:
    return f"{given.web.url_prefix}/static"


def blueprints() -> list[Blueprint]:
    """One of each module of `views` and `api`; asking imports all of them and whatever they need."""
    return [found for package in (app.web.views, app.web.api) for found in _blueprints(package)]


def _blueprints(package: ModuleType) -> list[Blueprint]:
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."))
    modules = [importlib.import_module(name) for name in names]
    return [module.blueprint for module in modules if hasattr(module, "blueprint")]
