"""A mail server that a test can make refuse or hang, real relay processes, and models with a timer."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as Peer
from sqlalchemy import text

from app.core.actor import Actor
from app.core.settings import settings
from app.db.session import reading, transaction
from app.engines import outbox
from app.engines.spiff import instances, models
from app.engines.spiff.records import InstanceView
from app.engines.spiff.specs import BundleFile
from tests.conftest import running
from tests.waiting import until

PATIENT = {"DAMS_MAIL__ANSWER_SECONDS": "200", "DAMS_RELAY__LEASE_SECONDS": "600"}
"""What a test holds back is not given up meanwhile."""
NEVER = PATIENT | {"DAMS_RELAY__POLL_SECONDS": "3600"}
OFTEN = PATIENT | {"DAMS_RELAY__POLL_SECONDS": "0.1"}


class Post:
    """The mail server's side: what arrived, and what it answers next."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.recipients: list[list[str]] = []
        self.answers: list[str] = []
        self.usual = "250 taken"
        self.open = asyncio.Event()
        self.open.set()
        self.at_once = self.most_at_once = 0

    async def handle_DATA(self, _server: SMTP, _peer: Peer, envelope: Envelope) -> str:  # noqa: N802 - its name
        answer = self.answers.pop(0) if self.answers else self.usual
        if answer.startswith("250"):
            self.got.append(message_from_bytes(bytes(envelope.content or b""))["Message-ID"])
            self.recipients.append(envelope.rcpt_tos)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.open.wait()
        self.at_once -= 1
        return answer


@pytest.fixture
async def post(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    box = Post()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(box), "127.0.0.1", 0)
    monkeypatch.setenv("DAMS_MAIL__PORT", str(server.sockets[0].getsockname()[1]))
    settings.cache_clear()
    yield box
    server.close()


@contextlib.contextmanager
def relay(further: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A relay process on the test's database and mail server."""
    with running(["-m", "workers.relay"], further or OFTEN) as process:
        yield process


async def value(sql: str, **given: Any) -> Any:
    async with reading() as session:
        return await session.scalar(text(sql), given)


async def listening(at_least: int = 1) -> None:
    """Until so many relays have said LISTEN."""
    sql = """select count(*) from pg_stat_activity
             where datname = current_database() and query ilike 'listen%'"""

    async def enough() -> bool:
        return await value(sql) >= at_least

    await until(enough)


async def ask_for_mail(key: str, username: str = "ops") -> bool:
    async with transaction() as session:
        given = {"to_login": [username], "subject": f"About {key}", "text": "Hello."}
        return await outbox.enqueue(session, "mail", key, given)


async def states() -> dict[str, str]:
    async with reading() as session:
        return {row.key: row.state for row in await session.execute(text("select key, state from outbox"))}


async def all_sent() -> bool:
    return set((await states()).values()) == {"sent"}


async def message_ids() -> set[str]:
    async with reading() as session:
        return {f"<{row.id}@dams>" for row in await session.execute(text("select id from outbox"))}


async def deploy(actor: Actor, content: bytes) -> None:
    report = await models.check([BundleFile("model.bpmn", content)])
    async with transaction() as session:
        await models.deploy(session, actor, report)


async def start(actor: Actor, process_id: str) -> InstanceView:
    async with transaction() as session:
        return await instances.start(session, actor, process_id, {})


async def status(instance_id: UUID) -> str:
    return await value("select status from instance where id = :id", id=instance_id)
