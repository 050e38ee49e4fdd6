"""Many patients at once, each from the booking to the end, while every part is killed: `./dams chaos --journeys`.

Who gets no answer, or one of a server that is away, asks the same again under the same key, as a person would. The
kills are spread over the journeys: each meets some that are under way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.dev import journeys
from app.dev.chaos.clients import Client, GivenUp
from app.dev.journeys import ARRIVING, PROCESS, Clinic

AT_ONCE = 16
LONGEST = 900.0
"""Seconds after which a journey is left: longer than all parts together may be away."""
EVERY = 0.3
UNSEEN = 15.0
"""Seconds for which an incident may stand before who goes the journey takes it for its end."""


@dataclass(slots=True)
class Patient:
    """One journey as who goes it knows it: `asked` names its start, `left` says why it was given up, if it was."""

    ticket: str
    asked: bool = False
    case: str = ""
    instance: str = ""
    booked: bool = False
    seconds: float = 0.0
    left: str = ""


@dataclass(slots=True)
class Crowd:
    """So many journeys, some at a time; `struck` is how many of the `kills` have been made, see :meth:`meets`."""

    client: Client
    clinic: Clinic
    number: int
    kills: int
    at_once: int = AT_ONCE
    patients: list[Patient] = field(default_factory=list[Patient])
    ended: int = 0
    struck: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def under_way(self) -> int:
        return len(self.patients) - self.ended

    async def run(self) -> None:
        """All of them, to their ends."""
        free = asyncio.Semaphore(self.at_once)
        async with asyncio.TaskGroup() as tasks:
            for number in range(self.number):
                await free.acquire()
                async with self._changed:
                    # Journeys that were through before the last kill would show nothing of it.
                    await self._changed.wait_for(lambda least=number * self.kills // self.number: self.struck >= least)
                    self.patients.append(Patient(f"S-{number:05}"))
                    self._changed.notify_all()
                tasks.create_task(self._one(self.patients[-1], free))

    async def meets(self, kill: int) -> None:
        """Wait until the part of the journeys has begun that this kill, counted from 0, is to meet."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.patients) > kill * self.number // self.kills)

    async def strikes(self) -> None:
        """A kill has been made: further journeys may begin."""
        async with self._changed:
            self.struck += 1
            self._changed.notify_all()

    async def _one(self, patient: Patient, free: asyncio.Semaphore) -> None:
        began = time.monotonic()
        try:
            await go(self.client, self.clinic, patient)
        except (GivenUp, journeys.Failed) as error:
            patient.left = str(error)
        patient.seconds = time.monotonic() - began
        async with self._changed:
            self.ended += 1
            self._changed.notify_all()
        free.release()


async def go(client: Client, clinic: Clinic, patient: Patient) -> None:
    """One journey to its end, or to an incident that stays. Raises :class:`GivenUp` where neither comes."""
    patient.asked = True
    view = await client.start(PROCESS)
    patient.case, patient.instance = view["case"], view["id"]
    until, arrived, stopped = time.monotonic() + LONGEST, False, 0.0
    while view["status"] == "running":
        now = time.monotonic()
        stopped = (stopped or now) if view["incidents"] else 0.0
        if stopped and now - stopped > UNSEEN:
            return
        if now > until:
            raise GivenUp(f"stands still at {_where(view)}")
        if view["tasks"]:
            await _fill(client, clinic, patient, view["tasks"][0])
        elif not arrived and ARRIVING in (one["element_id"] for one in view["waiting"]):
            arrived = (await client.arrive(patient.ticket)).is_well
        else:
            await asyncio.sleep(EVERY)
        view = (await client.show(patient.instance)).body


async def _fill(client: Client, clinic: Clinic, patient: Patient, task: Mapping[str, Any]) -> None:
    """Submit a form once; where a time or a patient is taken, the next look finds it open, for other entries."""
    entries = journeys.entries(clinic, task["element_id"], patient.ticket)
    if "narrative" in entries:
        entries["narrative"] = found(patient.ticket)
    answer = await client.complete(task["id"], entries)
    if not answer.is_well and answer.status not in (409, 422):
        raise GivenUp(f"a form was answered {answer.status} {answer.body}")
    patient.booked = patient.booked or (answer.is_well and task["element_id"] == "Activity_Patient")


def found(ticket: str) -> str:
    """What a journey's diagnosis says: by it the row of this journey is known."""
    return f"Sore throat of {ticket}."


def _where(view: Mapping[str, Any]) -> str:
    names: Sequence[str] = [one["name"] for one in (*view["tasks"], *view["waiting"])]
    return ", ".join(names) or "nothing"
