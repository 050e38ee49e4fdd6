"""Processes that start by a message, a signal or a time, through the service's API."""

from __future__ import annotations

import pytest

from app.core.actor import Actor
from app.core.settings import settings
from tests.drawing import definitions, script, user_task
from tests.engines.spiff.conformance.data import KEYED
from tests.engines.spiff.conformance.drawn import NAMES, path
from tests.engines.spiff.service import Service
from tests.engines.spiff.shapes import END, catch, event

START = '<bpmn:startEvent id="start" />'


@pytest.fixture
async def service(admin: Actor, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("DAMS_WEB__TEST_CLOCK", "true")
    settings.cache_clear()
    return Service(admin)


def begins(process_id: str, kind: str, what: str, more: str = "") -> bytes:
    """A process with a plain start event, one of another kind, and a script for each."""
    return definitions(
        process_id, START, event("startEvent", "other", kind, what), script("a", "by = 'hand'"),
        script("b", "by = 'event'"), END, path("start", "a", "end"), path("other", "b", "end"), more, before=NAMES,
    )  # fmt: skip


async def instances(service: Service, process_id: str) -> list[dict[str, str]]:
    return (await service.call("GET", f"/instances?process_id={process_id}"))["items"]


async def test_a_message_starts_the_process_that_begins_with_it(service: Service) -> None:
    await service.deploy(begins("p", "message", "m1"))
    assert await service.message("paid", amount=3) == {"delivered": 1, "stored": False}
    [found] = await instances(service, "p")
    assert await service.seen(found) == ("completed", ["other", "b", "end"])
    shown = await service.call("GET", f"/instances/{found['id']}")
    assert shown["variables"] == {"amount": 3, "by": "event"}
    by_hand = await service.start("p")
    assert await service.seen(by_hand) == ("completed", ["start", "a", "end"])


async def test_who_waits_for_a_message_goes_before_what_it_would_start(service: Service) -> None:
    waits = definitions("w", START, '<bpmn:receiveTask id="r" messageRef="m1" />', END, path("start", "r", "end"),
                        before=NAMES)  # fmt: skip
    await service.deploy(waits)
    await service.deploy(begins("p", "message", "m1"))
    waiting = await service.start("w")
    await service.message("paid")
    assert (await service.seen(waiting))[0] == "completed"
    assert await instances(service, "p") == []


async def test_a_signal_starts_every_process_that_begins_with_it(service: Service) -> None:
    await service.deploy(begins("p", "signal", "s1"))
    await service.deploy(begins("q", "signal", "s1"))
    assert (await service.signal("closing"))["delivered"] == 2
    assert [len(await instances(service, name)) for name in "pq"] == [1, 1]


async def test_a_cycle_starts_a_process_as_often_as_it_says(service: Service) -> None:
    await service.deploy(begins("p", "timeCycle", "R3/PT10M"))
    assert await instances(service, "p") == []
    await service.advance("PT10M")
    assert len(await instances(service, "p")) == 1
    await service.advance("PT5H")
    assert len(await instances(service, "p")) == 3


async def test_only_the_active_version_starts_by_itself(service: Service) -> None:
    await service.deploy(begins("p", "timeDuration", "PT1H"))
    await service.deploy(definitions("p", START, user_task("u"), END, path("start", "u", "end")))
    await service.advance("PT2H")
    assert await instances(service, "p") == []
    assert (await service.message("paid"))["delivered"] == 0


async def test_the_clock_stops_where_something_is_due(service: Service) -> None:
    """A timer that the first one sets up comes within the same move, as it would have by waiting."""
    timers = [catch(name, "timeDuration", "PT1H") for name in ("one", "two")]
    await service.deploy(definitions("p", START, *timers, END, path("start", "one", "two", "end")))
    waiting = await service.start("p")
    assert (await service.advance("PT1H"))["fired"] == 1
    assert (await service.seen(waiting))[1] == ["start", "one"]
    again = await service.start("p")
    await service.advance("PT3H")
    assert await service.seen(waiting) == ("completed", ["start", "one", "two", "end"])
    assert await service.seen(again) == ("completed", ["start", "one", "two", "end"])


async def test_a_message_goes_to_the_conversation_that_it_belongs_to(service: Service) -> None:
    await service.deploy(
        definitions("p", event("startEvent", "start", "message", "m1"), catch("b", "message", "m2"), END,
                    path("start", "b", "end"), before=KEYED)
    )  # fmt: skip
    for order in (1, 2):
        await service.message("paid", order=order)
    found = await instances(service, "p")
    assert await service.message("refused", order=3) == {"delivered": 0, "stored": False}
    assert await service.message("refused", order=2) == {"delivered": 1, "stored": False}
    ended = [(await service.call("GET", f"/instances/{one['id']}")) for one in found]
    assert {one["variables"]["order"]: one["status"] for one in ended} == {1: "running", 2: "completed"}
