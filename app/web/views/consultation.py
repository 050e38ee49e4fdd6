"""A doctor's diagnosis: begin one, go on with those that are open."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from sqlalchemy import text
from werkzeug.wrappers import Response

from app.core.ids import uuid7
from app.db.session import reading, transaction
from app.engines.spiff import consultation, instances, worklist
from app.web.security import actor, allow

blueprint = Blueprint("consultation", __name__)


@blueprint.get("/doctor/diagnosis")
@allow("doctor")
async def show() -> str:
    async with reading() as session:
        page = await worklist.tasks(session, actor(), process_id=consultation.PROCESS)
    return render_template("consultation.html", page=page, key=str(uuid7()))


@blueprint.post("/doctor/diagnosis")
@allow("doctor")
async def begin() -> Response:
    """Start the process with the doctor's own number, and go to its first form."""
    person = actor()
    async with transaction() as session:
        number = await session.scalar(
            text("select empid from doctor where username = :name and status"), {"name": person.username}
        )
        known = {"docid": number} if number else {}
        key = request.form.get("start_key") or None
        view = await instances.start(session, person, consultation.PROCESS, known, key=key)
        if view.tasks:
            await worklist.claim(session, person, view.tasks[0].id)
    if not view.tasks:
        return redirect(url_for("instances.show", instance_id=view.id), 303)
    return redirect(url_for("tasks.show", task_id=view.tasks[0].id), 303)
