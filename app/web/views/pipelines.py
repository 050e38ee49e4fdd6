"""Pipelines: what may be started with its form, what runs, one run with its progress, result and files."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.clinic import audit, reports
from app.core.errors import Invalid
from app.core.ids import uuid7
from app.db.session import reading, transaction
from app.engines import control, heartbeat, inputs, pipelines
from app.engines.runs import Run
from app.web.security import actor, allow, signed_in

blueprint = Blueprint("pipelines", __name__)
START = ("admin", "staff", "doctor", "ops")


@blueprint.get("/pipelines")
@allow(*START)
async def listing() -> str:
    async with reading() as session:
        offered = await pipelines.offered(session, actor())
        recent = await pipelines.recent(session, actor())
        workers = [sign for sign in await heartbeat.signs(session) if sign.kind == pipelines.ENGINE and sign.alive]
    titles = {one.name: one.title for one in offered}
    return render_template("pipelines.html", offered=offered, runs=recent, titles=titles, workers=len(workers))


@blueprint.get("/pipelines/<name>")
@allow(*START)
async def show(name: str) -> str:
    return await _page(name)


@blueprint.post("/pipelines/<name>")
@allow(*START)
async def start(name: str) -> AnyResponse | tuple[str, int]:
    person = actor()
    entered = _entries()
    try:
        async with transaction() as session:
            found = await pipelines.find(session, person, name)
            given = inputs.check(found.input_schema, entered)
            run_id = await pipelines.start(
                session, name, given, started_by=person.id, key=request.form.get("start_key") or None
            )
    except Invalid as error:
        return await _page(name, entered, error.errors), 422
    return redirect(url_for("pipelines.run", run_id=run_id), 303)


@blueprint.get("/pipelines/runs/<uuid:run_id>")
@signed_in
async def run(run_id: UUID) -> str:
    person = actor()
    async with reading() as session:
        found = await pipelines.seen(session, person, run_id)
        steps = await pipelines.steps(session, run_id)
        offered = {one.name: one.title for one in await pipelines.offered(session, person)}
    return render_template(
        "pipeline_run.html",
        run=found,
        steps=steps,
        title=offered.get(found.name, found.name),
        open=found.status in ("requested", "running"),
        percent=_percent(found),
        files=_files(found.result),
        may_cancel=found.started_by == person.id or person.has("ops", "admin"),
        may_retry=person.has("ops", "admin") and found.name in offered,
    )


@blueprint.post("/pipelines/runs/<uuid:run_id>/cancel")
@signed_in
async def cancel(run_id: UUID) -> AnyResponse:
    async with transaction() as session:
        await pipelines.cancel(session, actor(), run_id, request.form.get("reason", "").replace("\x00", ""))
    flash("The run was cancelled; what it began is undone.", "good")
    return redirect(url_for("pipelines.run", run_id=run_id), 303)


@blueprint.post("/pipelines/runs/<uuid:run_id>/retry")
@allow("ops", "admin")
async def retry(run_id: UUID) -> AnyResponse:
    async with transaction() as session:
        await control.retry(session, actor(), run_id)
    flash("Asked for again: finished steps keep their results.", "good")
    return redirect(url_for("pipelines.run", run_id=run_id), 303)


@blueprint.get("/pipelines/runs/<uuid:run_id>/files/<name>")
@signed_in
async def download(run_id: UUID, name: str) -> Response:
    async with transaction() as session:
        await pipelines.seen(session, actor(), run_id)
        path = reports.open_file(run_id, name)
        await audit.record(session, "report.downloaded", actor_id=actor().id, data={"run": str(run_id), "file": name})
    return send_file(path, as_attachment=True, download_name=name)


def _entries() -> dict[str, Any]:
    """The last value of each field, and chosen files as text. What is no UTF-8 is no text."""
    entered: dict[str, Any] = {name: values[-1] for name, values in request.form.lists()}
    for name, file in request.files.items():
        if file.filename:
            raw = file.read()
            try:
                entered[name] = {"name": file.filename, "text": raw.decode("utf-8-sig")}
            except UnicodeDecodeError:
                entered[name] = None
    return entered


def _percent(found: Run) -> int:
    if found.status == "completed":
        return 100
    return min(99, 100 * found.done // found.total) if found.total else 0


def _files(result: Any) -> list[dict[str, Any]]:
    """What a run's result says it wrote."""
    rows = result if isinstance(result, list) else [result]
    return [row for row in rows if isinstance(row, dict) and "file" in row]


async def _page(name: str, entered: dict[str, Any] | None = None, errors: dict[str, str] | None = None) -> str:
    async with reading() as session:
        found = await pipelines.find(session, actor(), name)
        recent = await pipelines.recent(session, actor(), name)
    form = inputs.form_of(found.input_schema)
    shown = {field.id: field.default for field in form.fields if field.default is not None} | (entered or {})
    return render_template(
        "pipeline.html",
        pipeline=found,
        form=form.as_list(),
        files=inputs.files_of(found.input_schema),
        values=shown,
        errors=errors or {},
        runs=recent,
        titles={name: found.title},
        key=str(uuid7()),
    )
