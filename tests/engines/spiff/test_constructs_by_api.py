"""The events and gateways of the specification through the API, plain and with a restart between any two steps."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.actor import Actor
from app.core.settings import settings
from tests.engines.spiff.conformance import FEATURES, Feature
from tests.engines.spiff.service import Service

SHOWN = {
    "start and end": "manual task",
    "timer": "timer catch event: timeDuration",
    "timer at a task": "interrupting timer at a task",
    "message": "message catch event",
    "message at a task": "interrupting message at a task",
    "signal": "signal throw and catch",
    "signal end": "signal end event",
    "error": "error end event in a sub-process",
    "escalation": "escalation in a sub-process, interrupting",
    "cancel": "transaction that is cancelled: undone, then left by the cancel event",
    "exclusive": "exclusive gateway: the first condition of the file that holds",
    "exclusive, nothing holds": "exclusive gateway: nothing holds",
    "parallel": "parallel gateway: split and join",
    "event-based: message": "event-based gateway: message first",
    "event-based: timer": "event-based gateway: timer first",
    "inclusive": "inclusive gateway: some that hold, the join waits for those",
}
"""What the specification lists (start, end, cancel, signal, error, message, timer, escalation; four gateways)."""
BY_NAME = {feature.name: feature for feature in FEATURES}


class Remote:
    """Drives a feature's steps, written for an instance in process, against the service."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def complete(self, element_id: str, **values: Any) -> Remote:
        self.calls.append(("complete", (element_id, values)))
        return self

    def deliver(self, kind: str, name: str, payload: dict[str, Any] | None = None) -> Remote:
        self.calls.append((kind, (name, payload or {})))
        return self

    def proceed(self, *_: object) -> Remote:
        self.calls.append(("advance", ()))
        return self


@pytest.mark.parametrize("restarts", [False, True], ids=["plain", "restarted between steps"])
@pytest.mark.parametrize("name", SHOWN)
async def test_a_construct_runs_through_the_api(
    name: str, restarts: bool, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAMS_WEB__TEST_CLOCK", "true")
    settings.cache_clear()
    feature: Feature = BY_NAME[SHOWN[name]]
    service, remote = Service(admin, restarts=restarts), Remote()
    feature.steps(remote)  # pyright: ignore[reportArgumentType] - it is written down, not run
    await service.deploy(*feature.files)
    instance = await service.start("p", **feature.given)
    for what, given in remote.calls:
        if what == "complete":
            await service.complete(instance, given[0], **given[1])
        elif what == "advance":
            await service.advance("PT1H")
        else:
            await getattr(service, what)(given[0], **given[1])
    assert await service.seen(instance) == (feature.status, feature.done.split())
