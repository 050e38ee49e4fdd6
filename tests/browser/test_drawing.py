"""The drawing of a model beside a case: readable on a phone, and the server's own where the other does not come."""

from __future__ import annotations

from playwright.async_api import Browser, expect

from tests.browser.conftest import somebody
from tests.serving import Served, visit


async def test_a_drawing_on_a_phone_is_large_enough_to_read_and_shows_where_the_token_is(
    browser: Browser, served: Served
) -> None:
    begun = served.start()
    for entries in list(visit().values())[:3]:
        begun = served.complete(begun["tasks"][0]["id"], **entries)
    async with somebody(browser, served, "390") as person:
        await person.be("staff")
        page = await person.open(f"/cases/{begun['case']}")
        box, token = page.locator("[data-xml]"), page.locator(".djs-element.current")
        await expect(token).to_be_in_viewport()
        around, own = await box.bounding_box(), await token.bounding_box()
        assert around is not None
        assert own is not None
        assert around["x"] < own["x"] < own["x"] + own["width"] < around["x"] + around["width"]
        assert own["width"] > 100 * 0.55  # of the 100 that a task is wide
        logo = await page.locator(".bjs-powered-by").bounding_box()
        assert logo is not None
        assert around["x"] < logo["x"] < around["x"] + around["width"]
        assert await person.faults() == []
        assert await person.overflow() <= 0


async def test_a_drawing_that_does_not_come_leaves_that_of_the_server(browser: Browser, served: Served) -> None:
    async with somebody(browser, served) as person:
        await person.be("staff")
        await person.page.route("**/xml", lambda route: route.abort())
        async with person.page.expect_event("requestfailed"):
            page = await person.open(f"/instances/{served.start()['id']}")
        await page.evaluate("new Promise(done => setTimeout(done))")  # what a script throws is known by then
        await expect(page.locator("[data-xml] .plain-diagram")).to_be_visible()
        await expect(page.locator("[data-xml] .canvas")).to_have_count(0)
