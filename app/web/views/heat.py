"""The heat map of a version: how many, how long, how often it failed, on the drawing and in a table."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from app.core.errors import Conflict
from app.db.session import reading
from app.engines.spiff import heat, models
from app.engines.spiff.heat import Heat
from app.web import diagram
from app.web.security import allow

blueprint = Blueprint("heat", __name__)
BY = {"count": "how many", "time": "how long", "failures": "how often it failed", "late": "how often too late"}


@blueprint.get("/models/<process_id>/heat")
@allow("modeler", "admin", "ops")
async def show(process_id: str) -> str:
    by = request.args.get("by", "count")
    by = by if by in BY else "count"
    asked = request.args.get("version", "")
    async with reading() as session:
        rows = await models.versions(session, process_id)
        active = next((row.version for row in rows if row.active), rows[0].version)
        version = int(asked) if asked.isdecimal() and len(asked) < 9 else active
        model = await models.find(session, process_id, version)
        if model.engine != "spiff":
            raise Conflict("Zeebe keeps what happened in this model to itself.")
        looked, found = await heat.of_version(session, model)
    found = [one for one in found if model.elements[one.element_id].type != "sequenceFlow"]
    drawing = diagram.draw(model, heat=_shades(found, by))
    return render_template(
        "heat.html", model=model, rows=rows, version=version, by=by, kinds=BY, looked=looked, found=found,
        drawing=drawing, newest=heat.NEWEST, spell=spell,
    )  # fmt: skip


def spell(seconds: float | None) -> str:
    """A duration in its two largest units, e.g. ``3 min 20 s``; "" for none."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    left, parts = round(seconds), list[str]()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= size or (parts and left):
            if left >= size:
                parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])


def _shades(found: list[Heat], by: str) -> dict[str, tuple[int, str]]:
    values = {one.element_id: _value(one, by) for one in found}
    most = max(values.values(), default=0.0)
    return {
        one.element_id: (max(1, round(values[one.element_id] / most * diagram.SHADES)), _label(one, by))
        for one in found
        if most and values[one.element_id]
    }


def _value(one: Heat, by: str) -> float:
    known = {"count": one.entered, "time": one.median or 0.0, "failures": one.failures, "late": one.late}
    return float(known[by])


def _label(one: Heat, by: str) -> str:
    known = {"count": one.entered, "time": spell(one.median), "failures": f"{one.failures:.0%}", "late": one.late}
    return str(known[by])
