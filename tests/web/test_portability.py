"""The report on the other engine, and the draft that is taken from it."""

from __future__ import annotations

from collections.abc import Callable

from app.core.root import ROOT
from tests.web.conftest import APPOINTMENT, Caller, Visitor, rows

MODEL = ROOT / "bpmn/spiff/appointment.bpmn"


async def test_a_model_is_told_about_zeebe_and_taken_there_as_a_draft(
    caller: Callable[[str], Caller], visitor: Callable[[str], Visitor]
) -> None:
    caller("modeler").deploy(MODEL.read_bytes(), name=MODEL.name)
    person = visitor("modeler")
    assert "On Zeebe" in person.get(f"/models/{APPOINTMENT}").text
    page = person.get(f"/models/{APPOINTMENT}/portability").text
    assert "2 things would have to be mended by hand." in page
    assert "condition: =proceed" in page
    taken = person.post(f"/models/{APPOINTMENT}/portability")
    assert taken.location == f"/models/{APPOINTMENT}_on_zeebe/edit"
    [draft] = await rows("select key, engine, file, xml from model_draft")
    assert (draft.key, draft.engine, draft.file) == (f"{APPOINTMENT}_on_zeebe", "zeebe", "appointment-zeebe.bpmn")
    assert f'id="{APPOINTMENT}_on_zeebe"' in draft.xml
    assert "already" in person.post(f"/models/{APPOINTMENT}/portability", 409).text
    visitor("ops").get(f"/models/{APPOINTMENT}/portability")
    visitor("patient").get(f"/models/{APPOINTMENT}/portability", 403)
    person.get("/models/Nothing/portability", 404)
