"""Jobs on a real broker: executed once, tried again, parked as an incident, called off, drained."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import NotFound
from app.core.settings import settings
from app.db.session import Session, reading, transaction
from app.engines import deployments, heartbeat, relay
from app.engines.spiff import models
from app.engines.spiff.specs import BundleFile
from app.engines.zeebe import broker, instances, lookup
from app.engines.zeebe.variables import Clear
from tests.conftest import RUN, alone, running
from tests.waiting import SECONDS, until
from tests.zeebe.conftest import carry, clinic, drawn, own, run_is, value, worker, worker_process, wrapped
from workers.jobs import BpmnError, Job, handlers, job
from workers.zeebe import STALE, Pulse, Worker

pytestmark = pytest.mark.engine
CANARY = "canary-7f3a-of-a-patient"


class Nothing(BaseModel):
    """No variable."""


class Said(BaseModel):
    words: str


class Answer(BaseModel):
    words: str
    urgent: Annotated[bool, Clear]


tries: Counter[str] = Counter()
broken: set[str] = set()


@job("test.once", Said, Answer, timeout=60)
async def once(session: Session, given: Said, job: Job) -> Answer:
    """Writes one row per call, under a name that takes any number of them."""
    tries[given.words] += 1
    name = f"{given.words}:{tries[given.words]}"
    await session.execute(text("insert into inbox (kind, key) values ('test', :key)"), {"key": name})
    return Answer(words=given.words, urgent=True)


@job("test.breaks", Said, Nothing, timeout=60)
async def breaks(session: Session, given: Said, job: Job) -> Nothing:
    tries[given.words] += 1
    await session.execute(text("insert into inbox (kind, key) values ('half', :key)"), {"key": given.words})
    if given.words in broken:
        raise RuntimeError(f"something with {CANARY} in it")
    return Nothing()


@job("test.business", Said, Nothing, timeout=60)
async def business(_session: Session, given: Said, job: Job) -> Nothing:
    raise BpmnError("NO_ROOM", "There is no room.")


async def deploy(actor: Actor, content: bytes) -> None:
    report = await deployments.check([BundleFile("model.bpmn", content)])
    await deployments.deploy(actor, report)


async def start(actor: Actor, process_id: str, **variables: Any) -> UUID:
    async with transaction() as session:
        model = await models.find(session, process_id)
        return await instances.start(session, actor, model, variables)


async def count(kind: str) -> int:
    return await value("select count(*) from inbox where kind = :kind", kind=kind)


async def test_an_analysis_runs_from_start_to_end(zeebe: str, staff: Actor, process_id: str) -> None:
    await clinic()
    await deploy(staff, own(process_id))
    async with worker():
        run_id = await start(staff, process_id, docid="HSP-1", patientid=1)
        await carry()
        await run_is(run_id, "completed")
    async with reading() as session:
        view = await lookup.view(session, staff, run_id)
        trace = await lookup.trace(session, staff, run_id)
    assert view.variables["result"] == ["rest for a week", "come again in May"]
    assert view.status == "completed"
    assert [(row.name, row.event) for row in trace] == [
        ("Get Diagnostics", "entered"),
        ("Get Diagnostics", "completed"),
        ("Get Analysis", "entered"),
        ("Get Analysis", "completed"),
    ]


async def test_a_drawn_process_hands_work_to_a_celery_chord_and_goes_on_with_its_result(
    zeebe: str, staff: Actor, process_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BROKER_URL", "RESULT_BACKEND"):
        monkeypatch.setenv(f"DAMS_CELERY__{name}", alone("zeebe"))
    settings.cache_clear()
    await clinic()
    await deploy(staff, drawn(process_id, "doctor_figures"))
    with running(["-m", "workers.celery_worker"], {}), running(["-m", "workers.relay"], {}):
        async with worker():
            run_id = await start(staff, process_id, docid="HSP-1")
            await run_is(run_id, "completed")
    async with reading() as session:
        view = await lookup.view(session, staff, run_id)
    patients = await value("select count(distinct patientid) from appointment where docid = 'HSP-1'")
    assert (view.variables["patients"], view.variables["requests"]) == (patients, 0)
    assert view.variables["message"].startswith("Doctor HSP-1 has ")
    asked = "select count(*) from engine_run where engine = 'celery' and name = 'doctor-stats'"
    assert await value(asked) == 1


async def test_a_start_that_is_carried_twice_runs_once(zeebe: str, staff: Actor, process_id: str) -> None:
    await deploy(staff, drawn(process_id, "test.once"))
    run_id = await start(staff, process_id, words=process_id)
    effects = await relay.claim(10)
    await asyncio.gather(*(relay.deliver(effect) for effect in effects * 3))
    async with worker():
        await run_is(run_id, "completed")
        again = await start(staff, process_id, words=f"{process_id}-2")
        await carry()
        await run_is(again, "completed")  # by now the other two instances have been called off
    assert await count("test") == 2


async def test_a_job_that_is_delivered_again_has_no_second_effect(
    zeebe: str, staff: Actor, process_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of the first delivery is lost after the handler's work was committed."""
    lost: list[int] = []

    async def lose(self: Pulse, job_key: int, variables: Any) -> Any:
        if variables and not lost:
            lost.append(job_key)
            await broker.set_job_timeout(job_key, 1)
            return None
        return await real(self, job_key, variables)

    real = Pulse.complete_job
    monkeypatch.setattr(Pulse, "complete_job", lose)
    await deploy(staff, drawn(process_id, "test.once"))
    async with worker():
        run_id = await start(staff, process_id, words=process_id)
        await carry()
        await run_is(run_id, "completed")
    assert lost
    assert tries[process_id] == 1
    assert await count("test") == 1


async def test_a_failing_job_is_tried_again_then_an_incident_that_ops_mends(
    zeebe: str, staff: Actor, ops: Actor, process_id: str
) -> None:
    broken.add(process_id)
    await deploy(staff, drawn(process_id, "test.breaks", retries=2))
    async with worker():
        run_id = await start(staff, process_id, words=process_id)
        await carry()
        await run_is(run_id, "failed")
        assert tries[process_id] == 2
        assert await count("half") == 0  # what a failed try wrote is gone
        async with reading() as session:
            view = await lookup.view(session, ops, run_id)
        [incident] = view.incidents
        assert (incident["element_id"], incident["code"], incident["message"]) == (
            "task_0",
            "job-failed",
            "RuntimeError",
        )
        broken.discard(process_id)
        async with transaction() as session:
            await instances.retry(session, ops, run_id, incident["n"])
        await carry()
        await run_is(run_id, "completed")
    async with reading() as session:
        assert (await lookup.view(session, ops, run_id)).incidents == []
    assert await count("half") == 1


async def test_a_missing_variable_is_named_at_once(zeebe: str, staff: Actor, process_id: str) -> None:
    await deploy(staff, own(process_id))
    async with worker():
        run_id = await start(staff, process_id, docid="HSP-1")
        await carry()
        await run_is(run_id, "failed")
    assert await value("select error from engine_run where id = :id", id=run_id) == "variable patientid is missing"
    assert await value("select attempts from zeebe_job where state = 'parked'") == 1


async def test_a_business_error_goes_where_the_model_catches_it(zeebe: str, staff: Actor, process_id: str) -> None:
    inside = """<bpmn:startEvent id="start" /><bpmn:serviceTask id="ask"><bpmn:extensionElements>
        <zeebe:taskDefinition type="test.business" /></bpmn:extensionElements></bpmn:serviceTask>
        <bpmn:boundaryEvent id="caught" attachedToRef="ask"><bpmn:outgoing>f3</bpmn:outgoing>
        <bpmn:errorEventDefinition id="e1" errorRef="full" /></bpmn:boundaryEvent>
        <bpmn:serviceTask id="instead"><bpmn:extensionElements>
        <zeebe:taskDefinition type="test.once" /></bpmn:extensionElements></bpmn:serviceTask>
        <bpmn:endEvent id="end" /><bpmn:endEvent id="end2" />
        <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="ask" />
        <bpmn:sequenceFlow id="f2" sourceRef="ask" targetRef="end" />
        <bpmn:sequenceFlow id="f3" sourceRef="caught" targetRef="instead" />
        <bpmn:sequenceFlow id="f4" sourceRef="instead" targetRef="end2" />"""
    error = '<bpmn:error id="full" name="No room" errorCode="NO_ROOM" />'
    await deploy(staff, wrapped(process_id, inside, error))
    async with worker():
        run_id = await start(staff, process_id, words=process_id)
        await carry()
        await run_is(run_id, "completed")
    assert tries[process_id] == 1


async def test_an_error_that_nothing_catches_is_an_incident_and_a_retry_starts_anew(
    zeebe: str, staff: Actor, ops: Actor, process_id: str
) -> None:
    await deploy(staff, drawn(process_id, "test.business"))
    async with worker():
        run_id = await start(staff, process_id, words=process_id)
        await carry()
        await run_is(run_id, "failed")
        said = "An error that the model does not catch: NO_ROOM: There is no room."
        assert await value("select error from engine_run where id = :id", id=run_id) == said
        async with transaction() as session:
            await instances.retry(session, ops, run_id, 1)
        await carry()
        await run_is(run_id, "failed")
    assert await value("select count(*) from incident where run_id = :id", id=run_id) == 2


async def test_a_cancelled_run_does_nothing_more(zeebe: str, staff: Actor, process_id: str) -> None:
    await deploy(staff, drawn(process_id, "test.once"))
    called_off = await start(staff, process_id, words=process_id)
    await carry()
    async with transaction() as session:
        await instances.cancel(session, staff, called_off, "asked for by mistake")
    await carry()
    async with worker():
        other = await start(staff, process_id, words=f"{process_id}-2")
        await carry()
        await run_is(other, "completed")
    assert tries[process_id] == 0
    assert await value("select status from engine_run where id = :id", id=called_off) == "cancelled"


async def test_a_gateway_decides_on_what_a_handler_declares_clear(zeebe: str, staff: Actor, process_id: str) -> None:
    inside = """<bpmn:startEvent id="start" /><bpmn:serviceTask id="ask"><bpmn:extensionElements>
        <zeebe:taskDefinition type="test.once" /></bpmn:extensionElements></bpmn:serviceTask>
        <bpmn:exclusiveGateway id="choose" default="calm" /><bpmn:serviceTask id="more"><bpmn:extensionElements>
        <zeebe:taskDefinition type="test.once" /></bpmn:extensionElements></bpmn:serviceTask>
        <bpmn:endEvent id="end" /><bpmn:endEvent id="end2" />
        <bpmn:sequenceFlow id="f1" sourceRef="start" targetRef="ask" />
        <bpmn:sequenceFlow id="f2" sourceRef="ask" targetRef="choose" />
        <bpmn:sequenceFlow id="calm" sourceRef="choose" targetRef="end" />
        <bpmn:sequenceFlow id="f4" sourceRef="choose" targetRef="more">
          <bpmn:conditionExpression xsi:type="bpmn:tFormalExpression">=urgent</bpmn:conditionExpression>
        </bpmn:sequenceFlow>
        <bpmn:sequenceFlow id="f5" sourceRef="more" targetRef="end2" />"""
    await deploy(staff, wrapped(process_id, inside))
    async with worker():
        run_id = await start(staff, process_id, words=process_id)
        await carry()
        await run_is(run_id, "completed")
    assert tries[process_id] == 2


async def test_nothing_that_a_patient_is_lies_in_the_brokers_folder(
    zeebe: str, staff: Actor, process_id: str, capfd: pytest.CaptureFixture[str]
) -> None:
    await deploy(staff, drawn(process_id, "test.once"))
    async with worker():
        run_id = await start(staff, process_id, words=CANARY)
        await carry()
        await run_is(run_id, "completed")
        failing = await start(staff, process_id, words=17)
        await carry()
        await run_is(failing, "failed")
    async with reading() as session:
        assert (await lookup.view(session, staff, run_id)).variables["words"] == CANARY
    folder = Path(os.environ[RUN]) / "zeebe/data"
    assert await asyncio.to_thread(files_with, CANARY, folder) == ""
    assert await asyncio.to_thread(files_with, process_id, folder)  # the folder is the one where this process ran
    assert CANARY not in capfd.readouterr().err


def files_with(words: str, folder: Path) -> str:
    return subprocess.run(["grep", "-rlaF", words, folder], capture_output=True, text=True, check=False).stdout


async def test_each_job_is_logged_before_and_after_without_a_value(zeebe: str, staff: Actor, process_id: str) -> None:
    await clinic()
    await deploy(staff, own(process_id))
    with worker_process() as process:
        run_id = await start(staff, process_id, docid="HSP-1", patientid=2)
        await carry()
        await run_is(run_id, "completed")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 120) == 0
        log = process.log.read_text()  # pyright: ignore[reportAttributeAccessIssue]
    key = await value("select key from zeebe_job where type = 'select_diagnosis'")
    lines = [line for line in log.splitlines() if str(key) in line]
    assert "event='job' type='select_diagnosis'" in lines[0]
    assert "event='job ended' type='select_diagnosis'" in lines[1]
    assert "status='done'" in lines[1]
    assert "drink more water" not in log
    assert await value("select count(*) from worker_heartbeat") == 0  # it said goodbye


async def test_a_worker_says_which_job_types_it_serves_and_how_old_its_polls_are(zeebe: str) -> None:
    async with worker():

        async def sign() -> Any:
            async with reading() as session:
                return next((one for one in await heartbeat.signs(session) if one.kind == "zeebe-worker"), None)

        found = await until(sign)
    assert "select_diagnosis" in found.data["types"]
    assert found.data["polled"]["select_diagnosis"] < 30
    assert found.data["clear"]["test.once"] == ["urgent"]


async def test_a_worker_whose_polls_have_stopped_ends_with_an_error(
    zeebe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker answers and the polls do not come back: the process must not look alive."""
    monkeypatch.setenv("DAMS_ZEEBE__STALE_SECONDS", "1")
    settings.cache_clear()

    async def hang(self: Pulse, *_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr(Pulse, "activate_jobs", hang)
    one = Worker({"test.once": handlers["test.once"]})
    assert await asyncio.wait_for(one.run(), SECONDS) == STALE


async def test_the_time_without_a_broker_makes_no_poll_late(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker takes a minute to start: the worker that waited so long must not end the moment it is there."""
    monkeypatch.setenv("DAMS_ZEEBE__ADDRESS", "127.0.0.1:9")
    settings.cache_clear()
    pulse = Pulse(broker.channel())
    pulse.polled = {"test.once": time.monotonic() - 100_000}
    watching = asyncio.create_task(Worker({"test.once": handlers["test.once"]})._watch(pulse))

    async def anew() -> bool:
        return pulse.ages()["test.once"] < 50_000

    await until(anew)
    assert not watching.done()
    watching.cancel()
    await asyncio.wait([watching])
    await pulse._channel.close()
    await broker.close()


async def test_a_worker_waits_for_a_broker_that_is_away(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_ZEEBE__ADDRESS", "127.0.0.1:9")
    monkeypatch.setenv("DAMS_ZEEBE__STALE_SECONDS", "0.5")
    settings.cache_clear()
    async with worker() as one:
        began = time.monotonic()

        async def older() -> bool:
            seen = await value("select max(seen_at - started_at) > interval '3 s' from worker_heartbeat")
            return bool(seen)

        await until(older)
        assert time.monotonic() - began > 1
    assert one
    await broker.close()


async def test_a_process_that_the_broker_does_not_know_is_not_found(zeebe: str) -> None:
    with pytest.raises(NotFound):
        await broker.create("P_nobody_deployed_this", {})
