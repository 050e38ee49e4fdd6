"""What of a model would run on the other engine, and the easy half of it as a new draft."""

from __future__ import annotations

import asyncio

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.core.errors import Conflict
from app.db.session import reading, transaction
from app.engines import drafts, portability
from app.engines.drafts import Text
from app.engines.portability import Ported
from app.engines.spiff import models
from app.engines.spiff.coded import compiling
from app.engines.spiff.models import StoredModel
from app.engines.spiff.specs import BundleFile
from app.web.security import actor, allow

blueprint = Blueprint("portability", __name__)


@blueprint.get("/models/<process_id>/portability")
@allow("modeler", "admin", "ops")
async def show(process_id: str) -> str:
    """The report on the active version, or the one that `version` names."""
    model, found, _ = await _ported(process_id)
    reached = {one.element_id for one in (*found.changes, *found.problems)}
    same = [one for one in model.elements.values() if one.id not in reached and one.type != "sequenceFlow"]
    return render_template(
        "portability.html", model=model, found=found, same=same, may_draw=actor().has("modeler", "admin")
    )


@blueprint.post("/models/<process_id>/portability")
@allow("modeler", "admin")
async def take(process_id: str) -> Response:
    """Keep the file for the other engine as a draft of its own, under an id of its own."""
    model, found, key = await _ported(process_id)
    file = f"{model.file.removesuffix('.bpmn')}-{found.target}.bpmn"
    async with transaction() as session:
        draft = await drafts.find(session, key)
        if draft is not None and draft.open:
            raise Conflict(f"There is a draft {key} already: open it, or discard it first.")
        given = Text(found.target, file, model.name, found.content.decode())
        await drafts.save(session, actor(), key, given, draft.revision if draft else 0)
    flash(f"Draft {key} holds the model for {'Zeebe' if found.target == 'zeebe' else 'DAMS'}.", "good")
    return redirect(url_for("drafts.edit", process_id=key), 303)


async def _ported(process_id: str) -> tuple[StoredModel, Ported, str]:
    asked = request.args.get("version", "")
    async with reading() as session:
        model = await models.find(session, process_id, int(asked) if asked.isdecimal() and len(asked) < 9 else None)
        if compiling.is_coded(model.file):
            raise Conflict("A process written as code has no drawing to put into another engine's words.")
        tables = await drafts.tables(session, model.xml.decode(errors="replace"))
    key = f"{process_id}_on_{'dams' if model.engine == 'zeebe' else 'zeebe'}"
    file = BundleFile(model.file, model.xml)
    found = await asyncio.to_thread(portability.ported, file, tables, renamed={process_id: key})
    return model, found, key
