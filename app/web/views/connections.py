"""The servers that flows and models may call: who may, with or without a token; added, changed and removed here."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.core.errors import Conflict, Invalid
from app.db.session import reading, transaction
from app.engines import connections
from app.engines.connections import Given
from app.web import fields
from app.web.security import actor, allow

blueprint = Blueprint("connections", __name__, url_prefix="/connections")
READERS = ("ops", "admin")

Answer = str | Response | tuple[str, int]


@blueprint.get("")
@allow(*READERS)
async def listing() -> Answer:
    return await _page({}, {})


@blueprint.post("")
@allow(connections.KEEPER)
async def add() -> Answer:
    entered = request.form.to_dict()
    name = entered.get("name", "").strip()
    try:
        async with transaction() as session:
            await connections.add(session, actor(), name, _given(entered))
    except Invalid as error:
        return await _page(entered, error.errors), 422
    except Conflict as error:
        return await _page(entered, {"name": error.detail}), 409
    return _done(f"{name} may be called from now on.")


@blueprint.get("/<name>")
@allow(*READERS)
async def show(name: str) -> Answer:
    return await _one(name, {}, {})


@blueprint.post("/<name>")
@allow(connections.KEEPER)
async def change(name: str) -> Answer:
    entered = request.form.to_dict()
    try:
        revision = fields.number(entered, "revision")
        async with transaction() as session:
            await connections.change(session, actor(), name, _given(entered), revision)
    except Invalid as error:
        return await _one(name, entered, error.errors), 422
    return _done(f"{name} is changed.")


@blueprint.post("/<name>/remove")
@allow(connections.KEEPER)
async def remove(name: str) -> Response:
    revision = fields.number(request.form.to_dict(), "revision")
    async with transaction() as session:
        await connections.remove(session, actor(), name, revision)
    return _done(f"{name} may not be called any more.")


def _given(entered: dict[str, str]) -> Given:
    """An empty field of the token leaves it as it is, unless there shall be none."""
    token = "" if "tokenless" in entered else entered.get("token", "").strip() or None
    return Given(entered.get("url", ""), token, "models" in entered, "private" in entered)


def _done(what: str) -> Response:
    flash(what, "good")
    return redirect(url_for("connections.listing"), 303)


async def _page(entered: dict[str, str], errors: dict[str, str]) -> str:
    async with reading() as session:
        found = await connections.listing(session)
    return render_template(
        "connections.html",
        connections=found,
        entered=entered,
        errors=errors,
        may_change=actor().has(connections.KEEPER),
    )


async def _one(name: str, entered: dict[str, str], errors: dict[str, str]) -> str:
    async with reading() as session:
        found = await connections.get(session, name)
    may_change = actor().has(connections.KEEPER) and bool(found.revision)
    return render_template("connection.html", one=found, entered=entered, errors=errors, may_change=may_change)
