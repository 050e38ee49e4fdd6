"""Every route of the application with an address that can be asked for, for tests that must not forget one."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from flask import Flask
from werkzeug.routing import Rule

from app.db.people import ROLES
from app.web.security import PUBLIC, SIGNED_IN, UNSAFE, permission_of


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one rule; `roles` may use it, `permission` is what it declared."""

    endpoint: str
    method: str
    rule: str
    path: str
    permission: frozenset[str] | None
    is_api: bool

    @property
    def is_public(self) -> bool:
        return self.permission == PUBLIC

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(ROLES) if self.permission in (PUBLIC, SIGNED_IN) else self.permission or frozenset()

    @property
    def changes(self) -> bool:
        return self.method in UNSAFE

    def __str__(self) -> str:
        return f"{self.method} {self.rule}"


def routes(app: Flask) -> list[Route]:
    return [
        Route(rule.endpoint, method, rule.rule, _path(rule), permission_of(app, rule.endpoint), _is_api(app, rule))
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def _is_api(app: Flask, rule: Rule) -> bool:
    return rule.rule.startswith("/api/") or bool(getattr(app.view_functions[rule.endpoint], "api", False))


def _path(rule: Rule) -> str:
    """The rule with values that name nothing."""
    samples = {"UUIDConverter": uuid4(), "IntegerConverter": 1}
    given = {name: samples.get(type(kind).__name__, "nothing") for name, kind in rule._converters.items()}
    built = rule.build(given)
    assert built is not None
    return built[1]
