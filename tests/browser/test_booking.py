"""A booking from the first page to the mail, by a patient and at the desk, at both widths; the database checked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Person, somebody
from tests.conftest import PASSWORD_OF_ALL
from tests.serving import Served, visit
from tests.waiting import until


async def is_sound(person: Person, name: str, size: str) -> None:
    """No finding of axe, no sideways scrolling; a picture where one is asked for."""
    await expect(person.page.locator("h1")).to_have_count(1)
    if folder := os.environ.get("DAMS_SCREENSHOTS"):
        await person.page.screenshot(path=Path(folder) / f"{name}-{size}.png")
    assert await person.faults() == []
    assert await person.overflow() <= 0


async def choose(page: Page, text: str) -> None:
    await page.get_by_role("radio", name=text).check()
    await page.get_by_role("button", name="Next").click()


def free_day() -> str:
    return visit()["Doctor's Availability Form"]["date_scheduled"]


async def go_to(page: Page, day: str) -> None:
    """The week of a day on the page of times, as its buttons for later weeks lead there."""
    await page.goto(f"{page.url}&from={day}")


def mentions(folder: Path, ticket: str) -> int:
    return sum(ticket in file.read_text() for file in folder.glob("*.eml"))


async def mailed(folder: Path, ticket: str, count: int) -> None:
    """Wait until the mail sink holds *count* mails about a ticket."""

    async def there() -> bool:
        return mentions(folder, ticket) >= count

    await until(there)


@pytest.mark.parametrize("user", ["patient", "staff"])
async def test_an_appointment_is_booked(browser: Browser, served: Served, size: str, user: str) -> None:
    async with somebody(browser, served, size) as person:
        await person.sign_in(user)
        page = person.page
        await person.follow("Book")
        await expect(page.locator("h1")).to_have_text("What kind of doctor?")
        await is_sound(person, "booking-1", size)
        await choose(page, "Cardiology")
        await expect(page.locator("h1")).to_have_text("Which doctor?")
        await expect(page.get_by_role("radio")).to_have_count(3)
        await is_sound(person, "booking-2", size)
        await choose(page, "Mina Sato")
        await expect(page.locator("h1")).to_have_text("When?")
        await is_sound(person, "booking-3", size)
        await go_to(page, free_day())
        await page.get_by_role("button", name="11:00").first.click()
        await expect(page.locator("h1")).to_have_text("For whom?")
        await is_sound(person, "booking-4", size)
        if user == "staff":
            await page.locator("#f-patientid").select_option("9")
        await page.get_by_role("button", name="Book", exact=True).click()
        await expect(page.locator("h1")).to_have_text("The appointment is booked")
        await is_sound(person, "booking-5", size)
        ticket = await page.locator("dt:has-text('Ticket') + dd").inner_text()
        (made,) = await served.rows("select * from appointment where ticketid = $1", ticket)
        assert (made["status"], made["patientid"]) == ("booked", 1 if user == "patient" else 9)
        async with page.expect_download() as saved:
            await page.get_by_role("button", name="Schedule as PDF").click()
        file = await (await saved.value).path()
        assert file.read_bytes().startswith(b"%PDF-")
        await mailed(served.mail, ticket, 2)


async def test_back_reload_and_a_dead_session_are_safe(browser: Browser, served: Served) -> None:
    async with somebody(browser, served, java_script_enabled=False) as person:
        await person.sign_in("staff")
        page = person.page
        await person.open("/doctor/patient")
        await expect(page.locator("h1")).to_have_text("What kind of doctor?")
        await choose(page, "Cardiology")
        await choose(page, "Mina Sato")
        await page.reload()
        await expect(page.locator("h1")).to_have_text("When?")
        await page.go_back()
        await expect(page.locator("h1")).to_have_text("Which doctor?")
        await choose(page, "Lucas Moreau")
        await expect(page.locator("h1")).to_have_text("When?")
        await expect(page.get_by_text("Lucas Moreau")).to_be_visible()
        where = page.url
        await person.context.clear_cookies()
        await page.goto(where)
        await page.fill("#username", "staff")
        await page.fill("#password", PASSWORD_OF_ALL)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.locator("h1")).to_have_text("When?")
        await go_to(page, free_day())
        await page.get_by_role("button", name="09:00").first.click()
        await expect(page.locator("h1")).to_have_text("For whom?")


async def test_a_taken_time_offers_the_three_nearest(browser: Browser, served: Served, size: str) -> None:
    day = free_day()
    async with somebody(browser, served, size) as first, somebody(browser, served, size) as second:
        for person, user in ((first, "staff"), (second, "doctor")):
            await person.sign_in(user)
            await person.open("/doctor/expertise")
            await choose(person.page, "Cardiology")
            await choose(person.page, "Mina Sato")
            await expect(person.page.locator("h1")).to_have_text("When?")
            await go_to(person.page, day)
        await first.page.get_by_role("button", name="12:00").first.click()
        await expect(first.page.locator("h1")).to_have_text("For whom?")
        await second.page.get_by_role("button", name="12:00").first.click()
        near = second.page.get_by_role("region", name="Nearest free times").get_by_role("button")
        await expect(near).to_have_count(3)
        await expect(second.page.get_by_role("alert")).to_be_focused()
        await is_sound(second, "booking-taken", size)
        await near.last.click()
        await expect(second.page.locator("h1")).to_have_text("For whom?")


async def test_the_pages_are_in_spanish_for_who_wants_them_so(browser: Browser, served: Served, size: str) -> None:
    async with somebody(browser, served, size) as person:
        await person.sign_in("patient")
        page = await person.open("/doctor/expertise")
        await page.get_by_role("button", name="Español").click()
        await expect(page.locator("h1")).to_have_text("¿Qué tipo de médico?")
        await page.get_by_role("radio", name="Cardiología").check()
        await page.get_by_role("button", name="Siguiente").click()
        await expect(page.locator("h1")).to_have_text("¿Qué médico?")
        await is_sound(person, "booking-es", size)
