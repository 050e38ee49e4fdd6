"""The pictures of README, taken from a running web; `DAMS_SCREENSHOTS=docs/screenshots` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.async_api import Browser, expect

from tests.browser.conftest import somebody
from tests.serving import Served


def taken(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.png")}


async def test_the_pages_of_readme_can_be_pictured(browser: Browser, served: Served, tmp_path: Path) -> None:
    folder = Path(os.environ.get("DAMS_SCREENSHOTS", tmp_path))
    for case in ("A-2001", "A-2002"):
        first = served.start(case=case)["tasks"][0]["id"]
        second = served.complete(first, specialization="Cardiology")["tasks"][0]["id"]
        third = served.complete(second, docid="HSP-200")["tasks"][0]["id"]
    served.call("POST", f"/tasks/{third}/claim")
    instance = served.call("GET", f"/tasks/{third}")["instance"]
    pages = {"home": "/home", "task": f"/tasks/{third}", "instance": f"/instances/{instance}", "models": "/models"}
    for name, path in pages.items():
        async with somebody(browser, served) as person:
            await person.sign_in("modeler" if name == "models" else "staff")
            page = await person.open(path)
            if name in ("task", "instance"):
                await expect(page.locator(".djs-element.current")).to_have_count(1)
            await page.screenshot(path=folder / f"{name}.png", clip={"x": 0, "y": 0, "width": 1280, "height": 800})
    async with somebody(browser, served, "390") as person:
        await person.sign_in("staff")
        page = await person.open(pages["task"])
        await expect(page.locator(".djs-element.current")).to_have_count(1)
        await page.screenshot(path=folder / "task-390.png")
    assert taken(folder) >= {"home", "task", "instance", "models", "task-390"}
