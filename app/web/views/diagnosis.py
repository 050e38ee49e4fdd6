"""The analysis of a patient's diagnoses: a doctor is chosen, a patient is named, Zeebe brings what was done."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import text

from app.core.actor import DESK
from app.core.errors import Conflict, NoAnswer, NotFound, Unavailable
from app.db.session import reading
from app.engines.spiff import models
from app.engines.zeebe import instances
from app.web.api.diagnosis import PROCESS, SECONDS
from app.web.security import actor, allow

blueprint = Blueprint("diagnosis", __name__)
_DOCTORS = text("""
    select empid, firstname || ' ' || lastname as name, specialization from doctor where status
    order by lastname, firstname
""")


@blueprint.get("/diagnosis")
@allow(*DESK)
async def form() -> str:
    return await _page({})


@blueprint.post("/diagnosis")
@allow(*DESK)
async def analyse() -> str | tuple[str, int]:
    """Ask and wait; a lost server or an incident is said on the page, with what was entered kept."""
    given = {name: request.form.get(name, "").strip()[:20] for name in ("docid", "patientid")}
    errors = _errors(given)
    if errors:
        return await _page(given, errors=errors), 422
    asked = {"docid": given["docid"], "patientid": int(given["patientid"])}
    try:
        async with reading() as session:
            model = await models.find(session, PROCESS)
        run_id, found = await instances.result_of(actor(), model, asked, "result", SECONDS)
    except NotFound:
        return await _page(given, problem="The diagnostics process is not deployed yet; a modeler can deploy it."), 404
    except (NoAnswer, Unavailable, Conflict) as error:
        return await _page(given, problem=error.detail), error.status
    return await _page(given, result=found, run_id=run_id)


def _errors(given: dict[str, str]) -> dict[str, str]:
    errors: dict[str, str] = {}
    if not given["docid"] or not given["docid"].isprintable():
        errors["docid"] = "Choose a doctor."
    if not (given["patientid"].isdecimal() and 0 < int(given["patientid"]) < 2**31):
        errors["patientid"] = "A patient's number, e.g. 12."
    return errors


async def _page(given: dict[str, str], **shown: Any) -> str:
    async with reading() as session:
        doctors = (await session.execute(_DOCTORS)).all()
    return render_template("diagnosis.html", doctors=doctors, given=given, **{"errors": {}, **shown})
