"""How a call of the API is declared: one decorator for path, permission, request, answer and statuses.

The same declaration is the route and the OpenAPI document, so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import orjson
from flask import Blueprint, Response, request
from flask.globals import request_ctx
from pydantic import BaseModel, ValidationError

from app.core.errors import BadRequest, Invalid
from app.web import security

PREFIX = "/api/v1"
JSON = "application/json"

B = TypeVar("B", bound=BaseModel)


class Empty(BaseModel):
    """Nothing is asked for."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the OpenAPI document."""

    method: str
    path: str
    """With its prefix: `/api/v1`, or nothing for the specification's own paths."""
    name: str
    summary: str
    roles: frozenset[str]
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    files: bool
    answer: Any
    status: int
    errors: tuple[int, ...]
    headers: tuple[str, ...]


operations: list[Operation] = []


@dataclass(slots=True)
class Group:
    """The calls of one module, on a blueprint of its own. The specification's own paths have no *prefix*."""

    name: str
    prefix: str = PREFIX
    blueprint: Blueprint = field(init=False)

    def __post_init__(self) -> None:
        self.blueprint = Blueprint(f"api_{self.name}", __name__, url_prefix=self.prefix or None)

    def operation(
        self,
        method: str,
        path: str,
        *,
        roles: tuple[str, ...] = (),
        public: bool = False,
        without_csrf: bool = False,
        body: type[BaseModel] | None = None,
        query: type[BaseModel] | None = None,
        files: bool = False,
        answer: Any,
        status: int = 200,
        errors: tuple[int, ...] = (),
        headers: tuple[str, ...] = (),
    ) -> Callable[[Callable[..., Awaitable[Any]]], Callable[..., Awaitable[Response]]]:
        """Declare a call. The view gets ``given`` (body or query as its model) and the path's parameters."""

        def declare(view: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Response]]:
            async def answered(**path_parameters: Any) -> Response:
                given = _body(body) if body is not None else _query(query) if query is not None else Empty()
                result = await view(given, **path_parameters)
                return result if isinstance(result, Response) else reply(result, status)

            answered.__name__ = view.__name__
            answered.__dict__.update(csrf_exempt=without_csrf, api=True)
            permission = security.public if public else security.allow(*roles) if roles else security.signed_in
            self.blueprint.add_url_rule(path, view_func=permission(answered), methods=[method])
            operations.append(
                Operation(
                    method,
                    self.prefix + path,
                    f"{self.name}_{view.__name__}",
                    (view.__doc__ or view.__name__).strip().splitlines()[0],
                    security.PUBLIC if public else frozenset(roles) or security.SIGNED_IN,
                    body,
                    query,
                    files,
                    answer,
                    status,
                    tuple(sorted({*errors, 400, 500, 503, 504} | ({401, 403} if not public else set()))),
                    headers,
                )
            )
            return answered

        return declare


def reply(result: Any, status: int = 200) -> Response:
    """*result* as JSON: records of the store are written as they are."""
    return Response(orjson.dumps(result, default=_plain), status, content_type=JSON)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, UUID | Decimal):  # the driver's own subclass of UUID is one that the encoder does not know
        return str(value)
    raise TypeError(type(value).__name__)


def _body(model: type[B]) -> B:
    asked = request_ctx.request
    raw = asked.get_data(cache=False)
    if raw and not asked.is_json:
        raise BadRequest("Send the body as application/json.")
    try:
        loaded: Any = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is no JSON: {error.msg}.") from error
    if not isinstance(loaded, dict):
        raise BadRequest("The body must be a JSON object.")
    if b"\\u0000" in raw:
        raise BadRequest("A NUL character cannot be stored or searched for.")
    return _checked(model, loaded)


def _query(model: type[B]) -> B:
    return _checked(model, request.args.to_dict())


def _checked(model: type[B], given: Any) -> B:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = {".".join(str(part) for part in one["loc"]) or "body": one["msg"] for one in error.errors()}
        raise Invalid(found) from error


def idempotency_key() -> str | None:
    """The caller's own name for this request; the same name again is the same request."""
    return request.headers.get("Idempotency-Key") or None
