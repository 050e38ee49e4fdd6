"""Chromium at two widths on a running web. Any test that asks for `page` is a browser test; see docs/recipes.md."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count, islice
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from app.dev import chromium, frontend
from tests.conftest import PASSWORD_OF_ALL
from tests.days import CLOSED
from tests.serving import Served, serving

FLAGS = ["--no-sandbox", "--no-zygote", "--disable-gpu", "--headless=shell", "--disable-dev-shm-usage"]
SIZES = {"1280": {"width": 1280, "height": 900}, "390": {"width": 390, "height": 844}}
TIMEOUT = 120_000
expect.set_options(timeout=TIMEOUT)  # by itself it gives a page five seconds
SESSION = pytest.mark.asyncio(loop_scope="session")
TODAY = datetime.now(UTC).date()
DAYS = count(5)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs Chromium, which lives on the one loop of the whole run."""
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker("browser")
            item.add_marker(SESSION, append=False)


@pytest.fixture(scope="session")
def served(clinic_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The web that all browser tests of this worker share: make the instances that a test needs, count none."""
    frontend.build(print)
    # Who was signed in by one test (`be`) still is when another needs them, however long the others took.
    with serving(clinic_template, tmp_path_factory.mktemp("mail"), DAMS_SECURITY__SESSION_MINUTES="600") as web:
        yield web


def open_day(number: int) -> date:
    """The Tuesday of this number among those ahead that are no holiday of the demo: each number has its own."""
    first = TODAY + timedelta(days=(1 - TODAY.weekday()) % 7)
    tuesdays = (first + timedelta(weeks=week) for week in count())
    return next(islice((day for day in tuesdays if (day.month, day.day) not in CLOSED), number, None))


@pytest.fixture
def day() -> date:
    """A day that no other test of this worker uses: the web is shared."""
    return open_day(next(DAYS))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = os.environ.get("DAMS_BROWSER") or chromium.find(print)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        await running.close()


HELD = """async () => {
    const { fetch } = window;
    let over;
    const then = new Promise((resolve) => (over = resolve));
    window.fetch = (...given) => then.then(() => fetch(...given));
    try {
        return await axe.run(document, { resultTypes: ["violations"] });
    } finally {
        window.fetch = fetch;
        over();
    }
}"""
"""axe looks at a page rule by rule: a part that renews itself meanwhile would be judged when it is no longer there."""
_known: dict[tuple[str, str], list[Any]] = {}


@dataclass
class Person:
    """Somebody at a browser of their own."""

    page: Page
    context: BrowserContext
    web: Served

    async def open(self, path: str) -> Page:
        answer = await self.page.goto(self.web.url + path)
        assert answer is not None
        assert answer.status < 500, path
        return self.page

    async def sign_in(self, user: str) -> None:
        await self.open("/login")
        await self.page.fill("#username", user)
        await self.page.fill("#password", PASSWORD_OF_ALL)
        await self.page.press("#password", "Enter")
        await self.page.wait_for_url("**/home")

    async def be(self, user: str) -> None:
        """Be signed in from a visit before, without a page: for tests that are not about signing in or out."""
        known = _known.get((self.web.url, user))
        if known is None:
            await self.sign_in(user)
            _known[self.web.url, user] = await self.context.cookies()
        else:
            await self.context.add_cookies(known)  # pyright: ignore[reportArgumentType] - what `cookies` gave

    async def follow(self, entry: str) -> None:
        """Go where an entry of the menu leads; on a phone the menu is opened first."""
        if await (menu := self.page.get_by_role("button", name="Menu", exact=True)).is_visible():
            await menu.click()
        await self.page.get_by_role("link", name=entry, exact=True).click()

    async def faults(self) -> list[str]:
        """What axe finds wrong with the page as it is now."""
        source = chromium.axe(print).read_text()
        await self.page.evaluate(source)  # through the debugger: the page's own policy forbids it
        found = await self.page.evaluate(HELD)
        return [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]

    async def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return await self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@asynccontextmanager
async def somebody(browser: Browser, web: Served, size: str = "1280", **further: Any) -> AsyncIterator[Person]:
    """A person with a browser of their own. What a script of the page throws fails the test."""
    context = await browser.new_context(viewport=SIZES[size], locale="en-US", reduced_motion="reduce", **further)  # pyright: ignore[reportArgumentType]
    context.set_default_timeout(TIMEOUT)
    page = await context.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.on("console", lambda said: thrown.append(said.text) if "Content Security Policy" in said.text else None)
    try:
        yield Person(page, context, web)
    finally:
        await context.close()  # the page of a test that failed would hold its locks and streams under the next
    assert thrown == []


@pytest.fixture(params=list(SIZES))
def size(request: pytest.FixtureRequest) -> str:
    """The test runs at each width."""
    return request.param


@pytest_asyncio.fixture(loop_scope="session")
async def staff(browser: Browser, served: Served, size: str) -> AsyncIterator[Person]:
    """The front desk, signed in, at each width."""
    async with somebody(browser, served, size) as person:
        await person.sign_in("staff")
        yield person
