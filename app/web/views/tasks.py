"""One task: its form, where it stands in the process, claim, release, draft, complete & next."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import Conflict, DamsError, Invalid
from app.core.ids import uuid7
from app.db.session import reading, transaction
from app.engines.spiff import lookup, models, single, timeline, worklist
from app.engines.spiff.records import InstanceView, TaskView
from app.web.progress import Progress
from app.web.security import actor, signed_in

blueprint = Blueprint("tasks", __name__)
OWN_FIELDS = ("csrf_token", "completion_key", "go_on", "look")


@blueprint.get("/tasks/<uuid:task_id>")
@signed_in
async def show(task_id: UUID) -> str:
    return await _page(task_id)


@blueprint.post("/tasks/<uuid:task_id>/claim")
@signed_in
async def claim(task_id: UUID) -> AnyResponse:
    async with transaction() as session:
        await worklist.claim(session, actor(), task_id)
    return redirect(url_for("tasks.show", task_id=task_id), 303)


@blueprint.post("/tasks/<uuid:task_id>/release")
@signed_in
async def release(task_id: UUID) -> AnyResponse:
    async with transaction() as session:
        await worklist.release(session, actor(), task_id)
    flash("The task is open for its group again.", "good")
    return redirect(url_for("home.show"), 303)


@blueprint.post("/tasks/<uuid:task_id>/draft")
@signed_in
async def draft(task_id: UUID) -> AnyResponse:
    async with transaction() as session:
        await worklist.save_draft(session, actor(), task_id, _entries())
    if request.headers.get("Accept") == "application/json":
        return Response(status=204)
    looked = request.form.get("look", "")[:200]
    if not looked:
        flash("Your entries are kept as a draft.", "good")
    return redirect(url_for("tasks.show", task_id=task_id, _anchor=f"f-{looked}" if looked else None), 303)


@blueprint.post("/tasks/<uuid:task_id>/assign")
@signed_in
async def assign(task_id: UUID) -> AnyResponse | tuple[str, int]:
    """Give the task to a colleague; 422 says beside the field why not."""
    try:
        async with transaction() as session:
            await worklist.reassign(session, actor(), task_id, request.form.get("assignee", "")[:20])
    except Invalid as error:
        return await _page(task_id, errors=error.errors), 422
    flash("The task is your colleague's now.", "good")
    return redirect(url_for("home.show"), 303)


@blueprint.post("/tasks/<uuid:task_id>/comments")
@signed_in
async def comment(task_id: UUID) -> AnyResponse | tuple[str, int]:
    try:
        async with transaction() as session:
            await worklist.comment(session, actor(), task_id, request.form.get("comment", ""))
    except Invalid as error:
        return await _page(task_id, errors=error.errors), 422
    return redirect(url_for("tasks.show", task_id=task_id, _anchor="history"), 303)


@blueprint.get("/tasks/<uuid:task_id>/choices")
@signed_in
async def choices(task_id: UUID) -> AnyResponse:
    """The choices of one field that hold what was typed; the page asks while somebody types."""
    wanted, search = request.args.get("field", ""), request.args.get("search", "")[:200]
    async with reading() as session:
        found = await worklist.find(session, actor(), task_id, wanted, search)
    return jsonify([{"id": one.id, "name": one.name} for one in found])


@blueprint.post("/tasks/<uuid:task_id>/complete")
@signed_in
async def complete(task_id: UUID) -> AnyResponse | tuple[str, int]:
    """303 to the next task of the instance that this person may do, else to the inbox; 422 and 409 keep the entries."""
    entered = _entries()
    try:
        key = request.form.get("completion_key") or None
        instance = await single.complete(actor(), task_id, entered, key=key)
    except Invalid as error:
        return await _page(task_id, entered=entered, errors=error.errors), 422
    except Conflict as lost:
        return await _page(task_id, entered=entered, lost=lost), 409
    return redirect(await _next(instance), 303)


def _entries() -> dict[str, Any]:
    """What was entered. A page sends "false" before each tick box, so the last value of a name counts."""
    return {name: values[-1] for name, values in request.form.lists() if name not in OWN_FIELDS}


async def _next(instance: InstanceView) -> str:
    person = actor()
    for task in instance.tasks:
        mine = lookup.may_take(person, task.candidate_roles, None) or task.assignee == person.username
        if mine and task.assignee in (None, person.username):
            return url_for("tasks.show", task_id=task.id)
    if instance.incidents:
        flash(f"Case {instance.case} needs attention: ops was told.", "bad")
    elif instance.status == "completed":
        flash(f"Case {instance.case} is complete.", "good")
    else:
        flash(f"Done. Case {instance.case} goes on elsewhere.", "good")
    return url_for("home.show")


async def _page(
    task_id: UUID,
    *,
    entered: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
    lost: DamsError | None = None,
) -> str:
    person = actor()
    async with reading() as session:
        task = await worklist.task(session, person, task_id, entered)
        model = await models.by_id(session, task.model_id)
        seen = await lookup.happened(session, task.row.case, task.row.instance_id)
        events = await timeline.of_instance(session, task.row.case, task.row.instance_id)
        others = await worklist.colleagues(session, person, task_id) if task.may_complete else []
    shown = entered if entered is not None else {**_defaults(task), **task.form_data, **(task.draft or {})}
    return render_template(
        "task.html",
        task=task,
        row=task.row,
        values=shown,
        errors=errors or {},
        lost=lost,
        progress=Progress(model, seen, task),
        events=list(reversed(events)),
        key=str(uuid7()),
        others=others,
        names={element.id: element.name or element.id for element in model.elements.values()},
        kept_draft=bool(task.draft) and entered is None,
    )


def _defaults(task: TaskView) -> dict[str, Any]:
    return {field["id"]: field["default"] for field in task.form if field["default"] is not None}
