"""A model drawn in the browser: by palette and keyboard, checked while it is drawn, saved, and deployed from there."""

from __future__ import annotations

from playwright.async_api import Browser, Locator, Page, expect

from tests import drawing
from tests.browser.conftest import Person, somebody
from tests.serving import APPOINTMENT, Served
from tests.waiting import until

MODEL = drawing.sequence("Shared", drawing.user_task("ask", drawing.field("f"), name="Ask"), name="Shared drawing")
LABELLED = MODEL.replace(b"Ask", b"&lt;img src=x onerror=alert(1)&gt;").replace(b'"Shared"', b'"Labelled"')
"""Without coordinates; `drawn` gives them."""


def drawn(model: bytes) -> str:
    """*model*, three elements in a row, with their places."""
    process = model.split(b'<bpmn:process id="')[1].split(b'"')[0].decode()
    places = {"start": (100, 100, 36, 36), "ask": (200, 78, 100, 80), "end": (360, 100, 36, 36)}
    shapes = "".join(
        f'<di:BPMNShape id="{key}_di" bpmnElement="{key}"><dc:Bounds x="{x}" y="{y}" width="{w}" height="{h}"/>'
        "</di:BPMNShape>"
        for key, (x, y, w, h) in places.items()
    )
    lines = "".join(
        f'<di:BPMNEdge id="{a}_{b}_di" bpmnElement="{a}_{b}"><way:waypoint x="{places[a][0] + places[a][2]}" y="118"/>'
        f'<way:waypoint x="{places[b][0]}" y="118"/></di:BPMNEdge>'
        for a, b in (("start", "ask"), ("ask", "end"))
    )
    spaces = (
        'xmlns:di="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" '
        'xmlns:way="http://www.omg.org/spec/DD/20100524/DI"'
    )
    diagram = f'<di:BPMNDiagram {spaces}><di:BPMNPlane bpmnElement="{process}">{shapes}{lines}</di:BPMNPlane>'
    return model.decode().replace("</bpmn:definitions>", f"{diagram}</di:BPMNDiagram></bpmn:definitions>")


def begin(web: Served, key: str, model: bytes = MODEL) -> str:
    """A draft of *model* under *key*; its page."""
    text = drawn(model).replace('"Shared"', f'"{key}"')
    given = {"xml": text, "file": f"{key}.bpmn", "name": "Shared drawing", "revision": 0}
    web.call("PUT", f"/drafts/{key}", "modeler", json=given)
    return f"/models/{key}/edit"


async def editor(person: Person, path: str) -> Page:
    page = await person.open(path)
    await expect(page.locator("#editor[data-ready]")).to_have_count(1)
    return page


def shape(page: Page, element: str) -> Locator:
    return page.locator(f'.djs-element[data-element-id="{element}"]')


async def append(page: Page, action: str) -> None:
    await page.locator(f'.djs-context-pad .entry[data-action="{action}"]').click()


async def write(page: Page, name: str) -> None:
    """Into the label that is open: keys that come before it has the focus go to the drawing."""
    label = page.locator(".djs-direct-editing-content")
    await expect(label).to_be_focused()
    await page.keyboard.type(name)
    await page.keyboard.press("Enter")
    await expect(label).to_have_count(0)


async def test_a_process_is_drawn_checked_saved_compared_and_deployed(browser: Browser, served: Served) -> None:
    async with somebody(browser, served) as person:
        await person.sign_in("modeler")
        page = await editor(person, "/models/new")
        await expect(page.get_by_text("The drawing tools are not here")).to_have_count(0)
        await expect(page.locator("#problems")).to_contain_text("no-end-event")
        await shape(page, "StartEvent_1").click()
        await append(page, "append.append-task")
        await write(page, "Ask the patient")  # a new element is named at once
        await append(page, "replace")
        await page.locator('.djs-popup .entry[data-id="replace-with-user-task"]').click()
        await page.locator(".properties").get_by_text("User assignment").click()
        assignee = page.get_by_role("textbox", name="Assignee")
        await assignee.fill("ana, bo")
        mark = page.locator(".djs-overlay .mark.error")
        await expect(mark).to_have_count(1)
        await mark.click()
        await expect(page.locator(".said")).to_contain_text("use candidateUsers")
        cure = page.locator(".said a")
        assert ((await cure.get_attribute("href")) or "").endswith("/help/modelling#camunda-assignment")
        await assignee.fill("")
        await expect(mark).to_have_count(0)
        await append(page, "append.end-event")
        await expect(page.locator(".djs-direct-editing-content")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator("#verdict")).to_have_text("No problem was found.")
        await expect(page.locator("#outline li")).to_have_count(3)
        await page.keyboard.press("Control+s")
        await expect(page.locator("#saved")).to_contain_text("Draft saved")
        await page.wait_for_url("**/edit")
        assert await person.faults() == []
        await page.get_by_role("button", name="Compare and deploy").click()
        await expect(page.locator("h1")).to_contain_text("new")
        await page.get_by_role("button", name="Deploy").click()
        await expect(page.get_by_role("status").first).to_contain_text("is deployed as version 1")


async def test_two_editors_of_one_draft_lose_nothing(browser: Browser, served: Served) -> None:
    path = begin(served, "Two_editors")
    async with somebody(browser, served) as first, somebody(browser, served) as second:
        await first.sign_in("modeler")
        await second.sign_in("admin")
        async with first.page.expect_response("**/lock"):  # otherwise the second may be there first
            mine = await editor(first, path)
        theirs = await editor(second, path)
        notes = theirs.locator("#editor-notes")
        await expect(notes).to_contain_text("is drawing this model")
        await rename(theirs, "ask", "Ask nicely")
        await theirs.get_by_role("button", name="Save draft").click()
        await expect(notes).to_contain_text("Yours is not lost")
        await notes.get_by_role("button", name="Take over").first.click()
        await expect(notes).not_to_contain_text("is drawing this model. What")
        await theirs.get_by_role("button", name="Save draft").click()
        await expect(theirs.locator("#saved")).to_contain_text("Draft saved")
        await rename(mine, "ask", "Ask again")
        await mine.get_by_role("button", name="Save draft").click()
        await expect(mine.locator("#editor-notes")).to_contain_text("Yours is not lost")
        async with mine.expect_download() as begun:
            await mine.get_by_role("button", name="Download mine").click()
        kept = await (await begun.value).path()
        assert "Ask again" in kept.read_text()
        assert "Ask nicely" in served.call("GET", "/drafts/Two_editors", "modeler")["xml"]


async def rename(page: Page, element: str, name: str) -> None:
    """By keyboard: the element is chosen, E opens its label."""
    await shape(page, element).click()
    await page.keyboard.press("e")
    await expect(page.locator(".djs-direct-editing-content")).to_be_focused()
    await page.keyboard.press("Control+a")
    await write(page, name)


async def test_a_problem_is_chosen_from_the_list_and_a_label_with_a_script_is_text(
    browser: Browser, served: Served
) -> None:
    wrong = LABELLED.replace(b'type="string"', b'type="file"')
    path = begin(served, "Labelled", wrong)
    async with somebody(browser, served) as person:
        await person.sign_in("modeler")
        page = await editor(person, path)
        entry = page.locator("#problems button", has_text="onerror=alert(1)")
        await entry.click()
        await expect(page.locator('.djs-element.selected[data-element-id="ask"]')).to_have_count(1)
        await page.locator(".djs-overlay .mark").click()
        await expect(page.locator("#outline")).to_contain_text("<img src=x")
        assert await page.locator("main img[src=x]").count() == 0
        assert await person.faults() == []


async def test_a_text_that_is_no_xml_can_be_mended_in_place(browser: Browser, served: Served) -> None:
    whole = drawn(MODEL).replace('"Shared"', '"Half"')
    given = {"xml": whole[:-20], "file": "Half.bpmn", "name": "Half", "revision": 0}
    served.call("PUT", "/drafts/Half", "modeler", json=given)
    async with somebody(browser, served) as person:
        await person.sign_in("modeler")
        page = await editor(person, "/models/Half/edit")
        await expect(page.locator("#source")).to_contain_text("This text cannot be drawn")
        await expect(page.locator("#problems")).to_contain_text("not-xml")
        await page.locator("#xml").fill(whole)
        await page.get_by_role("button", name="Draw it").click()
        await expect(shape(page, "ask")).to_be_visible()
        await page.get_by_role("button", name="Save draft").click()
        await expect(page.locator("#saved")).to_contain_text("Draft saved")
        assert served.call("GET", "/drafts/Half", "modeler")["xml"] == whole


async def test_a_phone_and_a_browser_without_scripts_get_the_picture_the_words_and_the_file(
    browser: Browser, served: Served
) -> None:
    for script in (True, False):
        async with somebody(browser, served, "390", java_script_enabled=script) as person:
            await person.sign_in("modeler")
            page = await person.open(f"/models/{APPOINTMENT}/edit")
            await expect(page.locator(".drawing svg.plain-diagram")).to_be_visible()
            await expect(page.get_by_role("region", name="In words")).to_contain_text("Patient Detail Form")
            await expect(page.locator("#download")).to_be_visible()
            assert await person.overflow() <= 0
            if script:
                assert await person.faults() == []
    key = "By_file"
    async with somebody(browser, served, "390", java_script_enabled=False) as person:
        await person.sign_in("modeler")
        page = await person.open(begin(served, key))
        changed = drawn(MODEL).replace('"Shared"', f'"{key}"').replace("Ask", "Loaded")
        await page.get_by_label("Load a file into this draft").set_input_files(
            {"name": "x.bpmn", "mimeType": "text/xml", "buffer": changed.encode()}
        )
        await page.get_by_role("button", name="Save as draft").click()
        await expect(page.get_by_role("region", name="In words")).to_contain_text("Loaded")


async def test_the_watermark_of_the_drawing_library_stays_in_view(browser: Browser, served: Served) -> None:
    async with somebody(browser, served) as person:
        await person.sign_in("modeler")
        page = await editor(person, f"/models/{APPOINTMENT}/edit")
        sign = page.locator(".bjs-powered-by")
        await expect(sign).to_be_visible()

        async def on_top() -> bool:
            return await sign.evaluate(
                """one => { const box = one.getBoundingClientRect();
                    return one.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)) }"""
            )

        await until(on_top)


async def test_names_are_chosen_in_the_panel_not_typed(browser: Browser, served: Served) -> None:
    path = begin(served, "Named", MODEL.replace(b'"Shared"', b'"Named"'))
    async with somebody(browser, served) as person:
        await person.sign_in("modeler")
        page = await editor(person, path)
        await shape(page, "ask").click()
        await page.get_by_label("What DAMS writes").select_option("register_patient")
        await page.get_by_label("Choices from the clinic: f").select_option("doctors")
        await append(page, "append.append-task")
        await write(page, "Work")
        await append(page, "replace")
        await page.locator('.djs-popup .entry[data-id="replace-with-service-task"]').click()
        await page.get_by_label("What does the work").select_option("temporal:AttendVisitWorkflow")
        await append(page, "replace")
        await page.locator('.djs-popup .entry[data-id="replace-with-script-task"]').click()
        await page.get_by_label("Put a function into the script").select_option("add_days(day, count)")
        assert await person.faults() == []
        await page.get_by_role("button", name="Save draft").click()
        await expect(page.locator("#saved")).to_contain_text("Draft saved")
        saved = served.call("GET", "/drafts/Named", "modeler")["xml"]
        assert '<camunda:property name="effect" value="register_patient" />' in saved
        assert '<camunda:property id="lookup" value="doctors" />' in saved
        assert "<bpmn:script>add_days(day, count)</bpmn:script>" in saved


async def test_palette_menus_and_panel_speak_the_readers_language(browser: Browser, served: Served) -> None:
    path = begin(served, "Spoken")
    async with somebody(browser, served) as person:
        await person.sign_in("modeler")
        await person.page.get_by_role("button", name="Español").click()
        page = await editor(person, path)
        tool = page.locator('.djs-palette .entry[data-action="hand-tool"]')
        await expect(tool).to_have_accessible_name("Herramienta mano")
        await shape(page, "ask").click()
        pad = page.locator('.djs-context-pad .entry[data-action="append.end-event"]')
        await expect(pad).to_have_accessible_name("Añadir evento de fin")
        general = page.locator(".bio-properties-panel-group-header-title", has_text="Documentación")
        await expect(general.first).to_be_visible()
        await append(page, "replace")
        await expect(page.locator(".djs-popup-search input")).to_be_focused()
        await page.keyboard.type("servicio")
        await expect(page.locator(".djs-popup .entry.selected")).to_contain_text("Tarea de servicio")
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Quién hace el trabajo")).to_be_visible()
        assert await person.faults() == []


async def test_a_token_runs_to_the_end_and_both_switches_take_mouse_and_key(browser: Browser, served: Served) -> None:
    path = begin(served, "Simulated")
    async with somebody(browser, served) as person:
        await person.sign_in("modeler")
        page = await editor(person, path)
        simulated, minimap = page.locator(".canvas .simulation"), page.locator(".djs-minimap.open")
        switch, toggle = page.locator(".bts-toggle-mode"), page.locator(".djs-minimap .toggle")
        await toggle.click()
        await expect(minimap).to_have_count(1)
        await switch.press("Enter")
        await expect(simulated).to_have_count(1)
        await page.get_by_title("Toggle Simulation Log").click()
        await page.locator('.djs-overlays[data-container-id="start"] .bts-context-pad[title="Trigger Event"]').click()
        log = page.locator(".bts-log .bts-entry")
        await expect(log.filter(has_text="Ask")).to_have_count(1)
        await expect(log.filter(has_text="finished")).to_have_count(1)
        assert await person.faults() == []
        await switch.click()
        await expect(simulated).to_have_count(0)
        await toggle.press("Enter")
        await expect(minimap).to_have_count(0)
