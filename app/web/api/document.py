"""The OpenAPI document, made from the declared operations, and a page that shows it."""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import orjson
from flask import Blueprint, Response, render_template
from pydantic import TypeAdapter

from app.core.settings import settings
from app.web.api import schemas
from app.web.api.contract import PREFIX, Operation, operations
from app.web.security import PUBLIC, SIGNED_IN, public

blueprint = Blueprint("api_document", __name__, url_prefix=PREFIX)
TEMPLATE = "#/components/schemas/{model}"
FORMATS = {"uuid": {"type": "string", "format": "uuid"}, "int": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}}
MEDIA = {
    "model": {"application/xml": {"type": "string"}, "application/json": {"type": "object"}},
    "csv": {"text/csv": {"type": "string"}},
}
"""Answers that are files. A model is a drawing or, where it is coded, a specification."""
FILES = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "array", "minItems": 1, "maxItems": 20, "items": {"type": "string", "format": "binary"}},
        "activate": {"type": "string", "enum": ["true", "false"]},
        "engine": {"type": "string", "enum": ["auto", "spiff", "zeebe"]},
        "note": {"type": "string", "maxLength": 2000},
    },
}


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """OpenAPI 3.1 of every operation."""
    shared: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for operation in operations:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, shared)
    schemes = {"bearer": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DAMS",
            "version": "1",
            "description": "Processes and tasks of a clinic.",
        },
        "paths": paths,
        "components": {"schemas": shared, "securitySchemes": schemes},
        "security": [{"bearer": []}],
    }


def _operation(operation: Operation, shared: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": _parameters(operation, shared),
        "responses": _responses(operation, shared),
    }
    if operation.roles is PUBLIC:
        described["security"] = []
    elif operation.roles is not SIGNED_IN:
        described["description"] = f"Needs the role {' or '.join(sorted(operation.roles))}."
    if operation.body is not None:
        content = {"application/json": {"schema": _schema(operation.body, shared)}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.files:
        described["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": FILES}}}
    return described


def _parameters(operation: Operation, shared: dict[str, Any]) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": FORMATS.get(kind, {"type": "string", "minLength": 1})}
        for kind, name in re.findall(r"<(?:(\w+):)?(\w+)>", operation.path)
    ]
    found += [
        {"name": name, "in": "header", "schema": {"type": "string", "maxLength": 200, "pattern": "^[!-~]+$"}}
        for name in operation.headers
    ]
    if operation.query is not None:
        whole = operation.query.model_json_schema(ref_template=TEMPLATE)
        shared.update(whole.get("$defs", {}))
        found += [{"name": name, "in": "query", "schema": schema} for name, schema in whole["properties"].items()]
    return found


def _responses(operation: Operation, shared: dict[str, Any]) -> dict[str, Any]:
    if operation.answer in MEDIA:
        content: dict[str, Any] = {kind: {"schema": schema} for kind, schema in MEDIA[operation.answer].items()}
    else:
        content = {"application/json": {"schema": _schema(operation.answer, shared)}}
    answers: dict[str, Any] = {
        str(operation.status): {"description": HTTPStatus(operation.status).phrase, "content": content}
    }
    failure = {"application/problem+json": {"schema": _schema(schemas.ProblemDocument, shared)}}
    for status in operation.errors:
        answers[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": failure if status >= HTTPStatus.BAD_REQUEST else content,
        }
    return answers


def _schema(shape: Any, shared: dict[str, Any]) -> dict[str, Any]:
    found = TypeAdapter(shape).json_schema(ref_template=TEMPLATE, mode="validation")
    for name, shape_of_name in found.pop("$defs", {}).items():
        _share(name, shape_of_name, shared)
    if title := found.get("title"):
        _share(title, found, shared)
        return {"$ref": TEMPLATE.format(model=title)}
    return found


def _share(name: str, shape: dict[str, Any], shared: dict[str, Any]) -> None:
    if shared.setdefault(name, shape) != shape:
        raise ValueError(f"two shapes of the API are called {name}: one would describe the other's answers")


@blueprint.get("/openapi.json")
@public
def openapi() -> Response:
    servers = [{"url": settings().web.url_prefix or "/"}]
    return Response(orjson.dumps(document() | {"servers": servers}), content_type="application/json")


@blueprint.get("/docs")
@public
def docs() -> str:
    return render_template("api.html", document=document())
