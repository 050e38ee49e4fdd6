"""Clients of the public API, each of whose answers goes to the ledger before anything else is done with it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from app.dev.chaos.ledger import Ledger

API = "/api/v1"
ARRIVAL = "/appointment/arrival"
PATIENCE = 60.0
"""Seconds that one request is waited for: longer than the service may take, so that a hang is seen as one."""
PERSISTENCE = 600.0
"""Seconds for which a request is sent again where no answer came, or that of a server that is away."""
PAUSE = 0.5
AGAIN = (0, 429, 500, 502, 503, 504)
"""Answers after which a client sends the same once more; 0 is none."""


class GivenUp(RuntimeError):
    """The service did not do within the time what it is there for"""


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` 0 stands for no answer, whose kind of error is then in `body`."""

    status: int
    body: dict[str, Any]

    @property
    def is_well(self) -> bool:
        return 200 <= self.status < 300


class Client:
    """Any number of requests at once, as one account. While `twice` is set, each with a key is sent twice at once."""

    def __init__(self, url: str, token: str, ledger: Ledger) -> None:
        self._ledger, self.twice = ledger, False
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE, limits=limits, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def once(self, what: str, method: str, path: str, body: Any = None, key: str = "", **told: Any) -> Answer:
        """One request and its line in the ledger; *told* is written into it too."""
        began, at = time.monotonic(), time.time()
        headers = {"Idempotency-Key": key} if key else {}
        try:
            answered = await self._http.request(
                method, path if path == ARRIVAL else API + path, json=body, headers=headers
            )
            answer = Answer(answered.status_code, _members(answered))
        except httpx.HTTPError as error:
            answer = Answer(0, {"error": type(error).__name__})
        line = {
            "what": what,
            "at": at,
            "s": time.monotonic() - began,
            "status": answer.status,
            "path": path,
            "key": key,
        }
        self._ledger.tell(line | told | _worth_knowing(answer))
        return answer

    async def surely(self, what: str, method: str, path: str, body: Any = None, key: str = "", **told: Any) -> Answer:
        """The same request with the same key until it is answered. Raises :class:`GivenUp`."""
        until = time.monotonic() + PERSISTENCE
        while True:
            number = 2 if self.twice and key else 1
            answers = [self.once(what, method, path, body, key, **told) for _ in range(number)]
            answer = (await asyncio.gather(*answers))[-1]
            if answer.status not in AGAIN:
                return answer
            if time.monotonic() > until:
                raise GivenUp(f"{path} was answered {answer.status} to the end")
            await asyncio.sleep(PAUSE)

    async def start(self, process: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """A new instance, asked for under one key. Raises :class:`GivenUp`."""
        path, key = f"/models/{process}/instances", uuid4().hex
        answer = await self.surely("start", "POST", path, {"variables": variables or {}}, key, process=process)
        if not answer.is_well:
            raise GivenUp(f"{path} was answered {answer.status} {answer.body}")
        return answer.body

    async def complete(self, task: str, entries: dict[str, Any], key: str = "") -> Answer:
        path, body = f"/tasks/{task}/complete", {"variables": entries}
        return await self.surely("complete", "POST", path, body, key or uuid4().hex, task=task)

    async def arrive(self, ticket: str) -> Answer:
        """The desk says that a patient is here; said again it is said once."""
        return await self.surely("arrival", "POST", ARRIVAL, {"ticketid": ticket})

    async def show(self, instance: str) -> Answer:
        return await self.surely("show", "GET", f"/instances/{instance}")


def _members(answered: httpx.Response) -> dict[str, Any]:
    try:
        found = answered.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {"items": found}


def _worth_knowing(answer: Answer) -> dict[str, Any]:
    """What invariants are checked by: of an instance its id and its timers, of an error what identifies it."""
    body = answer.body
    found = {name: body[name] for name in ("id", "code", "reference", "error") if body.get(name)}
    if timers := [one["due_at"] for one in body.get("waiting") or [] if one.get("kind") == "timer"]:
        found["due"] = timers[0]
    return found
