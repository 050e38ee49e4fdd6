"""The work that goes on while the service is hurt: forms, rivals for one task, visits that race for one slot."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from app.dev.chaos import models
from app.dev.chaos.clients import Answer, Client, GivenUp

AT_ONCE, VISITORS = 16, 2
RIVALS = 0.1
"""The part of the forms that two people submit at the same time."""
VISIT_PAUSE = 4.0
"""Seconds between two pairs of visits: each goes over every engine."""
DOCTORS = ("HSP-200", "HSP-201", "HSP-202", "HSP-204", "HSP-205")
"""Doctors of the demo clinic with slots of half an hour."""


class Pace:
    """Turns at a rate; what a slow service left undone is not caught up with."""

    def __init__(self, rate: float) -> None:
        self._every, self._next = 1 / rate, time.monotonic()

    async def turn(self) -> None:
        now = time.monotonic()
        self._next = max(self._next + self._every, now)
        await asyncio.sleep(self._next - now)


@dataclass(slots=True)
class Load:
    """Everybody who works on the service. `patients` are numbers that exist; `visitors` pairs go over every engine."""

    client: Client
    rate: float
    seed: int
    patients: Sequence[int]
    visitors: int = VISITORS
    submits: int = 0
    given_up: list[str] = field(default_factory=list[str])
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until :meth:`stop`; then everybody finishes what they have begun."""
        pace, chance = Pace(self.rate), random.Random(self.seed)  # noqa: S311 - no secret
        people = [self._people(self._forms, pace, chance) for _ in range(AT_ONCE)]
        await asyncio.gather(*people, *(self._people(self._visits, pace, chance) for _ in range(self.visitors)))

    def stop(self) -> None:
        self._stop.set()

    async def _people(self, work: Any, pace: Pace, chance: random.Random) -> None:
        while not self._stop.is_set():
            try:
                await work(pace, chance)
            except GivenUp as error:
                self.given_up.append(str(error))

    async def _forms(self, pace: Pace, chance: random.Random) -> None:
        await pace.turn()
        view = await self.client.start(models.FORM)
        self.submits += 1
        while view.get("tasks") and not self._stop.is_set():
            task = view["tasks"][0]["id"]
            entries = {f"entry_{view['tasks'][0]['element_id'][-1]}": uuid4().hex}
            await pace.turn()
            several = 2 if chance.random() < RIVALS else 1
            answers = await asyncio.gather(*(self.client.complete(task, entries) for _ in range(several)))
            self.submits += several
            view = _won(answers) or (await self.client.show(view["id"])).body

    async def _visits(self, pace: Pace, chance: random.Random) -> None:
        """Two people want the same time of the same doctor."""
        day = datetime.now(UTC).date() + timedelta(days=chance.randint(3, 300))
        day += timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)
        slot = {"docid": chance.choice(DOCTORS), "date_scheduled": day.isoformat()}
        slot["time_scheduled"] = f"{chance.randint(9, 11):02}:{chance.choice((0, 30)):02}"
        await asyncio.gather(*(self._visit(pace, slot, one) for one in chance.sample(self.patients, 2)))
        try:
            await asyncio.wait_for(self._stop.wait(), VISIT_PAUSE)
        except TimeoutError:
            return

    async def _visit(self, pace: Pace, slot: dict[str, str], patient: int) -> None:
        await pace.turn()
        view = await self.client.start(models.VISIT)
        ticket = f"C-{uuid4().hex[:12]}"
        entries = {**slot, "patientid": patient, "ticketid": ticket, "priority_level": 3}
        task, key = view["tasks"][0]["id"], uuid4().hex
        path = f"/tasks/{task}/complete"
        self.submits += 2
        await self.client.surely("visit", "POST", path, {"variables": entries}, key, task=task, ticket=ticket)


def _won(answers: Sequence[Answer]) -> dict[str, Any] | None:
    return next((answer.body for answer in answers if answer.is_well), None)
