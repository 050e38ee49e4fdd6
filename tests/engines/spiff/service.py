"""The deployed service as another program sees it: its JSON API, with a restart between any two calls if wanted."""

from __future__ import annotations

import asyncio
import io
from typing import Any

from flask.testing import FlaskClient

from app.clinic import accounts
from app.core.actor import Actor
from app.db.session import transaction
from app.engines.spiff import models
from app.web.factory import create_app


class Service:
    """Calls as one person. ``restarts`` makes each call meet a service that has just been started."""

    def __init__(self, actor: Actor, *, restarts: bool = False) -> None:
        self.actor, self.restarts = actor, restarts
        self.token = ""
        self.client: FlaskClient | None = None

    async def call(self, method: str, path: str, json: Any = None, *, files: tuple[bytes, ...] = ()) -> Any:
        """The body of the answer, which must be no error."""
        if not self.token:
            async with transaction() as session:
                self.token = (await accounts.issue_token(session, self.actor)).value
        return await asyncio.to_thread(self._call, method, path, json, files)

    def _call(self, method: str, path: str, json: Any, files: tuple[bytes, ...]) -> Any:
        if self.client is None or self.restarts:
            models.forget()
            self.client = create_app().test_client()
        headers = {"Authorization": f"Bearer {self.token}"}
        more: dict[str, Any] = {"json": json} if json is not None else {}
        if files:
            more = {"data": {"file": [(io.BytesIO(xml), f"model{n}.bpmn") for n, xml in enumerate(files)]}}
        answer = self.client.open(f"/api/v1{path}", method=method, headers=headers, **more)
        assert answer.status_code < 300, (answer.status_code, answer.get_data(as_text=True))
        return answer.get_json(silent=True)

    async def deploy(self, *files: bytes) -> None:
        await self.call("POST", "/deployments", files=files)

    async def start(self, process_id: str, **variables: Any) -> Any:
        return await self.call("POST", f"/models/{process_id}/instances", {"variables": variables})

    async def complete(self, instance: Any, element_id: str, **variables: Any) -> Any:
        shown = await self.call("GET", f"/instances/{instance['id']}")
        task = next(task for task in shown["tasks"] if task["element_id"] == element_id)
        return await self.call("POST", f"/tasks/{task['id']}/complete", {"variables": variables})

    async def message(self, name: str, **variables: Any) -> Any:
        return await self.call("POST", "/messages", {"name": name, "correlation": {}, "variables": variables, "ttl": 0})

    async def signal(self, name: str, **variables: Any) -> Any:
        return await self.call("POST", "/signals", {"name": name, "variables": variables})

    async def advance(self, duration: str) -> Any:
        return await self.call("POST", "/clock", {"advance": duration})

    async def seen(self, instance: Any) -> tuple[str, list[str]]:
        """Status and the ids that completed, in order."""
        shown = await self.call("GET", f"/instances/{instance['id']}")
        trace = await self.call("GET", f"/instances/{instance['id']}/trace")
        assert all(row["element_type"] for row in trace), trace
        return shown["status"], [row["element_id"] for row in trace if row["event"] == "completed"]
