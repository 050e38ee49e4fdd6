"""The pictures of README, taken from a running web; `DAMS_SCREENSHOTS=docs/screenshots` writes them anew."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import somebody
from tests.serving import APPOINTMENT, Served

DRAWING = Path(__file__).resolve().parents[2] / "bpmn/spiff/appointment.bpmn"
VISITS = """
    insert into appointment (ticketid, patientid, docid, priority_level, date_scheduled, time_scheduled, consult_hrs,
                             during, status)
    select 'PIC-' || n, 10 + n, 'HSP-' || 200 + n % 6, 1 + n % 5, day, at, 0.5,
           tstzrange(begins, begins + interval '30 min'),
           (array['fulfilled', 'checked-in', 'arrived', 'booked'])[least(4, 1 + n / 5)]
    from (select n, $1::date as day, time '09:00' + n / 6 * interval '1 hour' as at from generate_series(0, 23) n) each,
         lateral (select (day + at) at time zone 'America/New_York' as begins) instant
"""
WAITING = """
    insert into waiting_entry (patientid, docid, specialization, earliest, latest, priority_level)
    select 35 + n, null, (array['Neurology', 'Cardiology', 'Pediatrics'])[n], $1::date, $1::date + 30, n
    from generate_series(1, 3) n
"""


def taken(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.png")}


async def picture(page: Page, folder: Path, name: str, width: int = 1280, height: int = 800) -> None:
    await page.screenshot(path=folder / f"{name}.png", clip={"x": 0, "y": 0, "width": width, "height": height})


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
            await picture(page, folder, name)
    async with somebody(browser, served, "390") as person:
        await person.sign_in("staff")
        page = await person.open(pages["task"])
        await expect(page.locator(".djs-element.current")).to_have_count(1)
        await page.screenshot(path=folder / "task-390.png")
    async with somebody(browser, served) as person:
        await person.sign_in("modeler")
        page = await person.open(f"/models/{APPOINTMENT}/edit")
        await expect(page.locator("#editor[data-checked]")).to_have_count(1)
        await page.locator('.djs-element[data-element-id="Activity_SchedForm"]').click()
        await expect(page.get_by_label("What DAMS writes")).to_be_visible()
        await picture(page, folder, "editor")
    assert taken(folder) >= {"home", "task", "instance", "models", "task-390", "editor"}


async def test_the_pages_of_versions_can_be_pictured(browser: Browser, served: Served, tmp_path: Path) -> None:
    folder = Path(os.environ.get("DAMS_SCREENSHOTS", tmp_path))
    drawing = DRAWING.read_bytes().replace(APPOINTMENT.encode(), b"Process_Pictured")
    served.deploy(drawing)
    for number in range(4):
        first = served.start("Process_Pictured", case=f"A-30{number:02}")["tasks"][0]["id"]
        second = served.complete(first, specialization="Cardiology")
        if number:
            second = served.complete(second["tasks"][0]["id"], docid="HSP-200")
    served.deploy(drawing.replace(b'name="Patient Detail Form"', b'name="Who comes"'))
    pages = {
        "compare": ("modeler", "/models/Process_Pictured/compare"),
        "migrate": ("modeler", "/models/Process_Pictured/migrate"),
        "back": ("ops", f"/instances/{second['id']}/back"),
    }
    for name, (user, path) in pages.items():
        async with somebody(browser, served) as person:
            await person.sign_in(user)
            await picture(await person.open(path), folder, name)
    assert taken(folder) >= set(pages)


@pytest_asyncio.fixture(loop_scope="session")
async def busy(served: Served, day: date) -> AsyncIterator[date]:
    """A day of six doctors with visits in all states, while three wait; it is empty again afterwards."""
    await served.rows(VISITS, day)
    await served.rows(WAITING, day)
    yield day
    # Who has withdrawn is offered nothing more: the relay would put an offer between the next two.
    await served.rows("update waiting_entry set state = 'withdrawn' where patientid between 36 and 38")
    await served.rows("delete from slot_offer where entry_id in (select id from waiting_entry where patientid > 35)")
    await served.rows("delete from waiting_entry where patientid between 36 and 38")
    await served.rows("delete from appointment where ticketid like 'PIC-%'")


async def test_the_front_desks_pages_can_be_pictured(
    browser: Browser, served: Served, tmp_path: Path, busy: date
) -> None:
    folder = Path(os.environ.get("DAMS_SCREENSHOTS", tmp_path))
    pages = {
        "schedule": ("staff", f"/schedule?day={busy}"),
        "visit": ("staff", "/schedule/visits/PIC-20"),
        "waiting": ("staff", "/waiting"),
        "patient": ("doctor", "/patients/1"),
        "sheet": ("staff", f"/schedule/sheet?day={busy}"),
        "admin": ("admin", "/admin"),
    }
    for name, (user, path) in pages.items():
        async with somebody(browser, served) as person:
            await person.sign_in(user)
            await picture(await person.open(path), folder, name)
    phone = {
        "my-390": ("patient", "/my"),
        "schedule-390": ("doctor", f"/schedule?day={busy}"),
        "register-390": ("", "/register"),
    }
    for name, (user, path) in phone.items():
        async with somebody(browser, served, "390") as person:
            if user:
                await person.sign_in(user)
            await picture(await person.open(path), folder, name, 390, 844)
    assert taken(folder) >= {*pages, *phone}
