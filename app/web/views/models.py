"""Models: list, upload with every problem named, versions, diagram and outline."""

from __future__ import annotations

from base64 import b64decode, b64encode

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import BadRequest, Conflict, ModelRefused, NotFound
from app.core.ids import uuid7
from app.db.session import Session, reading, transaction
from app.engines import deployments, drafts
from app.engines.spiff import comparison, dry_run, models
from app.engines.spiff.models import StoredModel
from app.engines.spiff.specs import BundleFile
from app.web.progress import Compared, Progress, Tried
from app.web.security import actor, allow, signed_in

blueprint = Blueprint("models", __name__)
DRAW = ("modeler", "admin")


@blueprint.get("/models")
@allow("modeler", "admin", "ops")
async def listing() -> str:
    return await _page()


@blueprint.post("/models")
@allow(*DRAW)
async def upload() -> AnyResponse | tuple[str, int]:
    """Deploy the chosen files as one bundle. A refused bundle stores nothing and shows every problem."""
    files = await _chosen()
    note = request.form.get("note", "")[:2000]
    if not files:
        return await _page(error="Choose a .bpmn file first."), 422
    report = await deployments.check(files)
    warnings = [problem for problem in report.problems if problem.severity == "warning"]
    refused = len(warnings) < len(report.problems)
    if not refused and warnings and not note.strip():
        return await _page(problems=report.problems, needs_note=True), 422
    try:
        receipt = await deployments.deploy(actor(), report, note=note.strip())
        async with transaction() as session:
            await drafts.keep_tables(session, actor(), files)
    except ModelRefused as error:
        return await _page(problems=error.problems), 422
    for model in receipt.models:
        said = f"is deployed as version {model.version}" if model.changed else f"is unchanged: version {model.version}"
        flash(f"{model.name or model.process_id} {said}{_where(model.engine)}.", "good")
    if len(receipt.models) == 1:
        return redirect(url_for("models.show", process_id=receipt.models[0].process_id), 303)
    return redirect(url_for("models.listing"), 303)


@blueprint.get("/models/<process_id>")
@allow("modeler", "admin", "ops", "staff", "doctor")
async def show(process_id: str) -> str:
    return await page(process_id)


async def page(process_id: str, *, entered: dict[str, str] | None = None, errors: dict[str, str] | None = None) -> str:
    """A model with its versions; what was *entered* into its start form, and what must be mended there."""
    async with reading() as session:
        rows = await models.versions(session, process_id)
        wanted = _version() or next((row.version for row in rows if row.active), rows[0].version)
        model = await models.find(session, process_id, wanted)
    fields = model.start_form.as_list() if model.start_form else []
    defaults = {field["id"]: field["default"] for field in fields if field["default"] is not None}
    return render_template(
        "model.html",
        model=model,
        rows=rows,
        progress=Progress(model, [], None),
        key=request.form.get("start_key") or str(uuid7()),
        version=wanted,
        fields=fields,
        values=defaults | (entered or {}),
        errors=errors or {},
        may_draw=actor().has(*DRAW),
        may_move=actor().has(*DRAW, "ops"),
    )


@blueprint.post("/models/<process_id>/retire")
@allow(*DRAW)
async def retire(process_id: str) -> AnyResponse:
    async with transaction() as session:
        version = await models.retire(session, actor(), process_id)
    flash(f"Version {version} is retired: nobody starts this process any more. What runs goes on.", "good")
    return redirect(url_for("models.show", process_id=process_id), 303)


@blueprint.post("/models/<process_id>/<int:version>/activate")
@allow(*DRAW)
async def activate(process_id: str, version: int) -> AnyResponse:
    async with transaction() as session:
        await models.activate(session, actor(), process_id, min(version, 2**31 - 1))
    flash(f"New instances start on version {version} from now on.", "good")
    return redirect(url_for("models.show", process_id=process_id), 303)


@blueprint.get("/models/<process_id>/<int:version>/xml")
@signed_in
async def xml(process_id: str, version: int) -> Response:
    """What the diagram on pages is drawn from: the file as it was uploaded, or the drawing of a coded process."""
    async with reading() as session:
        model = await models.find(session, process_id, version)
    return Response(model.diagram, content_type="application/xml")


@blueprint.post("/models/dry-run")
@allow(*DRAW)
async def try_out() -> str | tuple[str, int]:
    """Walk the chosen files as one bundle; nothing is stored."""
    files = await _chosen()
    if not files:
        return await _page(error="Choose a .bpmn file first."), 422
    report = await models.check([file for file in files if not dry_run.is_cases(file.name)])
    if not report.ok:
        return await _page(problems=report.problems), 422
    if not any(model.engine == "spiff" for model in report.models):
        return await _page(error="What runs on Zeebe is not walked here: deploy it and start it there."), 422
    runs = {one.process_id: one for one in await dry_run.of_report(report)}
    tried = [Tried(model, runs[model.process_id]) for model in report.models if model.process_id in runs]
    held = await dry_run.held(files, report)
    kept = _kept([file for file in files if not dry_run.is_cases(file.name)])
    return render_template("dry_run.html", tried=tried, problems=report.problems, kept=kept, held=held)


@blueprint.get("/models/<process_id>/dry-run")
@allow("modeler", "admin", "ops")
async def walk(process_id: str) -> str:
    """Walk a deployed version, the active one unless `version` names another."""
    async with reading() as session:
        model = await models.find(session, process_id, _version())
    if model.engine != "spiff":
        raise Conflict("This model runs on Zeebe, where it is not walked.")
    tried = Tried(model.compiled(), await dry_run.one(model.compiled()))
    return render_template("dry_run.html", tried=[tried], problems=[], version=model.version)


@blueprint.post("/models/compare")
@allow(*DRAW)
async def preview() -> str | tuple[str, int]:
    """The chosen files beside what is deployed, to be deployed from there; nothing is stored yet."""
    files = await _chosen()
    if not files:
        return await _page(error="Choose a .bpmn file first."), 422
    report = await deployments.check(files)
    if not report.ok:
        return await _page(problems=report.problems), 422
    pairs: list[Compared] = []
    async with reading() as session:
        for model in report.models:
            old = await _active(session, model.process_id)
            at = await comparison.standing(session, model.process_id) if old else {}
            pairs.append(Compared(old.compiled() if old else None, model, at, old.version if old else 0))
    return render_template("compare.html", pairs=pairs, problems=report.problems, kept=_kept(files), new_version=None)


@blueprint.get("/models/<process_id>/compare")
@allow("modeler", "admin", "ops")
async def compare(process_id: str) -> str:
    """Two deployed versions, `old` and `new`; else the active one and the one before it."""
    async with reading() as session:
        rows = await models.versions(session, process_id)
        new = _version("new") or next((row.version for row in rows if row.active), rows[0].version)
        earlier = [row.version for row in rows if row.version < new]
        old = _version("old") or (earlier[0] if earlier else new)
        first, second = [await models.find(session, process_id, version) for version in (old, new)]
        at = await comparison.standing(session, process_id, [old])
    pair = Compared(first.compiled() if old != new else None, second.compiled(), at, old)
    return render_template("compare.html", pairs=[pair], problems=[], kept=[], new_version=new)


async def _active(session: Session, process_id: str) -> StoredModel | None:
    try:
        return await models.find(session, process_id)
    except NotFound:
        return None


def _version(name: str = "version") -> int | None:
    asked = request.args.get(name, "")
    return int(asked) if asked.isdecimal() and len(asked) < 9 else None


def _kept(files: list[BundleFile]) -> list[str]:
    """The files for the next form of the same page, so that they are not chosen again."""
    return [f"{file.name}:{b64encode(file.content).decode()}" for file in files]


async def _chosen() -> list[BundleFile]:
    """The files of the form, those that a page before kept in it as `name:base64`, and drafts with their tables."""
    files = [BundleFile((file.filename or "")[:200], file.read()) for file in request.files.getlist("file") if file]
    for one in request.form.getlist("kept"):
        name, _, content = one.rpartition(":")
        try:
            files.append(BundleFile(name[:200], b64decode(content, validate=True)))
        except ValueError:
            raise BadRequest("kept holds names and base64, as the page before made them.") from None
    async with reading() as session:
        for key in request.form.getlist("draft"):
            files += await drafts.handed_over(session, key)
    return files


def _where(engine: str) -> str:
    return " on Zeebe" if engine == "zeebe" else ", run in DAMS itself"


async def _page(*, problems: object = None, error: str = "", needs_note: bool = False) -> str:
    async with reading() as session:
        rows = await models.listing(session)
        begun = await drafts.listing(session)
    return render_template(
        "models.html",
        rows=rows,
        drafts=begun,
        problems=problems,
        error=error,
        needs_note=needs_note,
        may_draw=actor().has(*DRAW),
    )
