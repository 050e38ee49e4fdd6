"""A process from the first stroke to the migration of what runs: drawn, checked, tried, deployed, run, changed, moved.

Everything by the pages, with a real broker behind the step that Zeebe does. Only the message comes over the API: a
laboratory that sends it is a program.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from app.dev import frontend
from tests.browser.conftest import Person, somebody
from tests.conftest import RUN, running
from tests.serving import Served, serving
from tests.waiting import until, wait_until
from tests.zeebe import server as zeebe_server

DIAGNOSTICS = Path(__file__).resolve().parents[2] / "bpmn/zeebe/diagnostics.bpmn"
pytestmark = [pytest.mark.xdist_group("zeebe"), pytest.mark.engine, pytest.mark.timeout(900)]
AGES = (("< 18", '"Children"'), (">= 18", '"North"'))
"""The rules of the table: the age, and the room that it gives."""
NAME = "Visit of a patient"
CHECK = "if not age or age < 18:\n    raise BpmnError('MINOR')"


@pytest.fixture(scope="module")
def clinic(clinic_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The web with the run's broker and a worker of its jobs."""
    frontend.build(print)
    further = {
        "DAMS_ZEEBE__ADDRESS": zeebe_server.address(Path(os.environ[RUN]) / "zeebe"),
        "DAMS_ZEEBE__CALL_SECONDS": "100",
    }
    mail = tmp_path_factory.mktemp("mail")
    with serving(clinic_template, mail, **further) as web, running(["-m", "workers.zeebe"], web.environment):
        seen = "select 1 from worker_heartbeat where kind = 'zeebe-worker'"
        wait_until(lambda: asyncio.run(web.rows(seen)))  # a job type that no worker takes is a warning
        yield web


class Board:
    """The editor in a browser: elements by its keys, what they do by its panel."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.panel = page.locator(".properties")
        self.chosen = page.locator(".djs-shape.selected")
        self.label = page.locator(".djs-direct-editing-content")

    async def open(self) -> None:
        await expect(self.page.locator("#editor[data-ready]")).to_have_count(1)

    async def append(self, kind: str, name: str) -> str:
        """What follows the chosen element, by the keys A and what the list offers; its id. It is chosen then."""
        await self.page.locator(".canvas svg[tabindex]").first.focus()  # as Shift+Tab does out of the panel
        await self.page.keyboard.press("a")
        return await self._found(kind, name)

    async def border(self, host: str, kind: str, name: str) -> str:
        """An event on the border of *host*, put there by the mouse; its id."""
        await self.page.locator(".canvas svg[tabindex]").first.focus()
        box = await self.shape(host).locator(".djs-hit").first.bounding_box()
        assert box is not None
        await self.page.keyboard.press("n")
        await self._ask(kind)
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"]
        await self.page.mouse.move(x, y - 3, steps=4)
        await self.page.mouse.move(x, y, steps=4)
        await expect(self.shape(host)).to_have_class(re.compile("attach-ok"))
        await self.page.mouse.click(x, y)
        return await self._named(name)

    async def _found(self, kind: str, name: str) -> str:
        before = await self.chosen.get_attribute("data-element-id")
        await self._ask(kind)
        await expect(self.page.locator(f'.djs-shape.selected[data-element-id="{before}"]')).to_have_count(0)
        return await self._named(name)

    async def _ask(self, kind: str) -> None:
        await expect(self.page.locator(".djs-popup-search input")).to_be_focused()
        await self.page.keyboard.type(kind)
        await expect(self.page.locator(".djs-popup .entry.selected")).to_contain_text(kind)
        await self.page.keyboard.press("Enter")
        await expect(self.page.locator(".djs-popup")).to_have_count(0)

    async def write(self, name: str) -> None:
        """Into the label that is open."""
        await expect(self.label).to_be_focused()
        await self.page.keyboard.type(name)
        await self.page.keyboard.press("Enter")
        await expect(self.label).to_have_count(0)

    async def _named(self, name: str) -> str:
        await self.write(name)
        own = await self.chosen.get_attribute("data-element-id")
        assert own is not None
        return own

    def shape(self, own: str) -> Locator:
        return self.page.locator(f'.djs-shape[data-element-id="{own}"]')

    async def choose(self, own: str) -> None:
        """By the search of the drawing, which brings it into view."""
        name = await self.shape(own).text_content() or own
        await self.page.locator(".canvas svg[tabindex]").first.focus()
        await self.page.keyboard.press("Control+f")
        await expect(self.page.locator(".djs-search-input input")).to_be_focused()
        await self.page.keyboard.type(name.strip() or own)
        await self.page.keyboard.press("Enter")
        await expect(self.page.locator(f'.djs-shape.selected[data-element-id="{own}"]')).to_have_count(1)
        await expect(self.page.locator(".djs-search-input input")).to_be_hidden()
        await self.page.locator(".canvas svg[tabindex]").first.focus()  # the next key is for the drawing

    async def group(self, name: str) -> Locator:
        """A section of the panel, opened."""
        title = self.page.locator(".bio-properties-panel-group-header-title", has_text=re.compile(f"^{name}$"))
        found = self.panel.locator(".bio-properties-panel-group").filter(has=title)
        header = found.locator(".bio-properties-panel-group-header").first
        if "open" not in (await header.get_attribute("class") or "").split():
            await header.get_by_text(name, exact=True).click()
        return found

    async def entry(self, own: str) -> Locator:
        """An entry of the panel by the end of its name."""
        return self.panel.locator(f'[data-entry-id$="{own}"]').locator("input, select, textarea").last

    async def item(self, name: str) -> None:
        """One more item of a list of the panel, opened."""
        group = await self.group(name)
        items = group.locator(".bio-properties-panel-list-item")
        count = await items.count()
        await group.get_by_title("Create new list item").first.click()
        await expect(items).to_have_count(count + 1)
        one = items.nth(count).locator(".bio-properties-panel-collapsible-entry").first
        if "open" not in (await one.get_attribute("class") or "").split():
            await one.locator(".bio-properties-panel-collapsible-entry-header-title").first.click()

    async def field(self, name: str, label: str, kind: str) -> None:
        """One more field of the form."""
        await self.item("Form fields")
        await (await self.entry("-formFieldID")).fill(name)
        await (await self.entry("-formFieldLabel")).fill(label)
        await (await self.entry("-formFieldType")).select_option(kind)

    async def hand_over(self, name: str) -> None:
        """An input of the service task that is the variable of this name."""
        await self.item("Inputs")
        await (await self.entry("-name")).fill(name)
        await (await self.entry("-type")).select_option("stringOrExpression")
        await (await self.entry("-stringOrExpression")).fill(f"${{{name}}}")

    async def script(self, text: str) -> None:
        await self.group("Script")
        await (await self.entry("scriptType")).select_option("script")
        await (await self.entry("scriptFormat")).fill("python")
        await (await self.entry("scriptValue")).fill(text)


async def draw_table(person: Person) -> str:
    """Which room by the age: every cell typed into the table. What is still empty is marked until it is filled.

    The id of the decision.
    """
    page = await person.open("/models")
    await page.get_by_role("link", name="a decision table").click()
    await Board(page).open()
    broken = page.locator("th.input-cell[data-problem]")
    await expect(broken).to_have_count(1)
    await page.get_by_role("textbox", name="Decision name").fill("Room")
    await page.locator("th.input-cell").dblclick()
    await page.get_by_role("textbox", name="Input expression").fill("age")
    await page.keyboard.press("Escape")
    await page.locator("th.output-cell").dblclick()
    await page.get_by_role("textbox", name="Output name").fill("room")
    await page.keyboard.press("Escape")
    for number, rule in enumerate(AGES):
        await page.locator(".add-rule").first.click()
        cells = page.locator("tbody tr").nth(number).locator("td")
        for cell, text in zip((cells.nth(1), cells.nth(2)), rule, strict=True):
            await cell.click()
            await page.keyboard.type(text)
    await expect(broken).to_have_count(0)
    await expect(page.locator("#verdict")).to_have_text("No problem was found.")
    await page.get_by_role("button", name="Save draft").click()
    await expect(page.locator("#saved")).to_contain_text("Draft saved")
    await page.wait_for_url("**/edit")
    return f"Decision_{page.url.split('/')[-2]}"


async def deploy_diagnostics(person: Person) -> None:
    """What the analysis is done by, on the broker."""
    page = await person.open("/models")
    await page.get_by_label("Files").set_input_files(DIAGNOSTICS)
    await page.get_by_role("button", name="Check and deploy").click()
    await expect(page.get_by_role("status").first).to_contain_text("on Zeebe")


async def draw_process(page: Page, decision: str) -> dict[str, str]:
    """The whole process, drawn by keys and mouse and filled in by the panel; the ids of its elements."""
    board, ids = Board(page), {"start": "StartEvent_1"}
    await board.open()
    await board.group("General")
    await (await board.entry("name")).fill(NAME)
    await board.shape(ids["start"]).click()
    ids["enter"] = await board.append("User task", "Enter the visit")
    await (await board.group("Forms")).get_by_label("Type").select_option("formData")
    for field in (("docid", "Doctor", "string"), ("patientid", "Patient", "long"), ("age", "Age", "long")):
        await board.field(*field)
    ids["room"] = await board.append("Business rule task", "Choose the room")
    await board.panel.get_by_label("Decision table").select_option(decision)
    ids["analyse"] = await board.append("Service task", "Analyse")
    await board.panel.get_by_label("What does the work").select_option("zeebe:Process_Diagnostics")
    for name in ("docid", "patientid"):
        await board.hand_over(name)
    ids["check"] = await board.append("Script task", "Check the age")
    await board.script(CHECK.replace(":", ""))  # as one forgets it
    ids["young"] = await board.border(ids["check"], "Error boundary event", "Too young")
    await (await board.group("Error")).get_by_label("Global error reference").select_option("create-new")
    await (await board.entry("errorName")).fill("Too young")
    await (await board.entry("errorCode")).fill("MINOR")
    ids["call"] = await board.append("User task", "Call a guardian")
    ids["called"] = await board.append("End event", "Called")
    await board.choose(ids["check"])
    ids["pause"] = await board.append("Timer intermediate catch event", "A moment")
    await (await board.group("Timer")).get_by_label("Type").select_option("timeDuration")
    await (await board.entry("timerEventDefinitionValue")).fill("PT1S")
    ids["results"] = await board.append("Message intermediate catch event", "Results came")
    await (await board.group("Message")).get_by_label("Global message reference").select_option("create-new")
    await (await board.entry("messageName")).fill("results-came")
    ids["tell"] = await board.append("User task", "Tell the patient")
    ids["told"] = await board.append("End event", "Told")
    return ids


async def mend(page: Page, ids: dict[str, str]) -> None:
    """A slip is marked on the script that has it, with the cure; then nothing is wrong any more."""
    board = Board(page)
    problems = page.locator("#problems li")
    await expect(problems).to_have_count(1)
    await expect(problems).to_contain_text("script-syntax")
    await problems.get_by_role("button", name="Check the age").click()
    await expect(page.locator(f'.djs-shape.selected[data-element-id="{ids["check"]}"]')).to_have_count(1)
    mark = page.locator(f'.djs-overlays[data-container-id="{ids["check"]}"] .mark')
    await mark.click()
    await expect(page.locator(".said:visible")).to_contain_text("how to mend it")
    await board.script(CHECK)
    await expect(page.locator("#verdict")).to_have_text("No problem was found.")
    await expect(page.locator(".djs-overlays .mark")).to_have_count(0)


async def try_out(page: Page, process: str, ids: dict[str, str]) -> None:
    """The dry run reaches everything, and a test case of the whole way holds."""
    await page.get_by_role("button", name="Dry run").click()
    result = page.get_by_role("region", name="Result")
    await expect(result).to_contain_text("Every element was reached, and nothing failed.")
    await expect(result).to_contain_text("100 % of the elements")
    cases = json.dumps({"process": process, "cases": [_case(ids)]}).encode()
    await page.locator("#f-cases").set_input_files(
        {"name": "visit.test.json", "mimeType": "application/json", "buffer": cases}
    )
    await page.get_by_role("button", name="Play them").click()
    played = page.get_by_role("region", name="Test cases", exact=True).get_by_role("row").nth(1)
    await expect(played).to_contain_text("an adult is told")
    await expect(played).to_contain_text("holds")
    await expect(played).not_to_contain_text("does not hold")


def _case(ids: dict[str, str]) -> dict[str, object]:
    way = ("start", "enter", "room", "analyse", "check", "pause", "results", "tell", "told")
    return {
        "name": "an adult is told",
        "steps": [
            {"do": "form", "element": ids["enter"], "given": {"docid": "HSP-200", "patientid": "1", "age": "40"}},
            {"do": "job", "element": ids["analyse"], "given": {"result": "rest"}},
            {"do": "timer", "element": ids["pause"]},
            {"do": "message", "element": ids["results"]},
            {"do": "form", "element": ids["tell"], "given": {}},
        ],
        "path": [ids[one] for one in way],
        "data": {"room": "North"},
        "status": "completed",
    }


async def deploy(page: Page, version: int, note: str) -> None:
    await page.get_by_label("Note").fill(note)
    await page.get_by_role("button", name="Deploy").click()
    await expect(page.get_by_role("status").first).to_contain_text(f"is deployed as version {version}")


async def start(person: Person, process: str, age: int) -> str:
    """Somebody begins the process and fills in its first form; the page of the instance."""
    page = await person.open(f"/models/{process}")
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.locator("h1")).to_contain_text("Enter the visit")
    instance = await page.locator(".crumbs a[href^='/instances/']").get_attribute("href")
    assert instance is not None
    for label, value in (("Doctor", "HSP-200"), ("Patient", "1"), ("Age", str(age))):
        await page.get_by_role("textbox", name=label).fill(value)
    await page.get_by_role("button", name="Complete & next").click()
    await expect(page.locator("h1")).not_to_contain_text("Enter the visit")
    return instance


async def shows(person: Person, path: str, words: str) -> Page:
    """The page at *path*, opened again until it says so: the relay and the broker work on their own."""
    page = await person.open(path)

    async def shown() -> bool:
        await page.reload()
        return words in await page.locator("main").inner_text()

    await until(shown)
    return page


async def confirm(page: Page, task: str) -> None:
    await page.get_by_role("region", name="Open").get_by_role("link", name=task).click()
    await expect(page.locator("h1")).to_contain_text(task)
    await page.get_by_role("button", name="Confirm & next").click()
    await expect(page.locator("h1")).not_to_contain_text(task)


async def change(page: Page, ids: dict[str, str]) -> None:
    """In the second version the guardian is called a parent, and a letter is filed after the call."""
    board = Board(page)
    await board.open()
    await board.choose(ids["called"])
    await page.keyboard.press("Delete")
    await expect(board.shape(ids["called"])).to_have_count(0)
    await board.choose(ids["call"])
    await page.keyboard.press("e")
    await expect(board.label).to_be_focused()
    await page.keyboard.press("Control+a")
    await board.write("Call a parent")
    await board.append("User task", "File the letter")
    await board.append("End event", "Filed")
    await expect(page.locator("#verdict")).to_have_text("No problem was found.")


async def compare(page: Page) -> None:
    await page.get_by_role("button", name="Compare and deploy").click()
    differs = page.get_by_role("region", name="What differs")
    await expect(differs).to_contain_text("1 running instance stands on changed or removed elements")
    for name, kind in (("Call a parent", "changed"), ("File the letter", "added"), ("Called", "removed")):
        await expect(differs.get_by_role("row").filter(has_text=name).first).to_contain_text(kind)
    new = page.get_by_role("region", name="This file")
    await expect(new.locator(".d-node.d-done")).to_have_count(2)
    await expect(new.locator(".d-node.d-now")).to_have_count(1)
    await expect(page.get_by_role("region", name="Version 1").locator(".d-node.d-trouble")).to_have_count(1)


async def move(person: Person, process: str) -> None:
    """Who runs on the first version is tried, and moved to the second."""
    page = await person.open(f"/models/{process}")
    await page.get_by_role("button", name="Move running instances").click()
    trial = page.get_by_role("region", name="What would happen")
    await expect(trial).to_contain_text("all that were tried can be moved")
    await page.get_by_label("Why they are moved").fill("A letter is filed now")
    await page.get_by_role("button", name="Move 1 instance").click()
    await expect(page.locator("h1")).to_contain_text("done")
    await expect(page.locator("main")).to_contain_text("1 moved, 0 stayed")


async def test_a_process_is_drawn_checked_tried_deployed_run_changed_compared_and_moved(
    browser: Browser, clinic: Served
) -> None:
    async with somebody(browser, clinic) as modeler, somebody(browser, clinic) as desk:
        await modeler.sign_in("modeler")
        await desk.sign_in("staff")
        await deploy_diagnostics(modeler)
        decision = await draw_table(modeler)
        page = await modeler.open("/models/new")
        ids = await draw_process(page, decision)
        await mend(page, ids)
        await page.keyboard.press("Control+s")
        await expect(page.locator("#saved")).to_contain_text("Draft saved")
        await page.wait_for_url("**/edit")
        process = page.url.split("/")[-2]
        await try_out(page, process, ids)
        await page.get_by_role("button", name="Compare").click()
        await deploy(page, 1, "the first")

        adult = await start(desk, process, 40)
        child = await start(desk, process, 9)
        await shows(desk, adult, "results-came")
        clinic.call("POST", "/messages", json={"name": "results-came"})
        await confirm(await shows(desk, adult, "Tell the patient"), "Tell the patient")
        told = await shows(desk, adult, "completed")
        await expect(told.get_by_role("region", name="Values")).to_contain_text("North")
        await shows(desk, child, "Call a guardian")

        page = await modeler.open(f"/models/{process}")
        await page.get_by_role("button", name="Draw", exact=True).click()
        await change(page, ids)
        await compare(page)
        await deploy(page, 2, "a letter is filed")
        await move(modeler, process)
        await confirm(await shows(desk, child, "Call a parent"), "Call a parent")
        await confirm(await shows(desk, child, "File the letter"), "File the letter")
        over = await shows(desk, child, "completed")
        await expect(over.locator("main")).to_contain_text("version 2")
        await expect(over.get_by_role("region", name="Values")).to_contain_text("Children")
