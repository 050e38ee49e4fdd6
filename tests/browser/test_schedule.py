"""The desk's day in a browser: book, move, mark, cancel, block; at both widths, also without JavaScript."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import date

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Person, somebody
from tests.serving import Served


@pytest_asyncio.fixture(loop_scope="session", params=[True, False], ids=["with script", "without script"])
async def desk(request: pytest.FixtureRequest, browser: Browser, served: Served, size: str) -> AsyncIterator[Person]:
    async with somebody(browser, served, size, java_script_enabled=request.param) as person:
        await person.sign_in("staff")
        yield person


async def book(page: Page, name: str = "cruz") -> None:
    """From a free time in the schedule to the booked appointment."""
    await page.get_by_role("button", name=re.compile("^Book Dr. Lucas Moreau, .*, 09:00$")).click()
    await expect(page.get_by_text("Held for you until")).to_be_visible()
    await page.get_by_role("searchbox").fill(name)
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("radio").first.check()
    await page.get_by_role("button", name="Book", exact=True).click()
    await expect(page.get_by_role("status").first).to_contain_text("Booked:")


async def test_a_day_at_the_desk(desk: Person, day: date) -> None:
    page = await desk.open(f"/schedule?day={day}&doctor=HSP-201")
    await book(page)
    row = page.locator(".visit", has_text="Ana Cruz")
    await row.get_by_role("button", name="Arrived: Ana Cruz, 09:00").click()
    await expect(page.locator(".visit", has_text="Ana Cruz")).to_contain_text("waiting")
    await page.get_by_role("button", name="In room: Ana Cruz, 09:00").click()
    await page.get_by_role("link", name=re.compile("^09:00 Ana Cruz")).click()
    await expect(page.locator("h1")).to_contain_text("in room")
    await page.get_by_role("button", name="Done").click()
    await expect(page.locator("h1")).to_contain_text("done")
    await page.get_by_role("button", name="Take the mark back").click()
    await expect(page.locator("h1")).to_contain_text("booked")
    await page.get_by_role("region", name="Move").locator("button.chip").first.click()
    await expect(page.get_by_role("status").first).to_contain_text("Moved to")
    await page.get_by_role("link", name=re.compile("Ana Cruz")).first.click()
    await page.get_by_text("Cancel this appointment").click()
    await page.get_by_label("Reason").fill("The patient travels")
    await page.get_by_role("button", name="Cancel the appointment").click()
    await expect(page.get_by_role("status").first).to_contain_text("Cancelled:")
    await expect(page.locator(".visit", has_text="Ana Cruz")).to_have_count(0)


async def test_time_is_blocked_and_given_back(desk: Person, day: date) -> None:
    page = await desk.open(f"/schedule?day={day}&doctor=HSP-201")
    await page.get_by_role("button", name="Block time").click()
    await page.get_by_label("From time").fill("09:00")
    await page.get_by_label("Until time").fill("08:00")
    await page.get_by_role("button", name="Block this time").click()
    await expect(page.get_by_role("alert")).to_contain_text("The end comes before the beginning.")
    await page.get_by_label("Until time").fill("10:00")
    await page.get_by_label("Reason").fill("Training")
    await page.get_by_role("button", name="Block this time").click()
    await expect(page.get_by_role("status").first).to_contain_text("The time is blocked.")
    await page.goto(f"{desk.web.url}/schedule?day={day}&doctor=HSP-201")
    await expect(page.locator(".visit.block")).to_contain_text("Training")
    await page.get_by_role("button", name=re.compile("^Unblock")).click()
    await expect(page.get_by_role("status").first).to_contain_text("free again")


async def test_a_taken_time_offers_the_three_nearest(browser: Browser, served: Served, size: str, day: date) -> None:
    async with somebody(browser, served, size) as first, somebody(browser, served, size) as second:
        await first.sign_in("staff")
        await second.sign_in("admin")
        late = await second.open(f"/schedule?day={day}&doctor=HSP-201")
        wanted = late.get_by_role("button", name=re.compile("^Book Dr. Lucas Moreau, .*, 09:00$"))
        await wanted.focus()  # what somebody holds is not renewed under their hands, however long the others take
        await book(await first.open(f"/schedule?day={day}&doctor=HSP-201"), "ito")
        await wanted.click()
        await expect(late.locator("h1")).to_have_text("This time is taken")
        assert await second.faults() == []
        assert await second.overflow() <= 0
        near = late.get_by_role("region", name="Nearest free times").get_by_role("button")
        await expect(near).to_have_count(3)
        await near.first.click()
        await expect(late.get_by_text("Held for you until")).to_be_visible()


async def test_what_another_desk_did_shows_by_itself_and_a_late_click_is_told(
    browser: Browser, served: Served, day: date
) -> None:
    async with somebody(browser, served) as first, somebody(browser, served) as second:
        await first.sign_in("staff")
        await second.sign_in("admin")
        page = await first.open(f"/schedule?day={day}&doctor=HSP-201")
        await book(page, "lim")
        other = await second.open(f"/schedule?day={day}&doctor=HSP-201")
        await page.get_by_role("button", name=re.compile("^Arrived:")).click()
        await expect(other.locator(".visit")).to_contain_text("waiting")
        await other.locator(".visit a").click()
        await expect(other.get_by_role("button", name="Done")).to_be_visible()
        await page.get_by_role("button", name=re.compile("^In room:")).click()
        await expect(page.locator(".visit")).to_contain_text("in room")
        await other.get_by_role("button", name="Done").click()
        await expect(other.get_by_role("alert")).to_contain_text("changed this appointment at")
        await expect(other.get_by_role("alert")).to_be_focused()


async def test_an_appointment_is_moved_in_the_schedule_by_keys_alone(
    browser: Browser, served: Served, day: date
) -> None:
    async with somebody(browser, served) as person:
        await person.sign_in("staff")
        page = await person.open(f"/schedule?day={day}&doctor=HSP-201")
        await book(page, "vance")
        await page.locator(".visit a").first.focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="Choose in the schedule").press("Enter")
        await expect(page.get_by_text("Moving ")).to_be_visible()
        target = page.get_by_role("button", name=re.compile("^Move here: .*, 10:00$")).first
        await target.press("Enter")
        await expect(page.get_by_role("status").first).to_contain_text("Moved to")
        await expect(page.get_by_role("status").first).to_contain_text("10:00")


async def test_the_schedule_is_sound_while_a_visit_is_being_moved(
    browser: Browser, served: Served, size: str, day: date
) -> None:
    async with somebody(browser, served, size) as person:
        await person.sign_in("staff")
        page = await person.open(f"/schedule?day={day}&doctor=HSP-201")
        await book(page, "vance")
        await page.locator(".visit a").first.click()
        await page.get_by_role("link", name="Choose in the schedule").click()
        await page.locator("select[name=doctor]").select_option("")  # every doctor: one may move it to another
        await page.get_by_role("button", name="Show", exact=True).click()
        await expect(
            page.get_by_role("button", name=re.compile("^Move here: Dr. (?!Lucas Moreau)")).first
        ).to_be_visible()
        assert await person.faults() == []
        assert await person.overflow() <= 0
