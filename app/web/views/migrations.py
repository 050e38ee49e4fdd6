"""Moving running instances to another version: choose, try, move, watch, stop."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from app.core.errors import Conflict, Invalid, NotFound
from app.db.session import reading, transaction
from app.engines import migrations
from app.engines.spiff import comparison, models
from app.engines.spiff.models import StoredModel
from app.web.progress import Compared
from app.web.security import actor, allow

blueprint = Blueprint("migrations", __name__)
MOVE = ("modeler", "ops", "admin")
_OF = "element-"


@blueprint.get("/models/<process_id>/migrate")
@allow(*MOVE)
async def choose(process_id: str) -> str:
    """From which version to which, which element stands for which, and what a trial of that says."""
    return await _page(process_id, request.args)


@blueprint.post("/models/<process_id>/migrate")
@allow(*MOVE)
async def begin(process_id: str) -> Response | tuple[str, int]:
    given = request.form
    try:
        async with transaction() as session:
            old, new = _version(given, "from") or 0, _version(given, "to") or 0
            reason = given.get("reason", "")
            own = await migrations.begin(session, actor(), process_id, old, new, _elements(given), reason)
    except Invalid as error:
        return await _page(process_id, given, error.errors), 422
    except Conflict as error:
        return await _page(process_id, given, {"reason": error.detail}), 409
    return redirect(url_for("migrations.show", process_id=process_id, migration_id=own), 303)


@blueprint.get("/models/<process_id>/migrations/<uuid:migration_id>")
@allow(*MOVE)
async def show(process_id: str, migration_id: UUID) -> str:
    """How far it has come and what stays, each with its reason."""
    async with reading() as session:
        found = await migrations.find(session, migration_id)
        if found.process_id != process_id:
            raise NotFound("No such migration.")
        model = await models.find(session, process_id, found.from_version)
    return render_template("migration.html", migration=found, model=model)


@blueprint.post("/models/<process_id>/migrations/<uuid:migration_id>/stop")
@allow(*MOVE)
async def stop(process_id: str, migration_id: UUID) -> Response:
    async with transaction() as session:
        await migrations.stop(session, actor(), migration_id)
    flash("The migration was stopped; what was moved stays moved.", "good")
    return redirect(url_for("migrations.show", process_id=process_id, migration_id=migration_id), 303)


async def _page(process_id: str, given: MultiDict[str, str], errors: dict[str, str] | None = None) -> str:
    async with reading() as session:
        rows = await models.versions(session, process_id)
        running = [row.version for row in rows if row.running]
        active = next((row.version for row in rows if row.active), rows[0].version)
        earlier = [version for version in running if version != active]
        old_version = _version(given, "from") or (earlier or running or [rows[-1].version])[0]
        new_version = _version(given, "to") or (active if active != old_version else rows[0].version)
        old, new = [await models.find(session, process_id, version) for version in (old_version, new_version)]
        at = await comparison.standing(session, process_id, [old_version])
        chosen = any(name.startswith(_OF) for name in given)
        elements = _elements(given) if chosen else _same_names(old, new, at)
        trial, refusal = None, ""
        if old_version != new_version:
            try:
                trial = await migrations.attempt(session, process_id, old_version, new_version, elements)
            except (Invalid, Conflict) as error:
                refusal = error.detail
        done = await migrations.of_process(session, process_id)
    return render_template(
        "migrate.html",
        model=new,
        rows=rows,
        old=old,
        old_version=old_version,
        new_version=new_version,
        standing=[old.elements[one] for one in old.elements if at.get(one)],
        at=at,
        elements=elements,
        trial=trial,
        refusal=refusal,
        pair=Compared(old.compiled(), new.compiled(), at, old_version),
        done=done,
        errors=errors or {},
        reason=given.get("reason", ""),
    )


def _same_names(old: StoredModel, new: StoredModel, standing: Mapping[str, int]) -> dict[str, str]:
    """For who stands on what the new version has not by that id: the one element of the same kind and name there."""
    found: dict[str, str] = {}
    for own in [one for one in standing if one in old.elements and one not in new.elements]:
        was = old.elements[own]
        like = [one.id for one in new.elements.values() if (one.type, one.name) == (was.type, was.name)]
        if was.name and len(like) == 1 and like[0] not in old.elements:
            found[own] = like[0]
    return found


def _elements(given: MultiDict[str, str]) -> dict[str, str]:
    chosen = {name.removeprefix(_OF): value for name, value in given.items() if name.startswith(_OF) and value}
    return {own: other for own, other in chosen.items() if own != other}


def _version(given: MultiDict[str, str], name: str) -> int | None:
    asked = given.get(name, "")
    return int(asked) if asked.isdecimal() and len(asked) < 9 else None
