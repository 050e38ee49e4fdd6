"""An appointment from the start page to its end, by mouse, by keyboard and without JavaScript, at both widths."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.conftest import Person, somebody
from tests.serving import APPOINTMENT, Served, visit


async def focused(page: Page) -> str:
    return await page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")


async def enter(page: Page, field: str, text: str) -> None:
    """Fill a field of a form, or choose in it; a date brings the page again, with the choices that hang on it."""
    at = page.locator(f"#f-{field}")
    if await at.evaluate("one => one.tagName") == "SELECT":
        if await at.get_by_role("option", name="First:").count():
            await page.get_by_role("button", name="Show choices").click()
        await at.select_option(text)
    else:
        await at.fill(text)


def start_button(page: Page) -> Locator:
    """That of this process: others of the same name may have been deployed."""
    return page.locator(f"form[action$='/{APPOINTMENT}/start'] button")


async def walk_by_mouse(page: Page) -> None:
    for title, entries in visit().items():
        await expect(page.locator("h1")).to_have_text(title)
        for field, text in entries.items():
            await enter(page, field, text)
        await page.get_by_role("button", name="Complete & next").click()


TYPED = {"docid": "Mina", "patientid": "Grace"}
"""What is typed to choose in a list: the beginning of what people read."""


async def tab_to(page: Page, wanted: str) -> None:
    for _ in range(80):
        if await focused(page) == wanted:
            return
        await page.keyboard.press("Tab")
    assert await focused(page) == wanted


async def walk_by_keyboard(page: Page) -> None:
    """Tab and keys only, from wherever the focus is."""
    for title, entries in visit().items():
        await expect(page.locator("h1")).to_have_text(title)
        for field, text in entries.items():
            if field == "time_scheduled":
                await page.wait_for_url("**#f-time_scheduled")  # leaving the date has brought its times
            await tab_to(page, f"f-{field}")
            if "date" in field:
                year, month, day = text.split("-")
                await page.keyboard.type(f"{month}{day}{year}")
                await expect(page.locator(f"#f-{field}")).to_have_value(text)
                await page.keyboard.press("Tab")  # to the calendar inside the field
                await page.keyboard.press("Tab")
            elif await page.locator(f"select#f-{field}").count():
                await page.keyboard.type(TYPED.get(field, text))
            else:
                await page.keyboard.press("Control+A")
                await page.keyboard.type(text)
        await tab_to(page, "Complete & next")
        await page.keyboard.press("Enter")


async def is_complete(page: Page) -> None:
    await page.wait_for_url("**/home")
    await expect(page.get_by_role("status").first).to_contain_text("is complete.")


async def test_an_appointment_is_made_by_mouse(staff: Person) -> None:
    await start_button(staff.page).click()
    await walk_by_mouse(staff.page)
    await is_complete(staff.page)


async def test_an_appointment_is_made_by_keyboard_alone(staff: Person) -> None:
    page = staff.page
    await page.keyboard.press("n")
    started = page.get_by_role("region", name="Start").get_by_role("button")
    await expect(started.first).to_be_focused()
    wanted = start_button(page)
    for _ in range(await started.count()):  # others may have been deployed that stand before it
        if await wanted.evaluate("one => one === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await expect(wanted).to_be_focused()
    await page.keyboard.press("Enter")
    await walk_by_keyboard(page)
    await is_complete(page)


@pytest_asyncio.fixture(loop_scope="session")
async def plain(browser: Browser, served: Served, size: str) -> AsyncIterator[Person]:
    """The front desk without JavaScript."""
    async with somebody(browser, served, size, java_script_enabled=False) as person:
        await person.sign_in("staff")
        yield person


async def test_an_appointment_is_made_without_javascript(plain: Person) -> None:
    page = plain.page
    await start_button(page).click()
    await expect(page.locator("svg.plain-diagram .d-now")).to_have_count(1)
    await walk_by_mouse(page)
    await is_complete(page)


async def test_errors_stand_beside_their_fields_and_in_a_summary_that_leads_to_them(staff: Person) -> None:
    page = staff.page
    await staff.open(f"/tasks/{staff.web.at_last_form()}")
    await page.get_by_label("Priority level").fill("very")
    await page.get_by_role("button", name="Complete & next").click()
    summary = page.get_by_role("alert")
    await expect(summary).to_contain_text("3 fields to mend")
    await expect(summary).to_be_focused()
    await expect(page.get_by_label("Priority level")).to_have_value("very")
    for name in ("patientid", "ticketid", "priority_level"):
        field = page.locator(f"#f-{name}")
        await expect(field).to_have_attribute("aria-invalid", "true")
        described = (await field.get_attribute("aria-describedby") or "").split()
        assert f"wrong-{name}" in described
        await expect(page.locator(f"#wrong-{name}")).to_be_visible()
    assert await staff.faults() == []
    await summary.get_by_role("link", name="Priority level").press("Enter")
    await expect(page.locator("#f-priority_level")).to_be_focused()
    await page.keyboard.press("Control+A")
    await page.keyboard.type("2")
    last = visit()["Patient Detail Form"]
    await enter(page, "patientid", last["patientid"])
    await enter(page, "ticketid", last["ticketid"])
    await page.get_by_role("button", name="Complete & next").click()
    await is_complete(page)


async def test_errors_are_shown_without_javascript(plain: Person) -> None:
    task = plain.web.start()["tasks"][0]["id"]
    await plain.open(f"/tasks/{task}")
    await plain.page.get_by_role("button", name="Complete & next").click()
    await expect(plain.page.get_by_role("alert")).to_contain_text("1 field to mend")
    await expect(plain.page.locator("#wrong-specialization")).to_have_text("Enter Specialization.")


async def test_who_loses_a_race_sees_who_was_first_and_what_counts(staff: Person) -> None:
    page = staff.page
    task = staff.web.start()["tasks"][0]["id"]
    await staff.open(f"/tasks/{task}")
    staff.web.complete(task, "doctor", specialization="Neurology")
    await page.locator("#f-specialization").select_option("Cardiology")
    await page.get_by_role("button", name="Complete & next").click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("This task was completed by Dr. Mina Sato.")
    await expect(alert).to_be_focused()
    form = page.get_by_role("region", name="Form")
    await expect(form).to_contain_text("Cardiology")
    await expect(form).to_contain_text("Neurology")
    assert await staff.faults() == []
    assert await staff.overflow() <= 0


async def test_the_diagram_shows_where_the_case_is(staff: Person) -> None:
    page = staff.page
    task = staff.web.start()["tasks"][0]["id"]
    task = staff.web.complete(task, specialization="Neurology")["tasks"][0]["id"]
    await staff.open(f"/tasks/{task}")
    current = page.locator(".djs-element.current")
    await expect(current).to_have_count(1)
    await expect(current).to_have_attribute("data-element-id", "Activity_SelectDoc")
    await expect(page.locator(".djs-element.done[data-element-id='Activity_SpecialDoc']")).to_have_count(1)
    await expect(page.locator(".plain-diagram")).to_be_hidden()
    step = page.locator(".steps [aria-current=step]")
    await expect(step).to_have_text("2 List Specialized Doctors")
    await page.get_by_text("The same in words").click()
    outline = page.locator("ol.outline li", has_text="now here")
    await expect(outline).to_contain_text("List Specialized Doctors")


async def test_a_draft_is_kept_by_itself_and_brought_back(staff: Person) -> None:
    page = staff.page
    task = staff.web.start()["tasks"][0]["id"]
    await staff.open(f"/tasks/{task}")
    await page.locator("#f-specialization").select_option("Neurology")
    await page.locator("#f-specialization").press("Tab")
    await expect(page.locator("#draft-note")).to_contain_text("Draft kept")
    await staff.open(f"/tasks/{task}")
    await expect(page.locator("#f-specialization")).to_have_value("Neurology")
    await expect(page.get_by_text("Your draft was brought back.")).to_be_visible()


async def test_claiming_and_releasing_from_the_inbox(staff: Person) -> None:
    page = staff.page
    case = staff.web.start()["case"]
    await staff.open(f"/home?search={case}")
    await page.get_by_role("button", name=f"Claim Doctor's Specialization Form, case {case}").click()
    await expect(page.get_by_role("button", name="Release to the group")).to_be_visible()
    await expect(page.locator(".crumbs")).to_contain_text("claimed by you")
    await staff.open(f"/home?search={case}&show=mine")
    await page.get_by_role("button", name=f"Open Doctor's Specialization Form, case {case}").click()
    await page.get_by_role("button", name="Release to the group").click()
    await expect(page.get_by_role("status").first).to_contain_text("open for its group again")


async def test_the_keys_move_open_and_claim(staff: Person) -> None:
    page = staff.page
    case = staff.web.start()["case"]
    staff.web.start()
    await staff.open("/home")
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.keyboard.type(case)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**search=**")
    await page.keyboard.press("j")
    await expect(page.locator("tr.chosen")).to_have_count(1)
    await page.keyboard.press("c")
    await expect(page.locator(".crumbs")).to_contain_text("claimed by you")
    await page.wait_for_load_state()  # who reads the page has its keys only when its script has run
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await staff.faults() == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_two_windows_of_one_person_keep_apart(browser: Browser, served: Served) -> None:
    async with somebody(browser, served) as person:
        await person.sign_in("staff")
        first, second = served.start()["tasks"][0]["id"], served.start()["tasks"][0]["id"]
        other = await person.context.new_page()
        await person.open(f"/tasks/{first}")
        await other.goto(f"{served.url}/tasks/{second}")
        await person.page.locator("#f-specialization").select_option("Cardiology")
        await other.locator("#f-specialization").select_option("Neurology")
        await person.page.get_by_role("button", name="Complete & next").click()
        await other.get_by_role("button", name="Complete & next").click()
        await expect(other.locator("h1")).to_have_text("List Specialized Doctors")
        await expect(person.page.locator("h1")).to_have_text("List Specialized Doctors")
        await expect(other.get_by_text("specialization = Neurology")).to_be_visible()
        await expect(person.page.get_by_text("specialization = Cardiology")).to_be_visible()


async def test_back_and_reload_are_safe(browser: Browser, served: Served) -> None:
    async with somebody(browser, served) as person:
        page = person.page
        await person.sign_in("staff")
        task = served.start()["tasks"][0]["id"]
        await person.open(f"/tasks/{task}")
        await page.locator("#f-specialization").select_option("Cardiology")
        await page.get_by_role("button", name="Complete & next").click()
        await expect(page.locator("h1")).to_have_text("List Specialized Doctors")
        await page.reload()
        await expect(page.locator("h1")).to_have_text("List Specialized Doctors")
        await page.go_back()
        await expect(page.locator("h1")).to_have_text("Doctor's Specialization Form")
        await expect(page.get_by_text("This task was completed by")).to_be_visible()


@pytest.mark.parametrize("user", ["staff", "patient"])
async def test_a_task_of_somebody_else_is_not_there(browser: Browser, served: Served, user: str) -> None:
    task = served.start()["tasks"][0]["id"]
    async with somebody(browser, served) as person:
        await person.sign_in(user)
        await person.open(f"/tasks/{task}")
        heading = (
            "Doctor's Specialization Form" if user == "staff" else "There is nothing here, or it is not yours to see"
        )
        await expect(person.page.locator("h1")).to_have_text(heading)


async def test_the_page_of_a_case_follows_what_happens_elsewhere(browser: Browser, served: Served, size: str) -> None:
    instance = served.start()
    async with somebody(browser, served, size) as person:
        await person.sign_in("staff")
        page = await person.open(f"/cases/{instance['case']}")
        await expect(page.locator("[data-followed]")).to_contain_text("live")
        entries = visit()
        title, second = [*entries][:2]
        await expect(page.locator("[data-part=open]")).to_contain_text(title)
        await page.evaluate("window.same = true")
        served.complete(instance["tasks"][0]["id"], **entries[title])
        await expect(page.locator("[data-part=open]")).to_contain_text(second)
        await expect(page.locator("[data-part=done]")).to_contain_text(f"completed “{title}”")
        assert await page.evaluate("window.same")
        await expect(page.locator(".canvas .djs-element.done")).not_to_have_count(1)
        assert await person.faults() == []
        assert await person.overflow() <= 0
