"""A decision table drawn in the browser, checked and deployed with the process that names it."""

from __future__ import annotations

from uuid import uuid4

from playwright.async_api import Browser, expect

from tests import drawing
from tests.browser.conftest import somebody
from tests.serving import Served

RULE = (
    '<bpmn:businessRuleTask id="decide" name="Decide" camunda:decisionRef="{decision}" camunda:resultVariable="seat" />'
)


async def test_a_table_is_drawn_checked_and_deployed_with_the_process_that_names_it(
    browser: Browser, served: Served
) -> None:
    async with somebody(browser, served) as person:
        await person.sign_in("modeler")
        page = await person.open("/models/new?engine=dmn")
        await expect(page.locator("#editor[data-ready]")).to_have_count(1)
        await expect(page.locator("#problems")).to_contain_text("decision-table")
        assert await person.faults() == []
        await expect(page.locator(".drawing .bjs-powered-by")).to_be_visible()
        await page.locator(".add-rule").first.click()
        await expect(page.locator("td.rule-index")).to_have_count(1)
        await page.get_by_role("button", name="Save draft").click()
        await expect(page.locator("#saved")).to_contain_text("Draft saved")
        await page.wait_for_url("**/edit")
        key = page.url.split("/")[-2]
        draft = served.call("GET", f"/drafts/{key}", "modeler")
        assert "<rule " in draft["xml"]
        filled = (
            draft["xml"]
            .replace("<text></text>", "<text>x</text>", 1)
            .replace("<text />", "<text>x</text>", 1)
            .replace('name="" typeRef', 'name="seat" typeRef')
        )
        rule = filled[filled.index("<rule ") : filled.index("</rule>")]
        told = rule.replace("<text>x</text>", "<text></text>")
        told = told.replace("<text></text>", '<text>"a"</text>').replace("<text />", '<text>"a"</text>')
        given = {"xml": filled.replace(rule, told), "file": draft["file"], "engine": "dmn", "name": "Seats"}
        mine = {"tab": str(uuid4())}
        served.call("POST", f"/drafts/{key}/lock", "modeler", json=mine | {"by_force": True})
        served.call("PUT", f"/drafts/{key}", "modeler", json=given | mine | {"revision": draft["revision"]})
    decision = f"Decision_{key}"
    process = drawing.sequence(
        "Seated", drawing.script("set", 'x = "a"'), RULE.format(decision=decision), name="With a table"
    ).decode()
    sent = {"xml": process, "file": "seated.bpmn", "name": "With a table", "revision": 0}
    served.call("PUT", "/drafts/Seated", "modeler", json=sent)
    async with somebody(browser, served, "390", java_script_enabled=False) as person:
        await person.sign_in("modeler")
        page = await person.open(f"/models/{key}/edit")
        await expect(page.get_by_role("region", name="In words")).to_contain_text("→")
        page = await person.open("/models/Seated/edit")
        await page.get_by_role("button", name="Compare and deploy").click()
        await page.get_by_label("Note").fill("a first table")
        await page.get_by_role("button", name="Deploy").click()
        await expect(page.get_by_role("status").first).to_contain_text("is deployed as version 1")
