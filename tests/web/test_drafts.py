"""Drafts of models: saved valid or not, never over somebody else's, drawn in one tab at a time, deployed from there."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from uuid import uuid4

from lxml import html
from sqlalchemy import text

from app.db.session import transaction
from app.web.blanks import blank
from tests import drawing
from tests.web.conftest import APPOINTMENT, Caller, Visitor, rows

FINE = drawing.sequence("Drawn", drawing.user_task("ask", drawing.field("f"), name="Ask"), name="A drawing").decode()
BROKEN = FINE[:300]
SCRIPT = FINE.replace("Ask", "&lt;script&gt;alert(1)&lt;/script&gt;")
Callers, Visitors = Callable[[str], Caller], Callable[[str], Visitor]


def given(xml: str = FINE, revision: int = 0, **further: object) -> dict[str, object]:
    return {"xml": xml, "file": "drawn.bpmn", "name": "A drawing", "revision": revision, **further}


async def test_a_draft_is_kept_as_it_was_left_even_where_it_is_no_xml(caller: Callers, visitor: Visitors) -> None:
    modeler = caller("modeler")
    assert modeler("PUT", "/drafts/Drawn", json=given(BROKEN))["revision"] == 1
    assert modeler("GET", "/drafts/Drawn")["xml"] == BROKEN
    page = visitor("modeler").get("/models/Drawn/edit").text
    assert "This text cannot be drawn" in page
    assert html.fromstring(page).xpath("string(//textarea)") == BROKEN
    assert [row.kind for row in await rows("select kind from case_event where kind like 'model.draft%'")] == [
        "model.draft-saved"
    ]


def test_a_save_over_somebody_elses_is_refused_with_who_and_when(caller: Callers) -> None:
    modeler, admin = caller("modeler"), caller("admin")
    modeler("PUT", "/drafts/Drawn", json=given())
    admin("PUT", "/drafts/Drawn", json=given(FINE.replace("Ask", "Asked"), 1))
    said = modeler("PUT", "/drafts/Drawn", 409, json=given(BROKEN, 1))
    assert said["revision"] == 2
    assert said["saved_by"]
    assert said["saved_by"] in said["detail"]
    assert said["saved_at"].startswith("20")
    assert "Asked" in modeler("GET", "/drafts/Drawn")["xml"]
    assert modeler("PUT", "/drafts/Drawn", json=given(BROKEN, 2))["revision"] == 3
    assert modeler("PUT", "/drafts/Drawn", 409, json=given())["revision"] == 3
    modeler("PUT", "/drafts/Unheard_of", 404, json=given(revision=7))
    modeler("GET", "/drafts/Unheard_of", 404)


def test_a_discarded_draft_can_be_brought_back(caller: Callers, visitor: Visitors) -> None:
    modeler, person = caller("modeler"), visitor("modeler")
    modeler("PUT", "/drafts/Drawn", json=given())
    person.post("/models/Drawn/edit/discard", 409, revision="4")
    person.post("/models/Drawn/edit/discard", 422, revision="")
    person.post("/models/Drawn/edit/discard", revision="1")
    modeler("GET", "/drafts/Drawn", 404)
    assert modeler("GET", "/drafts")["items"] == []
    assert "A draft was discarded by" in person.get("/models/Drawn/edit").text
    assert modeler("PUT", "/drafts/Drawn", 409, json=given(revision=1))["done"] == "discarded"
    person.post("/models/Drawn/edit/restore", revision="2")
    assert modeler("GET", "/drafts/Drawn")["xml"] == FINE
    assert modeler("DELETE", "/drafts/Drawn?revision=3")["revision"] == 4
    assert modeler("POST", "/drafts/Drawn/restore?revision=4")["revision"] == 5


def test_one_tab_draws_at_a_time_and_another_takes_over_by_saying_so(caller: Callers) -> None:
    modeler, admin = caller("modeler"), caller("admin")
    mine, theirs = str(uuid4()), str(uuid4())
    assert modeler("POST", "/drafts/Drawn/lock", json={"tab": mine})["mine"]
    said = admin("POST", "/drafts/Drawn/lock", json={"tab": theirs})
    assert (said["mine"], bool(said["by"]), bool(said["since"])) == (False, True, True)
    refused = admin("PUT", "/drafts/Drawn", 409, json=given(tab=theirs))
    assert refused["locked_by"] == said["by"]
    assert modeler("PUT", "/drafts/Drawn", json=given(tab=mine))["revision"] == 1
    assert admin("POST", "/drafts/Drawn/lock", json={"tab": theirs, "by_force": True})["mine"]
    assert not modeler("POST", "/drafts/Drawn/lock", json={"tab": mine})["mine"]
    modeler("PUT", "/drafts/Drawn", 409, json=given(BROKEN, 1, tab=mine))
    admin("DELETE", "/drafts/Drawn/lock", json={"tab": theirs})
    assert modeler("POST", "/drafts/Drawn/lock", json={"tab": mine})["mine"]


async def test_a_lock_ends_by_itself_when_its_tab_is_silent(caller: Callers) -> None:
    modeler, admin = caller("modeler"), caller("admin")
    mine, theirs = str(uuid4()), str(uuid4())
    modeler("POST", "/drafts/Drawn/lock", json={"tab": mine})
    async with transaction() as session:
        await session.execute(text("update model_lock set seen_at = now() - interval '1 minute'"))
    assert admin("POST", "/drafts/Drawn/lock", json={"tab": theirs})["mine"]
    taken = await rows("select kind from case_event where kind = 'model.draft-taken-over'")
    assert taken == []  # nobody was there to take it from


def test_a_check_names_the_elements_and_says_the_drawing_in_words(caller: Callers) -> None:
    modeler = caller("modeler")
    wrong = FINE.replace('type="string"', 'type="file"')
    said = modeler("POST", "/drafts/checks", json={"xml": wrong, "file": "drawn.bpmn"})
    assert not said["ok"]
    assert ("ask", "field-type") in [(one["element_id"], one["rule"]) for one in said["problems"]]
    assert [step["name"] for step in said["outline"]] == ["Start", "Ask", "End"]
    broken = modeler("POST", "/drafts/checks", json={"xml": BROKEN, "file": "drawn.bpmn"})
    assert [one["rule"] for one in broken["problems"]] == ["not-xml"]
    assert broken["outline"] == []


def test_what_cannot_be_kept_is_refused_by_name(caller: Callers) -> None:
    modeler = caller("modeler")
    modeler("PUT", "/drafts/Drawn", 413, json=given("x" * (2 * 1024 * 1024 + 1)))
    assert "empty" in modeler("PUT", "/drafts/Drawn", 422, json=given("  "))["errors"]["file"]
    modeler("PUT", "/drafts/Drawn", 422, json=given(engine="other"))
    modeler("PUT", f"/drafts/{'k' * 201}", 422, json=given())
    modeler("POST", f"/drafts/{'k' * 201}/lock", 422, json={"tab": str(uuid4())})
    modeler("POST", "/drafts/Drawn/lock", 422, json={"tab": "no tab"})
    caller("staff")("PUT", "/drafts/Drawn", 403, json=given())


def test_the_editor_opens_the_active_version_until_there_is_a_draft(caller: Callers, visitor: Visitors) -> None:
    modeler, person = caller("modeler"), visitor("modeler")
    page = html.fromstring(person.get(f"/models/{APPOINTMENT}/edit").text)
    deployed = page.xpath("string(//textarea)")
    assert APPOINTMENT in deployed
    assert page.xpath("string(//section[@id='editor']/@data-base)") == "1"
    assert "Doctor's Availability Form" in page.xpath("string(//ol[@id='outline'])")
    changed = deployed.replace("Data complete?", "All there?")
    modeler("PUT", f"/drafts/{APPOINTMENT}", json=given(changed, base_version=1))
    assert person.get(f"/models/{APPOINTMENT}/edit/file").text == changed
    files = {"file": (BytesIO(changed.encode()), "appointment.bpmn")}
    modeler("POST", "/deployments", 201, data=files)
    assert modeler("GET", "/drafts")["items"] == []  # deployed is no draft any more
    page = html.fromstring(person.get(f"/models/{APPOINTMENT}/edit").text)
    assert page.xpath("string(//section[@id='editor']/@data-base)") == "2"
    person.get("/models/Unheard_of/edit", 404)


def test_a_draft_is_handed_to_the_dry_run_and_to_the_deploy_page(caller: Callers, visitor: Visitors) -> None:
    modeler, person = caller("modeler"), visitor("modeler")
    modeler("PUT", "/drafts/Drawn", json=given())
    assert "Drawn" in html.fromstring(person.get("/models").text).xpath("string(//a[contains(@href, '/edit')]/@href)")
    assert "Every element was reached" in person.post("/models/dry-run", 200, draft="Drawn").text
    page = html.fromstring(person.post("/models/compare", 200, draft="Drawn").text)
    kept = page.xpath("string(//input[@name='kept']/@value)")
    assert person.post("/models", kept=kept).headers["Location"].endswith("/models/Drawn")
    person.post("/models/compare", 404, draft="Drawn")  # there is no draft any more


def test_without_javascript_a_file_is_loaded_into_the_draft(caller: Callers, visitor: Visitors) -> None:
    person = visitor("modeler")
    person.post("/models/Drawn/edit", file=(BytesIO(FINE.encode("utf-16")), "drawn.bpmn"), revision="0")
    assert caller("modeler")("GET", "/drafts/Drawn")["name"] == "A drawing"
    stale = person.post("/models/Drawn/edit", 409, file=(BytesIO(b"<x/>"), "drawn.bpmn"), revision="0")
    assert "saved this draft meanwhile" in stale.text
    assert "Choose a file first" in person.post("/models/Drawn/edit", 422, revision="1").text
    assert "Save the file as UTF-8" in person.post(
        "/models/Drawn/edit", 422, file=(BytesIO(b"\xff\x00\xfe\xfe"), "drawn.bpmn"), revision="1"
    ).text.replace("save", "Save")


def test_a_script_in_a_label_is_shown_as_text(caller: Callers, visitor: Visitors) -> None:
    caller("modeler")("PUT", "/drafts/Drawn", json=given(SCRIPT))
    page = visitor("modeler").get("/models/Drawn/edit").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_every_rule_has_an_address_in_the_guide(visitor: Visitors) -> None:
    page = html.fromstring(visitor("modeler").get("/help/modelling").text)
    assert page.xpath("//tr[@id='no-end-event']//td")[2].text_content() == "draw an end event"
    assert page.xpath("//h3[@id='the-drawing']")


def test_a_new_drawing_has_its_engine_and_is_not_stored(caller: Callers, visitor: Visitors) -> None:
    person, modeler = visitor("modeler"), caller("modeler")
    for engine, mark in (("spiff", "Camunda Platform"), ("zeebe", "Camunda Cloud"), ("dmn", "DMN/2")):
        page = html.fromstring(person.get(f"/models/new?engine={engine}").text)
        assert mark in page.xpath("string(//textarea)")
    assert modeler("GET", "/drafts")["items"] == []


def test_what_a_model_may_name_is_offered_with_what_it_is(caller: Callers) -> None:
    table = {"xml": blank("dmn", "Rooms"), "file": "rooms.dmn", "engine": "dmn", "revision": 0}
    caller("modeler")("PUT", "/drafts/Rooms", json=table)
    said = caller("modeler")("GET", "/names")
    offered = {kind: {one["name"]: one["says"] for one in names} for kind, names in said.items()}
    assert offered["functions"]["add_days(day, count)"].startswith("The date")
    assert not [name for name in offered["functions"] if name.startswith(("juel_", "feel_"))]
    assert "docid" in offered["lookups"]["free_times"]
    assert "book_appointment" in offered["effects"]
    assert "dams_appointment_queue" in offered["topics"]["temporal:AttendVisitWorkflow"]
    assert "http" in offered["topics"]
    assert offered["decisions"] == {"Decision_Rooms": "Decision"}


def test_the_tables_of_a_deployment_are_kept_for_the_next_change(caller: Callers, visitor: Visitors) -> None:
    modeler = caller("modeler")
    table = blank("dmn", "Seats").replace("<text></text>", "<text>x</text>").replace('name="" type', 'name="seat" type')
    rule = '<bpmn:businessRuleTask id="r" name="r" camunda:decisionRef="Decision_Seats" camunda:resultVariable="y" />'
    process = drawing.sequence("Seated", drawing.script("s", "x = 1"), rule)
    files = [(BytesIO(process), "seated.bpmn"), (BytesIO(table.encode()), "seats.dmn")]
    modeler("POST", "/deployments", 201, data={"file": files})
    assert [(one["key"], one["engine"], one["file"]) for one in modeler("GET", "/drafts")["items"]] == [
        ("Seats", "dmn", "seats.dmn")
    ]
    changed = process.replace(b'"1"', b'"2"').decode()
    assert modeler("POST", "/drafts/checks", json={"xml": changed, "file": "seated.bpmn"})["ok"]
    page = html.fromstring(visitor("modeler").get("/models/Seats/edit").text)
    assert "Decision decision" in " ".join(page.xpath("string(//ol[@id='outline'])").split())
