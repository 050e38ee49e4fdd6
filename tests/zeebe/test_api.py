"""Zeebe through the API: deploying, both ways to start, following, cancelling, and what a lost server answers."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from pyzeebe.errors import ProcessTimeoutError, ZeebeBackPressureError
from werkzeug.test import TestResponse

from app.clinic import accounts
from app.core.actor import Actor
from app.core.loop import loop_thread
from app.core.settings import settings
from app.db.session import transaction
from app.dev import seed
from app.engines.zeebe import broker
from tests import drawing
from tests.serving import application
from tests.waiting import until
from tests.zeebe.conftest import DIAGNOSTICS, carry, clinic, drawn, own, pass_on, run_is, value, worker

pytestmark = pytest.mark.engine
DEPLOYMENTS = "/api/v1/deployments"
ASKED = {"docid": "HSP-1", "patientid": 2}


class Caller:
    """One person's program. Its calls run beside the loop of the test, on which the worker works."""

    def __init__(self, client: FlaskClient, token: str) -> None:
        self._client, self._headers = client, {"Authorization": f"Bearer {token}"}

    async def send(self, method: str, path: str, **given: Any) -> TestResponse:
        return await asyncio.to_thread(self._client.open, path, method=method, headers=self._headers, **given)

    async def deploy(
        self, content: bytes, path: str = DEPLOYMENTS, name: str = "model.bpmn", **form: str
    ) -> TestResponse:
        return await self.send("POST", path, data={"file": (io.BytesIO(content), name), **form})


@pytest.fixture
async def web(zeebe: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FlaskClient]:
    monkeypatch.setattr("app.web.api.diagnosis.SECONDS", 100.0)
    yield application().test_client()
    await asyncio.to_thread(loop_thread.run, broker.close())


async def caller(web: FlaskClient, person: Actor) -> Caller:
    async with transaction() as session:
        made = await accounts.issue_token(session, person)
    return Caller(web, made.value)


async def test_a_file_keeps_its_version_until_it_changes(web: FlaskClient, modeler: Actor, process_id: str) -> None:
    person = await caller(web, modeler)
    first, same, changed = [
        await person.deploy(content, path="/diagnosis/bpmn/deploy")
        for content in (own(process_id), own(process_id), own(process_id).replace(b"Get Analysis", b"Get the analysis"))
    ]
    answers = [one.get_json()["data"][0] for one in (first, same, changed)]
    assert [one.status_code for one in (first, same, changed)] == [201, 201, 201]
    assert [(one["version"], one["engine_version"], one["changed"]) for one in answers] == [
        (1, 1, True),
        (1, 1, False),
        (2, 2, True),
    ]
    assert answers[0]["key"] == answers[1]["key"] != answers[2]["key"]
    assert {one["engine"] for one in answers} == {"zeebe"}


async def test_what_only_zeebe_finds_is_a_problem_with_its_element(
    web: FlaskClient, modeler: Actor, process_id: str
) -> None:
    person = await caller(web, modeler)
    refused = await person.deploy(own(process_id).replace(b'source="=data"', b'source="=data +"'))
    assert refused.status_code == 422
    [problem] = [one for one in refused.get_json()["problems"] if one["severity"] == "error"]
    assert (problem["rule"], problem["element_id"], problem["file"]) == (
        "zeebe-refused",
        "Activity_GetAnalysis",
        "model.bpmn",
    )
    assert await value("select count(*) from model") == 0


async def test_a_broken_file_is_refused_before_zeebe_sees_it(web: FlaskClient, modeler: Actor) -> None:
    person = await caller(web, modeler)
    refused = await person.deploy(
        b"<?xml version='1.0'?><!DOCTYPE x>" + DIAGNOSTICS[40:], path="/diagnosis/bpmn/deploy"
    )
    assert refused.status_code == 422
    assert refused.get_json()["problems"][0]["rule"] == "doctype"


async def test_a_job_type_that_nobody_serves_is_refused_with_the_nearest_names(
    web: FlaskClient, modeler: Actor, process_id: str
) -> None:
    person = await caller(web, modeler)
    warned = await person.deploy(drawn(process_id, "select_diagnoses"))
    assert [one["rule"] for one in warned.get_json()["problems"]] == ["no-worker"]
    async with worker():
        await until(lambda: value("select 1 from worker_heartbeat"))
        refused = await person.deploy(drawn(process_id, "select_diagnoses"))
    [problem] = refused.get_json()["problems"]
    assert refused.status_code == 422
    assert (problem["rule"], problem["element_id"]) == ("job-type-unserved", "task_0")
    assert problem["fix"].startswith("did you mean select_diagnosis")


async def test_a_file_for_another_engine_than_asked_for_is_refused(
    web: FlaskClient, modeler: Actor, process_id: str
) -> None:
    person = await caller(web, modeler)
    refused = await person.deploy(own(process_id), engine="spiff")
    assert refused.status_code == 422
    assert "other-engine" in [one["rule"] for one in refused.get_json()["problems"]]
    taken = await person.deploy(own(process_id), engine="zeebe")
    assert taken.get_json()["models"][0]["engine"] == "zeebe"
    inactive = await person.deploy(own(process_id), activate="false")
    assert inactive.status_code == 422
    assert "activate" in inactive.get_json()["errors"]


async def test_an_analysis_answers_with_the_resolutions_of_this_doctor_and_this_patient(
    web: FlaskClient, admin: Actor
) -> None:
    await clinic()
    person = await caller(web, admin)
    assert (await person.send("POST", "/diagnosis/bpmn/deploy")).status_code == 201
    async with worker():
        answer = await person.send("POST", "/diagnosis/analysis/text", json={"docid": "HSP-1", "patientid": 1})
        other = await person.send("POST", "/diagnosis/analysis/text", json={"docid": "HSP-2", "patientid": 1})
        nothing = await person.send("POST", "/diagnosis/analysis/text", json={"docid": "HSP-2", "patientid": 2})
    assert answer.status_code == 201
    assert answer.get_json()["result"] == ["rest for a week", "come again in May"]
    assert other.get_json()["result"] == ["use the cream"]
    assert nothing.get_json()["result"] == []
    followed = await person.send("GET", answer.headers["Location"])
    assert (followed.get_json()["status"], followed.get_json()["engine"]) == ("completed", "zeebe")


async def test_what_ships_is_deployed_once_and_answers_at_once(web: FlaskClient, admin: Actor) -> None:
    for _ in range(2):
        await seed.deploy_to_zeebe()
    kept = "select count(*) from model where process_id = 'Process_Diagnostics' and active and external_version > 0"
    assert await value(kept) == 1
    await clinic()
    person = await caller(web, admin)
    async with worker():
        answer = await person.send("POST", "/diagnosis/analysis/text", json={"docid": "HSP-1", "patientid": 2})
    assert answer.status_code == 201, answer.get_json()
    assert answer.get_json()["result"] == ["drink more water"]


async def test_what_somebody_deployed_is_not_replaced_by_what_ships(web: FlaskClient, admin: Actor) -> None:
    await seed.deploy_to_zeebe()
    person = await caller(web, admin)
    changed = DIAGNOSTICS.replace(b"<bpmn:process ", b"<!-- ours --><bpmn:process ", 1)
    assert (await person.deploy(changed)).status_code == 201
    await seed.deploy_to_zeebe()
    active = "select xml like '%ours%' from (select convert_from(xml, 'utf8') as xml from model where active) m"
    assert await value(active) is True


async def test_a_process_in_dams_goes_on_with_what_a_process_on_zeebe_found(web: FlaskClient, admin: Actor) -> None:
    await clinic()
    await seed.deploy_to_zeebe()
    person = await caller(web, admin)
    given = "".join(f'<camunda:inputParameter name="{one}">${{{one}}}</camunda:inputParameter>' for one in ASKED)
    task = (
        '<bpmn:serviceTask id="job" camunda:type="external" camunda:topic="zeebe:Process_Diagnostics" '
        f'camunda:resultVariable="found"><bpmn:extensionElements><camunda:inputOutput>{given}'
        '<camunda:outputParameter name="advice">${found.result}</camunda:outputParameter>'
        "</camunda:inputOutput></bpmn:extensionElements></bpmn:serviceTask>"
    )
    assert (await person.deploy(drawing.sequence("Own", task))).status_code == 201
    begun = await person.send("POST", "/api/v1/models/Own/instances", json={"variables": ASKED})
    assert begun.get_json()["waiting"][0]["kind"] == "job"

    async def ended() -> bool:
        await pass_on()
        return await value("select status from instance") == "completed"

    async with worker():
        await until(ended)
    kept = "select variables->'advice' from instance"
    assert await value(kept) == ["drink more water"]
    one_case = "select count(distinct case_no) from case_event where kind like 'zeebe.%' or kind like 'instance.%'"
    assert await value(one_case) == 1


async def test_bad_input_is_named_by_field(web: FlaskClient, admin: Actor) -> None:
    person = await caller(web, admin)
    refused = await person.send("POST", "/diagnosis/analysis/text", json={"docid": "", "patientid": "one"})
    assert refused.status_code == 422
    assert set(refused.get_json()["errors"]) == {"docid", "patientid"}


async def test_without_a_worker_the_answer_is_504_and_the_run_is_called_off(
    web: FlaskClient, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.api.diagnosis.SECONDS", 2.0)
    person = await caller(web, admin)
    await person.send("POST", "/diagnosis/bpmn/deploy")
    answer = await person.send("POST", "/diagnosis/analysis/text", json={"docid": "HSP-1", "patientid": 1})
    assert answer.status_code == 504
    assert await value("select status from engine_run") == "cancelled"


async def test_an_answer_reaches_its_caller_although_another_call_takes_the_connection_down(
    web: FlaskClient, admin: Actor, process_id: str
) -> None:
    await clinic()
    person = await caller(web, admin)
    await person.send("POST", "/diagnosis/bpmn/deploy")
    await person.deploy(drawn(process_id, "nobody.serves.this"))
    link = broker._link()
    asked = {"docid": "HSP-1", "patientid": 2}
    waiting = asyncio.create_task(person.send("POST", "/diagnosis/analysis/text", json=asked))

    async def begun() -> bool:
        return await value("select count(*) from engine_run") == 1

    await until(begun)

    async def times_out() -> bool:
        """Zeebe 8.5 closes the connection under a call that runs out of time; a busy one refuses it at first."""
        try:
            await link.client.run_process_with_result(process_id, {}, timeout=1000)
        except ProcessTimeoutError:
            return True
        except ZeebeBackPressureError:
            return False
        raise AssertionError("it was served")

    await until(times_out)
    async with worker():
        answer = await waiting
    assert answer.status_code == 201, answer.get_json()
    assert answer.get_json()["result"] == ["drink more water"]


async def test_a_call_that_waits_for_an_engine_holds_up_nobody(web: FlaskClient, admin: Actor) -> None:
    await clinic()
    person = await caller(web, admin)
    await person.send("POST", "/diagnosis/bpmn/deploy")
    given = {"docid": "HSP-1", "patientid": 1}
    waiting = asyncio.create_task(person.send("POST", "/diagnosis/analysis/text", json=given))

    async def begun() -> bool:
        return await value("select count(*) from engine_run where status <> 'cancelled'") == 1

    await until(begun)

    async def ready() -> bool:
        answer = await person.send("GET", "/readyz")
        return (answer.status_code, answer.get_json()["engines"]["zeebe"]) == (200, "up")  # by its topology

    await until(ready)
    assert not waiting.done()
    async with worker():
        assert (await waiting).status_code == 201


async def test_without_a_broker_every_call_says_which_server_is_away_and_nothing_is_stored(
    web: FlaskClient, admin: Actor, process_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await caller(web, admin)
    await person.send("POST", "/diagnosis/bpmn/deploy")
    monkeypatch.setenv("DAMS_ZEEBE__ADDRESS", "127.0.0.1:9")
    monkeypatch.setenv("DAMS_ZEEBE__CALL_SECONDS", "3")
    settings.cache_clear()
    analysis = await person.send("POST", "/diagnosis/analysis/text", json={"docid": "HSP-1", "patientid": 1})
    deployed = await person.deploy(own(process_id))
    assert (analysis.status_code, deployed.status_code) == (503, 503)
    assert (analysis.get_json()["engine"], deployed.get_json()["engine"]) == ("zeebe", "zeebe")
    assert await value("select count(*) from model where process_id = :id", id=process_id) == 0
    begun = await person.send("POST", "/diagnosis/analysis/start", json={"docid": "HSP-1", "patientid": 1})
    assert begun.status_code == 202  # accepted: the outbox waits for the broker
    await pass_on()
    assert await value("select state from outbox where kind = 'zeebe.start'") == "pending"
    assert await value("select attempts from outbox where kind = 'zeebe.start'") == 0


async def test_a_start_without_result_is_followed_listed_and_cancelled(web: FlaskClient, admin: Actor) -> None:
    await clinic()
    person = await caller(web, admin)
    await person.send("POST", "/diagnosis/bpmn/deploy")
    asked = {"docid": "HSP-1", "patientid": 2}
    begun = await person.send("POST", "/diagnosis/analysis/start", json=asked)
    place = begun.headers["Location"]
    shown = (await person.send("GET", place)).get_json()
    assert (begun.status_code, shown["status"], shown["engine"]) == (202, "running", "zeebe")
    assert shown["variables"] == asked
    assert shown["waiting"]
    async with worker():
        await carry()
        await run_is(UUID(shown["id"]), "completed")
        called_off = await person.send("POST", "/diagnosis/analysis/start", json=asked)
        gone = await person.send("DELETE", called_off.headers["Location"], json={"reason": "by mistake"})
    done = (await person.send("GET", place)).get_json()
    assert (done["status"], done["variables"]["result"]) == ("completed", ["drink more water"])
    assert (gone.status_code, gone.get_json()["status"]) == (202, "cancelled")
    again = await person.send("DELETE", called_off.headers["Location"], json={"reason": "by mistake"})
    assert again.status_code == 409
    listed = (await person.send("GET", "/api/v1/instances?process_id=Process_Diagnostics")).get_json()["items"]
    assert [row["status"] for row in listed] == ["cancelled", "completed"]
    trace = (await person.send("GET", f"{place}/trace")).get_json()
    assert [row["event"] for row in trace] == ["entered", "completed", "entered", "completed"]


async def test_the_same_idempotency_key_starts_one_instance(web: FlaskClient, admin: Actor, process_id: str) -> None:
    person = await caller(web, admin)
    await person.deploy(own(process_id))
    person._headers["Idempotency-Key"] = "once"
    path = f"/api/v1/models/{process_id}/instances"
    first = await person.send("POST", path, json={"variables": {"docid": "HSP-1"}, "business_key": "b-7"})
    second = await person.send("POST", path, json={"variables": {"docid": "HSP-1"}, "business_key": "b-7"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json()["id"] == second.get_json()["id"]
    assert second.get_json()["business_key"] == "b-7"
    assert await value("select count(*) from engine_run") == 1


async def test_a_patient_sees_nobody_elses_analysis(web: FlaskClient, admin: Actor, patient: Actor) -> None:
    person, other = await caller(web, admin), await caller(web, patient)
    await person.send("POST", "/diagnosis/bpmn/deploy")
    begun = await person.send("POST", "/diagnosis/analysis/start", json={"docid": "HSP-1", "patientid": 2})
    asked = await other.send("POST", "/diagnosis/analysis/text", json={"docid": "HSP-1", "patientid": 2})
    assert (await other.send("GET", begun.headers["Location"])).status_code == 404
    assert asked.status_code == 403


async def test_the_pages_say_which_engine_runs_a_model(web: FlaskClient, admin: Actor, process_id: str) -> None:
    person = await caller(web, admin)
    await person.deploy(own(process_id))
    async with transaction() as session:
        cookie = await accounts.open_session(session, admin)
    web.set_cookie("dams_session", cookie)
    page = (await asyncio.to_thread(web.get, "/models")).get_data(as_text=True)
    assert '<td data-label="Engine">Zeebe</td>' in page


async def test_the_page_brings_the_analysis_and_says_what_is_missing(web: FlaskClient, admin: Actor) -> None:
    await clinic()
    person = await caller(web, admin)
    await person.send("POST", "/diagnosis/bpmn/deploy")
    async with transaction() as session:
        web.set_cookie("dams_session", await accounts.open_session(session, admin))
    page = (await asyncio.to_thread(web.get, "/diagnosis")).get_data(as_text=True)
    assert "A C, Cardiology (HSP-1)" in page
    token = page.split('name="csrf_token" value="')[1].split('"')[0]

    async def ask(docid: str, patientid: str) -> TestResponse:
        form = {"csrf_token": token, "docid": docid, "patientid": patientid}
        return await asyncio.to_thread(web.post, "/diagnosis", data=form)

    async with worker():
        answer = await ask("HSP-1", "1")
    assert (answer.status_code, "<li>come again in May</li>" in answer.get_data(as_text=True)) == (200, True)
    wrong = await ask("HSP-1", "one")
    assert (wrong.status_code, "A patient&#39;s number, e.g. 12." in wrong.get_data(as_text=True)) == (422, True)
