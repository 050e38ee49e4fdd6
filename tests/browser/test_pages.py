"""Every page at both widths: axe finds nothing, nothing scrolls sideways, and it works without JavaScript."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from playwright.async_api import Browser, expect

from tests import drawing
from tests.browser.conftest import open_day, somebody
from tests.serving import APPOINTMENT, Served
from tests.waiting import until

OPEN_DAY = open_day(2)

BROKEN = drawing.sequence(
    "Stops",
    drawing.user_task("t", drawing.field("f"), name="Ask", attributes='camunda:candidateGroups="staff"'),
    drawing.script("s", "x = missing + 1"),
    name="A process that stops",
)
OVER = drawing.sequence("Over", drawing.script("s", "x = 1"), name="A process that is over at once")
KINDS = drawing.sequence(
    "Every_kind_of_field",
    drawing.user_task(
        "t",
        drawing.field("text", required=True, label="A text"),
        drawing.field("whole", "long", label="A whole number"),
        drawing.field("part", "double", label="A number"),
        drawing.field("truth", "boolean", label="Yes or no"),
        drawing.field("day", "date", label="A day"),
        name="Every kind of field",
        attributes='camunda:candidateGroups="staff" camunda:dueDate="2026-01-05T10:00:00Z"',
    ),
    drawing.manual_task("by_hand"),
    name="Every kind of field",
)


def first_task(web: Served) -> str:
    return f"/tasks/{web.start()['tasks'][0]['id']}"


def instance(web: Served) -> str:
    return f"/instances/{web.start()['id']}"


def stopped(web: Served) -> str:
    web.deploy(BROKEN)
    begun = web.start("Stops")
    web.complete(begun["tasks"][0]["id"])
    return f"/instances/{begun['id']}"


def every_field(web: Served) -> str:
    web.deploy(KINDS)
    return f"/tasks/{web.start('Every_kind_of_field')['tasks'][0]['id']}"


def finished(web: Served) -> str:
    task = web.start()["tasks"][0]["id"]
    web.complete(task, specialization="Neurology")
    return f"/tasks/{task}"


def completed(web: Served) -> str:
    web.deploy(OVER)
    return f"/instances/{web.start('Over')['id']}/test-case"


def moving(web: Served) -> str:
    """A migration with one instance that was moved and one that stayed."""
    process = f"Move{next(_numbers)}"
    web.deploy(drawing.sequence(process, drawing.user_task("ask"), drawing.user_task("check")))
    web.start(process)
    web.complete(web.start(process)["tasks"][0]["id"], "admin")
    web.deploy(drawing.sequence(process, drawing.user_task("ask"), drawing.user_task("verify")))
    plan = {"from_version": 1, "to_version": 2, "elements": {}, "reason": "the form asks for more"}
    begun = web.call("POST", f"/models/{process}/migrations", "modeler", json=plan)
    return f"/models/{process}/migrations/{begun['id']}"


_numbers = itertools.count()


PAGES: dict[str, tuple[str, str | Callable[[Served], str]]] = {
    "sign-in": ("", "/login"),
    "home": ("staff", "/home"),
    "home of a patient": ("patient", "/home"),
    "nothing found": ("staff", "/home?search=nothing-like-this"),
    "task": ("staff", first_task),
    "task with every field": ("staff", every_field),
    "diagnosis": ("doctor", "/doctor/diagnosis"),
    "sign-up": ("admin", "/signup"),
    "sign up oneself": ("", "/register"),
    "booking": ("patient", "/doctor/expertise"),
    "finished task": ("staff", finished),
    "instances": ("ops", "/instances"),
    "no instance": ("ops", "/instances?case=none"),
    "instance": ("staff", instance),
    "case": ("staff", lambda web: f"/cases/{web.start()['case']}"),
    "instance with an incident": ("ops", stopped),
    "models": ("modeler", "/models"),
    "model": ("modeler", f"/models/{APPOINTMENT}"),
    "compare": ("modeler", f"/models/{APPOINTMENT}/compare"),
    "portability": ("modeler", f"/models/{APPOINTMENT}/portability"),
    "heat map": ("modeler", f"/models/{APPOINTMENT}/heat"),
    "move instances": ("modeler", f"/models/{APPOINTMENT}/migrate"),
    "migration": ("modeler", moving),
    "back": ("ops", lambda web: f"{instance(web)}/back"),
    "test case": ("modeler", completed),
    "dry run": ("modeler", f"/models/{APPOINTMENT}/dry-run"),
    "guide": ("modeler", "/help/modelling"),
    "operations": ("ops", "/ops?q=nothing"),
    "schedules": ("ops", "/schedules"),
    "connections": ("admin", "/connections"),
    "payment": ("staff", "/payment/start"),
    "pipelines": ("ops", "/pipelines"),
    "analysis": ("staff", "/diagnosis"),
    "mail": ("admin", "/dev/mail"),
    "schedule of a day": ("staff", f"/schedule?day={OPEN_DAY}"),
    "schedule of a week": ("doctor", f"/schedule?day={OPEN_DAY}&view=week"),
    "schedule of a closed day": ("staff", "/schedule?day=2027-12-25"),
    "book": ("staff", f"/schedule/book?doctor=HSP-201&day={OPEN_DAY}&time=09:30&q=an"),
    "walk-in": ("staff", "/schedule/walk-in?q=cruz"),
    "block time": ("doctor", f"/schedule/block?doctor=HSP-200&from_day={OPEN_DAY}"),
    "visit": ("staff", "/schedule/visits/DEMO-003"),
    "waiting list": ("staff", "/waiting?q=cruz"),
    "day sheet": ("staff", f"/schedule/sheet?day={OPEN_DAY}&doctor=HSP-201"),
    "my visits": ("patient", "/my"),
    "my visit": ("patient", "/my/visits/DEMO-001"),
    "patients": ("staff", "/patients?q=an"),
    "patient": ("doctor", "/patients/1"),
    "doctors": ("staff", "/doctors"),
    "doctor": ("staff", "/doctors/HSP-201"),
    "clinic": ("admin", "/clinic"),
    "diagnoses": ("doctor", "/diagnoses"),
    "payments": ("staff", "/payments"),
    "requests": ("staff", "/requests"),
    "accounts": ("admin", "/admin"),
    "account": ("admin", "/admin/users/staff"),
    "not found": ("staff", "/nothing/here"),
    "refused": ("patient", "/models"),
    "API": ("", "/api/v1/docs"),
}
"""Who opens it and where it is; a page of yours is one more line."""


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_is_sound_at_both_widths(browser: Browser, served: Served, size: str, name: str) -> None:
    user, where = PAGES[name]
    path = where if isinstance(where, str) else where(served)
    async with somebody(browser, served, size) as person:
        if user:
            await person.be(user)
        page = await person.open(path)
        await expect(page.locator("h1")).to_have_count(1)
        if await page.locator("[data-xml] .plain-diagram").count():
            await expect(
                page.locator("[data-xml] .plain-diagram")
            ).to_be_hidden()  # the drawing of bpmn-js has taken its place
        assert await person.faults() == []
        assert await person.overflow() <= 0
        assert await page.evaluate("document.title.includes('DAMS')")
        assert await small_targets(person.page) == []


async def test_a_move_under_way_is_followed_without_the_page_being_loaded_again(
    browser: Browser, served: Served, size: str
) -> None:
    async with somebody(browser, served, size) as person:
        await person.be("modeler")
        path = moving(served)
        page = await person.open(path)
        await page.evaluate("window.stays = true")
        await expect(page.locator("h1")).to_contain_text("done")
        await expect(page.get_by_role("region", name="What stayed")).to_contain_text("Map it to an element")
        assert await page.evaluate("window.stays")
        assert await person.faults() == []


async def test_a_ticked_box_looks_ticked(browser: Browser, served: Served) -> None:
    async with somebody(browser, served, "1280") as person:
        await person.sign_in("admin")
        page = await person.open("/connections")
        colour = "one => getComputedStyle(one).backgroundColor"
        box = page.get_by_label("Models may call it too")
        before = await box.evaluate(colour)
        await box.check()
        await expect(box).not_to_have_css("background-color", before)


async def small_targets(page: object) -> list[str]:
    """Buttons and links standing alone that a finger would miss (WCAG 2.2, 2.5.8: 24 px)."""
    return await page.evaluate(  # pyright: ignore[reportAttributeAccessIssue]
        """() => [...document.querySelectorAll('button, [role=button], input, select, summary, nav a')]
             .filter(one => one.offsetParent && !['hidden', 'radio', 'checkbox'].includes(one.type))
             .filter(one => one.getBoundingClientRect().height < 24)
             .map(one => one.outerHTML.slice(0, 120))"""
    )


@pytest.mark.parametrize("name", [name for name in PAGES if name != "API"])
async def test_a_page_says_the_same_without_javascript(browser: Browser, served: Served, name: str) -> None:
    user, where = PAGES[name]
    path = where if isinstance(where, str) else where(served)
    async with somebody(browser, served, "390", java_script_enabled=False) as person:
        if user:
            await person.be(user)
        page = await person.open(path)
        await expect(page.locator("h1")).to_have_count(1)
        await expect(page.locator("main")).to_be_visible()
        if await page.locator("[data-xml]").count():
            await expect(page.locator("[data-xml] > :is(svg, p)")).to_be_visible()


async def test_the_first_tab_leads_past_the_menu(browser: Browser, served: Served) -> None:
    async with somebody(browser, served) as person:
        await person.sign_in("staff")
        page = person.page
        await page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        await expect(skip).to_be_focused()
        await expect(skip).to_be_in_viewport()
        await page.keyboard.press("Enter")
        await expect(page.locator("#main")).to_be_focused()


@pytest.mark.parametrize("script", [True, False])
async def test_the_menu_of_a_phone_opens_by_a_key_and_leads_on(browser: Browser, served: Served, script: bool) -> None:
    async with somebody(browser, served, "390", java_script_enabled=script) as person:
        await person.sign_in("staff")
        page = person.page
        header = page.locator("body > header")
        bounds = await header.bounding_box()
        assert bounds is not None
        assert bounds["height"] < 70  # one line
        link = header.get_by_role("link", name="Patients")
        await expect(link).to_be_hidden()
        await header.get_by_role("button", name="Menu").press("Enter")
        await expect(link).to_be_visible()
        if script:
            assert await person.faults() == []
            assert await person.overflow() <= 0
            await page.keyboard.press("Escape")
            await expect(link).to_be_hidden()
            await header.get_by_role("button", name="Menu").press("Enter")
        await link.press("Enter")
        await expect(page.locator("h1")).to_contain_text("atient")


async def test_what_has_the_focus_can_be_seen(browser: Browser, served: Served) -> None:
    async with somebody(browser, served) as person:
        await person.sign_in("staff")
        page = await person.open(first_task(served))
        for _ in range(25):
            await page.keyboard.press("Tab")
            width = await page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
            where = await page.evaluate("document.activeElement.outerHTML.slice(0, 100)")
            assert where.startswith("<body") or float(width.removesuffix("px")) >= 2, where


async def test_an_incident_is_corrected_and_goes_on(browser: Browser, served: Served) -> None:
    async with somebody(browser, served) as person:
        await person.sign_in("ops")
        page = await person.open(stopped(served))
        await expect(page.get_by_role("region", name="Incident 1")).to_contain_text("missing")
        await page.get_by_label("Corrections").fill("not json")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("alert")).to_contain_text("Write a JSON object")
        await page.get_by_label("Corrections").fill('{"missing": 41}')
        await page.get_by_role("button", name="Try again").click()
        await expect(page.locator("h1")).to_contain_text("completed")


async def test_a_case_is_cancelled_with_a_reason(browser: Browser, served: Served) -> None:
    async with somebody(browser, served, "390") as person:
        await person.sign_in("staff")
        page = await person.open(instance(served))
        await page.get_by_text("Cancel this case").click()
        await page.get_by_label("Reason").fill("The patient has moved")
        await page.get_by_role("button", name="Cancel the case").click()
        await expect(page.locator("h1")).to_contain_text("cancelled")
        await expect(page.get_by_role("region", name="History")).to_contain_text("The patient has moved")


async def test_a_model_is_deployed_and_a_broken_one_refused(browser: Browser, served: Served, size: str) -> None:
    async with somebody(browser, served, size) as person:
        await person.sign_in("modeler")
        page = await person.open("/models")
        broken = BROKEN.replace(b"x = missing + 1", b"import os")
        await page.get_by_label("Files").set_input_files(
            {"name": "broken.bpmn", "mimeType": "text/xml", "buffer": broken}
        )
        await page.get_by_role("button", name="Check and deploy").click()
        await expect(page.get_by_role("alert")).to_contain_text("1 problem to mend; nothing was deployed")
        await expect(page.get_by_role("region", name="Problems")).to_contain_text("broken.bpmn")
        assert await person.faults() == []
        assert await person.overflow() <= 0
        name = f"By_page_{size}"
        fine = BROKEN.replace(b'"Stops"', f'"{name}"'.encode())
        await page.get_by_label("Files").set_input_files({"name": "fine.bpmn", "mimeType": "text/xml", "buffer": fine})
        await page.get_by_role("button", name="Check and deploy").click()
        await expect(page.get_by_role("status").first).to_contain_text("is deployed as version 1")
        await page.get_by_role("button", name="Start", exact=True).click()
        await expect(page.get_by_role("status").first).to_contain_text("its first task is for others")


async def test_a_changed_model_is_compared_walked_and_deployed_with_who_stands_on_what(
    browser: Browser, served: Served, size: str
) -> None:
    name = f"Compared_{size}"
    old = drawing.sequence(name, drawing.user_task("Ask", drawing.field("n")), drawing.script("Add", "m = 1"))
    served.deploy(old)
    served.start(name)
    new = drawing.sequence(
        name, drawing.user_task("Ask", drawing.field("n", "long", required=True)), drawing.script("Twice", "m = n * 2")
    )
    async with somebody(browser, served, size) as person:
        await person.sign_in("modeler")
        page = await person.open("/models")
        await page.get_by_label("Files").set_input_files(
            {"name": "changed.bpmn", "mimeType": "text/xml", "buffer": new}
        )
        await page.get_by_role("button", name="Compare").click()
        differs = page.get_by_role("region", name="What differs")
        await expect(differs).to_contain_text("1 running instance stands on changed or removed elements")
        await expect(differs.get_by_role("row").filter(has_text="userTask Ask")).to_contain_text("form")
        await expect(differs.get_by_role("row").filter(has_text="scriptTask Add")).to_contain_text("removed")
        assert await person.faults() == []
        assert await person.overflow() <= 0
        await page.get_by_role("button", name="Dry run").click()
        await expect(page.get_by_role("region", name="Result")).to_contain_text("Every element was reached")
        await page.get_by_label("Note").fill("twice")
        await page.get_by_role("button", name="Deploy").click()
        await expect(page.get_by_role("status").first).to_contain_text("is deployed as version 2")
        await page.get_by_role("link", name="compare with 1").click()
        await expect(page.get_by_role("region", name="What differs")).to_contain_text("Twice")


async def test_a_new_field_shows_up_by_redeploying_alone(browser: Browser, served: Served) -> None:
    more = drawing.user_task(
        "t",
        drawing.field("f"),
        drawing.field("blood", label="Blood group"),
        attributes='camunda:candidateGroups="staff"',
    )
    served.deploy(
        drawing.sequence(
            "Grows", drawing.user_task("t", drawing.field("f"), attributes='camunda:candidateGroups="staff"')
        )
    )
    before = f"/tasks/{served.start('Grows')['tasks'][0]['id']}"
    served.deploy(drawing.sequence("Grows", more))
    after = f"/tasks/{served.start('Grows')['tasks'][0]['id']}"
    async with somebody(browser, served) as person:
        await person.sign_in("staff")
        page = await person.open(before)
        await expect(page.get_by_label("Blood group")).to_have_count(0)
        page = await person.open(after)
        await expect(page.get_by_label("Blood group")).to_be_visible()


async def test_wrong_sign_in_says_so_and_keeps_the_name(browser: Browser, served: Served, size: str) -> None:
    async with somebody(browser, served, size) as person:
        page = await person.open("/login")
        await expect(page.locator("#username")).to_be_focused()
        await page.fill("#username", f"nobody-{size}")
        await page.fill("#password", "wrong")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_have_text("The user name or the password is not right.")
        await expect(page.locator("#username")).to_have_value(f"nobody-{size}")
        assert await person.faults() == []


async def test_the_relay_mails_about_an_incident_and_the_page_shows_it(browser: Browser, served: Served) -> None:
    case = served.call("GET", stopped(served))["case"]
    async with somebody(browser, served) as person:
        await person.sign_in("admin")
        page = await person.open("/dev/mail")

        async def shown() -> bool:
            await page.reload()
            return case in await page.content()

        await until(shown)
        await expect(page.get_by_text(case).first).to_be_attached()
