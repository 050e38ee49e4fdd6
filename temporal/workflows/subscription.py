"""Mails to a subscriber: a welcome, then one at each interval, and a goodbye when they unsubscribe."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

QUEUE = "dams_appointment_queue"
LIMIT = timedelta(seconds=10)


@dataclass
class Subscription:
    """Who gets mails, how often, and how many they have had. `key` is this subscription's own, for the mails' keys;
    after `turns` mails the history is begun anew.
    """

    email: str
    every_seconds: float
    key: str
    sent: int = 0
    greeted: bool = False
    turns: int = 500


@dataclass
class Letter:
    """One mail of a subscription; `number` counts the regular ones."""

    email: str
    kind: str
    number: int
    key: str


@workflow.defn(name="SendEmailWorkflow")
class SendEmailWorkflow:
    """Runs until it is cancelled."""

    @workflow.init
    def __init__(self, given: Subscription) -> None:
        self._given = given
        self._subscribed = True

    @workflow.run
    async def run(self, given: Subscription) -> None:
        try:
            if not given.greeted:
                await self._send("welcome")
                given.greeted = True
            for _ in range(given.turns):
                await asyncio.sleep(given.every_seconds)
                given.sent += 1
                await self._send("thanks")
        except asyncio.CancelledError:
            self._subscribed = False
            await self._send("goodbye")
            raise
        workflow.continue_as_new(given)

    async def _send(self, kind: str) -> None:
        letter = Letter(self._given.email, kind, self._given.sent, self._given.key)
        doing = asyncio.create_task(workflow.execute_activity("send_email", letter, start_to_close_timeout=LIMIT))
        try:
            await asyncio.shield(doing)
        except asyncio.CancelledError:
            await doing
            raise

    @workflow.query
    def details(self) -> dict[str, str | int | bool]:
        """The address, how many regular mails it has had, and whether it still gets them."""
        return {"email": self._given.email, "sent": self._given.sent, "subscribed": self._subscribed}
