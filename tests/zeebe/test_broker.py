"""The link to the broker: its three kinds, many starts at once, a broker that is killed and comes back."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from uuid import UUID

import grpc
import pytest
from pydantic import ValidationError

from app.core.actor import Actor
from app.core.settings import Settings, settings
from app.db.session import transaction
from app.dev import zeebe as server
from app.dev.state import free_ports
from app.engines import deployments, relay
from app.engines.spiff import models
from app.engines.spiff.specs import BundleFile
from app.engines.zeebe import broker, instances
from tests import ondemand
from tests.waiting import until
from tests.zeebe import server as own_server
from tests.zeebe.conftest import carry, clinic, drawn, own, pass_on, run_is, value, worker
from tests.zeebe.test_worker import once, tries


@pytest.mark.parametrize("kind", ["insecure", "tls", "oauth"])
async def test_a_channel_of_each_kind_can_be_made(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_ZEEBE__CHANNEL", kind)
    monkeypatch.setenv("DAMS_ZEEBE__CLIENT_ID", "dams")
    monkeypatch.setenv("DAMS_ZEEBE__CLIENT_SECRET", "a-secret")
    monkeypatch.setenv("DAMS_ZEEBE__TOKEN_URL", "https://login.example/token")
    settings.cache_clear()
    made = broker.channel()
    assert isinstance(made, grpc.aio.Channel)
    await made.close()


def test_another_kind_of_channel_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_ZEEBE__CHANNEL", "telnet")
    with pytest.raises(ValidationError, match=r"zeebe\.channel"):
        Settings()


async def deploy(actor: Actor, content: bytes) -> None:
    await deployments.deploy(actor, await deployments.check([BundleFile("model.bpmn", content)]))


async def start(actor: Actor, process_id: str, count: int) -> list[UUID]:
    async with transaction() as session:
        model = await models.find(session, process_id)
        return [
            await instances.start(session, actor, model, {"words": f"{process_id}-{number}"}) for number in range(count)
        ]


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_of_four_hundred_starts_at_once_none_is_lost_and_none_doubled(
    zeebe: str, staff: Actor, process_id: str
) -> None:
    await deploy(staff, drawn(process_id, "test.once"))
    await start(staff, process_id, 400)
    async with worker():

        async def carried() -> bool:
            while effects := await relay.claim(8):  # as many as a relay has in hand
                await asyncio.gather(*(relay.deliver(effect) for effect in effects))
            return not await value("select count(*) from outbox where state = 'pending'")

        await until(carried)

        async def completed() -> bool:
            return await value("select count(*) from engine_run where status = 'completed'") == 400

        await until(completed)
    assert await value("select count(*) from inbox where kind = 'test'") == 400
    assert {count for words, count in tries.items() if words.startswith(process_id)} == {1}
    assert once


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_work_is_done_when_a_killed_broker_is_back(
    database_url: str, staff: Actor, process_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker of the test's own: killed with a run accepted before and one after; the same worker goes on."""
    ports = dict(zip(own_server.NAMES, free_ports(len(own_server.NAMES)), strict=True))
    address = f"127.0.0.1:{ports['zeebe']}"
    monkeypatch.setenv("DAMS_ZEEBE__ADDRESS", address)
    monkeypatch.setenv("DAMS_ZEEBE__CALL_SECONDS", "100")
    monkeypatch.setenv("DAMS_ZEEBE__STALE_SECONDS", "240")
    settings.cache_clear()
    await clinic()
    process = own_server.start(tmp_path, ports)
    try:
        await until(lambda: server.answers(address))
        await deploy(staff, own(process_id))
        async with transaction() as session:
            model = await models.find(session, process_id)
            asked = {"docid": "HSP-1", "patientid": 1}
            before = await instances.start(session, staff, model, asked)
        await carry()  # the broker has it; no worker runs yet
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        async with transaction() as session:
            after = await instances.start(session, staff, model, asked)
        await pass_on()
        async with worker():
            process = own_server.start(tmp_path, ports)
            await until(lambda: server.answers(address))
            await carry()
            await run_is(before, "completed")
            await run_is(after, "completed")
    finally:
        ondemand.end(process)
        await broker.close()
