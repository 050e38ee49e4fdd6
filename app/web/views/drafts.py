"""The editor: a model drawn in the browser, saved as a draft, and handed to the deploy page. Without JavaScript it is
a download, an upload and the model in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import get_locale
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import Conflict, Invalid, NotFound
from app.db.session import Session, reading, transaction
from app.engines import drafts, locks
from app.engines.drafts import Draft, Engine
from app.engines.locks import Lock
from app.engines.spiff import models
from app.engines.spiff.models import StoredModel
from app.web import language
from app.web.blanks import blank
from app.web.security import actor, allow
from app.web.sketch import Sketch

blueprint = Blueprint("drafts", __name__)
DRAW = ("modeler", "admin")


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the editor opens: the draft, else the active version, else an empty drawing."""

    key: str
    engine: Engine
    file: str
    name: str
    xml: str
    base_version: int | None
    revision: int
    draft: Draft | None
    active_version: int | None


@blueprint.get("/models/new")
@allow(*DRAW)
async def new() -> str:
    """An empty drawing for the `engine` that is asked for; nothing is stored before it is saved."""
    asked = request.args.get("engine")
    engine: Engine = "zeebe" if asked == "zeebe" else "dmn" if asked == "dmn" else "spiff"
    key = f"{'Decisions' if engine == 'dmn' else 'Process'}_{token_hex(4)}"
    file = f"{key}.{'dmn' if engine == 'dmn' else 'bpmn'}"
    return _page(Drawing(key, engine, file, "", blank(engine, key), None, 0, None, None), Lock(mine=False))


@blueprint.get("/models/<process_id>/edit")
@allow(*DRAW)
async def edit(process_id: str) -> str:
    async with reading() as session:
        return _page(await _opened(session, process_id), await locks.of(session, process_id))


@blueprint.get("/models/<process_id>/edit/file")
@allow(*DRAW)
async def file(process_id: str) -> Response:
    """The text that the editor would open."""
    async with reading() as session:
        found = await _opened(session, process_id)
    return Response(found.xml, content_type="application/xml")


@blueprint.post("/models/<process_id>/edit")
@allow(*DRAW)
async def save(process_id: str) -> AnyResponse | tuple[str, int]:
    """Save an uploaded file, or a text that was not saved because somebody else was first."""
    try:
        await _take_file(process_id)
    except (Invalid, Conflict) as error:
        async with reading() as session:
            opened = await _opened(session, process_id, missing="model.bpmn")
            return _page(opened, await locks.of(session, process_id), error=error), error.status
    flash("The draft is saved.", "good")
    return redirect(url_for("drafts.edit", process_id=process_id), 303)


async def _take_file(key: str) -> None:
    uploaded = request.files.get("file")
    if not uploaded or not uploaded.filename:
        raise Invalid({"file": "Choose a file first."})
    text = drafts.decoded(uploaded.read())
    async with transaction() as session:
        opened = await _opened(session, key, missing=uploaded.filename)
        await locks.require(session, key)
        given = drafts.Text(opened.engine, opened.file, Sketch(text).name[:200], text, opened.base_version)
        await drafts.save(session, actor(), key, given, _revision())


@blueprint.post("/models/<process_id>/edit/discard")
@allow(*DRAW)
async def discard(process_id: str) -> AnyResponse:
    async with transaction() as session:
        await locks.require(session, process_id)
        await drafts.discard(session, actor(), process_id, _revision())
    flash("The draft is discarded. Open the editor again to bring it back.", "good")
    return redirect(url_for("models.listing"), 303)


@blueprint.post("/models/<process_id>/edit/restore")
@allow(*DRAW)
async def restore(process_id: str) -> AnyResponse:
    async with transaction() as session:
        await drafts.restore(session, actor(), process_id, _revision())
    flash("The draft is back.", "good")
    return redirect(url_for("drafts.edit", process_id=process_id), 303)


async def _opened(session: Session, key: str, *, missing: str = "") -> Drawing:
    """What there is under *key*; where there is nothing, an empty drawing for the file *missing*, if that is named.

    Raises:
        NotFound: nothing.
        Conflict: the process is written as code, which is not drawn.
    """
    draft = await drafts.find(session, key)
    model = await _deployed(session, key)
    active = model.version if model else None
    if draft is not None and draft.open:
        return Drawing(key, draft.engine, draft.file, draft.name, draft.xml, draft.base_version, draft.revision,
                       draft, active)  # fmt: skip
    revision = draft.revision if draft else 0
    if model is not None:
        if model.file.endswith(".json"):
            raise Conflict("This process is written as JSON: download the file, change it, and deploy it again.")
        engine: Engine = "zeebe" if model.engine == "zeebe" else "spiff"
        text = drafts.decoded(model.xml)
        return Drawing(key, engine, model.file, model.name, text, model.version, revision, draft, active)
    if draft is not None:  # discarded, and never deployed
        return Drawing(key, draft.engine, draft.file, draft.name, blank(draft.engine, key), None, revision, draft, None)
    if not missing:
        raise NotFound(f"No model {key!r}, and no draft of it.")
    engine = "dmn" if missing.endswith(".dmn") else "spiff"
    return Drawing(key, engine, f"{key}.{'dmn' if engine == 'dmn' else 'bpmn'}", "", "", None, 0, None, None)


async def _deployed(session: Session, key: str) -> StoredModel | None:
    """The active version of a process, the newest of one that is retired, None where there is none."""
    try:
        rows = await models.versions(session, key)
    except NotFound:
        return None
    return await models.find(session, key, next((row.version for row in rows if row.active), rows[0].version))


def _revision() -> int:
    given = request.form.get("revision", "")
    if not given.isdecimal() or len(given) > 9:
        raise Invalid({"revision": "The page was changed on its way; open the editor again."})
    return int(given)


def _page(opened: Drawing, lock: Lock, *, error: Exception | None = None) -> str:
    every = locks.SECONDS // 3
    return render_template(
        "editor.html",
        opened=opened,
        sketch=Sketch(opened.xml),
        lock=lock,
        error=error,
        every=every,
        words=language.drawing(str(get_locale() or "en")),
    )
