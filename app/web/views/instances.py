"""Instances: a list, one with its trace, incidents and what can be done about them."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

import orjson
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.utils import secure_filename
from werkzeug.wrappers import Response

from app.core.errors import Invalid
from app.db.session import Session, reading, transaction
from app.engines import instances
from app.engines.spiff import lookup, models, timeline
from app.engines.spiff.dry_run import recording
from app.engines.spiff.records import EventRow, InstanceView
from app.web.progress import Progress
from app.web.security import actor, allow, signed_in
from app.web.views.models import page as model_page

blueprint = Blueprint("instances", __name__)
MEND = ("ops", "admin")
OWN_FIELDS = ("csrf_token", "start_key", "variables")
FILTERS = ("process_id", "status", "case", "variable", "element", "cursor")


@blueprint.get("/instances")
@signed_in
async def listing() -> str:
    chosen = {name: request.args.get(name, "").strip() for name in FILTERS}
    async with reading() as session:
        page = await instances.search(
            session,
            actor(),
            process_id=chosen["process_id"] or None,
            status=chosen["status"] or None,
            case=chosen["case"] or None,
            variable=chosen["variable"] or None,
            element=chosen["element"] or None,
            cursor=chosen["cursor"] or None,
        )
        known = await models.listing(session)
    kept = {name: value for name, value in chosen.items() if value and name != "cursor"}
    more = f"{url_for('instances.listing')}?{urlencode(kept | {'cursor': page.next})}" if page.next else None
    return render_template("instances.html", page=page, chosen=chosen, known=known, more=more)


@blueprint.post("/models/<process_id>/start")
@signed_in
async def start(process_id: str) -> Response | str | tuple[str, int]:
    """Start an instance and go to its first task, if it is one for this person; 422 keeps what was entered."""
    person = actor()
    entered = {name: values[-1] for name, values in request.form.lists() if name not in OWN_FIELDS}
    async with reading() as session:
        model = await models.find(session, process_id)
    if model.start_form and model.start_form.fields and not entered:  # asked for from a page that has no room for it
        return await model_page(process_id)
    try:
        async with transaction() as session:
            given = _corrections() | (entered if model.start_form else {})
            view = await instances.start(session, person, process_id, given, key=request.form.get("start_key") or None)
    except Invalid as error:
        return await model_page(process_id, entered=entered, errors=error.errors), 422
    mine = [task for task in view.tasks if lookup.may_take(person, task.candidate_roles, None)]
    if mine:
        return redirect(url_for("tasks.show", task_id=mine[0].id), 303)
    first = "Zeebe works on it" if view.engine == "zeebe" else "its first task is for others"
    flash(f"Case {view.case} was started; {first}.", "good")
    return redirect(url_for("instances.show", instance_id=view.id), 303)


@blueprint.get("/instances/<uuid:instance_id>")
@signed_in
async def show(instance_id: UUID) -> str:
    return await _page(instance_id)


@blueprint.post("/instances/<uuid:instance_id>/cancel")
@signed_in
async def cancel(instance_id: UUID) -> Response | tuple[str, int]:
    try:
        async with transaction() as session:
            await instances.cancel(session, actor(), instance_id, request.form.get("reason", ""))
    except Invalid as error:
        return await _page(instance_id, error.errors), 422
    flash("The instance was cancelled.", "good")
    return redirect(url_for("instances.show", instance_id=instance_id), 303)


@blueprint.post("/instances/<uuid:instance_id>/incidents/<int:n>/retry")
@allow(*MEND)
async def retry(instance_id: UUID, n: int) -> Response | tuple[str, int]:
    """Run an incident's element again; `variables` may hold corrections as a JSON object."""
    try:
        async with transaction() as session:
            await instances.retry(session, actor(), instance_id, n, _corrections())
    except Invalid as error:
        return await _page(instance_id, error.errors), 422
    flash("Tried again.", "good")
    return redirect(url_for("instances.show", instance_id=instance_id), 303)


@blueprint.get("/instances/<uuid:instance_id>/test-case")
@signed_in
async def test_case(instance_id: UUID) -> str | Response:
    """The instance as a test case, to look at or with `download` as a file."""
    async with reading() as session:
        made = await recording.record(session, actor(), instance_id)
    written = orjson.dumps(made.cases.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
    if "download" in request.args:
        name = f"{made.cases.process}.test.json"
        return Response(
            written + b"\n",
            content_type="application/json",
            headers={"Content-Disposition": f'attachment; filename="{secure_filename(name)}"'},
        )
    return render_template("test_case.html", made=made, written=written.decode(), instance_id=instance_id)


def _corrections() -> dict[str, object]:
    given = request.form.get("variables", "").strip()
    try:
        loaded = orjson.loads(given or "{}")
    except orjson.JSONDecodeError as error:
        raise Invalid({"variables": 'Write a JSON object, e.g. {"name": "value"}.'}) from error
    if not isinstance(loaded, dict) or "\\u0000" in given:
        raise Invalid({"variables": 'Write a JSON object, e.g. {"name": "value"}.'})
    return loaded


async def _events(session: Session, view: InstanceView) -> list[EventRow]:
    """The history: an instance on Zeebe is told by its case."""
    if view.engine == "zeebe":
        return await timeline.of_case(session, view.case)
    return await timeline.of_instance(session, view.case, view.id)


async def _page(instance_id: UUID, errors: dict[str, str] | None = None) -> str:
    person = actor()
    async with reading() as session:
        view = await instances.view(session, person, instance_id)
        model = await models.find(session, view.process_id, view.version)
        trace = await instances.trace(session, person, instance_id)
        events = await _events(session, view)
    return render_template(
        "instance.html",
        view=view,
        trace=trace,
        events=list(reversed(events)),
        names={element.id: element.name or element.id for element in model.elements.values()},
        progress=Progress(model, [(row.element_id, row.event) for row in trace], view),
        errors=errors or {},
        may_mend=person.has(*MEND),
    )
