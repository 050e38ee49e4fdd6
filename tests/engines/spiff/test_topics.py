"""Calls and mails that a model names: allowed or refused when it is deployed, made once, their answers carried back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import ModelRefused
from app.core.settings import settings
from app.db.session import reading, transaction
from app.engines import control, relay, runs
from app.engines.spiff import checks, instances
from app.engines.spiff.specs import BundleFile
from tests import drawing
from tests.engines.conftest import Post
from tests.engines.spiff.test_instances import complete, deploy, start
from tests.engines.spiff.test_jobs import announce, asked, ends, kept, run_of, service, shown


class Laboratory:
    """A server that a model may call: what it was asked, and what it answers next."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.address = ""


@pytest.fixture
def laboratory(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Laboratory]:
    it = Laboratory()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            it.asked.append((self.command, self.path, dict(self.headers), json.loads(body) if body else None))
            json_headers = {"Content-Type": "application/json"}
            status, headers, content = it.answers.pop(0) if it.answers else (200, json_headers, b'{"found": [1, 2]}')
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    it.address = f"http://127.0.0.1:{server.server_port}/api"
    allow(monkeypatch, url=it.address, models=True, private=True, token="t-1")
    yield it
    server.shutdown()
    server.server_close()


def allow(monkeypatch: pytest.MonkeyPatch, **connection: Any) -> None:
    monkeypatch.setenv("DAMS_FLOW__CONNECTIONS", json.dumps({"lab": connection}))
    settings.cache_clear()


def call(url: str, *further: str) -> bytes:
    return drawing.sequence("Own", service("http", asked("url", url) + "".join(further)))


async def carry() -> None:
    """What the relay does, until nothing is due."""
    while effects := await relay.claim(100):
        for effect in effects:
            await relay.deliver(effect)


async def due() -> None:
    """The pause before the next try is over."""
    async with transaction() as session:
        await session.execute(text("update outbox set next_at = now() where state = 'pending'"))
    await carry()


def problems(model: bytes) -> set[tuple[str, str]]:
    return {(one.rule, one.element_id) for one in checks.run([BundleFile("m.bpmn", model)]).problems}


@pytest.mark.parametrize(
    ("topic", "inner"),
    [
        ("http", ""),
        ("http", asked("url", "http://127.0.0.1:1/elsewhere")),
        ("http", asked("url", "http://169.254.169.254/api/x")),
        ("http", asked("url", "http://lab.example.org.evil.example/api/x")),
        ("http", asked("url", "http://user@lab.example.org/api/x")),
        ("http", asked("url", "http://lab.example.org/api/../admin")),
        ("http", asked("url", "http://lab.example.org/api/%2e%2e/admin")),
        ("http", asked("url", "http://lab.example.org/apiary")),
        ("http", asked("url", "http://lab.example.org/api") + asked("verb", "GET")),
        ("http", asked("url", "http://lab.example.org/api") + asked("method", "TRACE")),
        ("http", asked("url", "http://lab.example.org/api") + asked("timeout", "600")),
        ("mail", asked("to", "a@b.example")),
        ("mail", asked("template", "visit-over")),
        ("mail", asked("to", "a@b.example") + asked("template", "nonsense")),
        ("mail", asked("to", "a@b.example") + asked("template", "visit-over")),
        ("mail", asked("to", "a@b.example") + asked("subject", "S") + asked("text", "{name}")),
        ("mail", asked("to", "a@b.example") + asked("subject", "S") + asked("text", "T") + asked("name", "n")),
        ("temporal:AttendVisitWorkflow", ""),
        ("temporal:AttendVisitWorkflow", asked("ticketid", "${t}") + asked("docid", "x")),
        ("temporal:BillVisitWorkflow", asked("ticketid", "${t}")),
        ("temporal:NoSuchWorkflow", asked("ticketid", "${t}")),
    ],
)
def test_what_a_topic_cannot_do_is_refused_with_the_element(
    monkeypatch: pytest.MonkeyPatch, topic: str, inner: str
) -> None:
    allow(monkeypatch, url="http://lab.example.org/api", models=True)
    assert ("job-inputs", "job") in problems(drawing.sequence("Own", service(topic, inner)))


@pytest.mark.parametrize("topic", ["https", "mail:x", "temporal:", "temporal", "http:x", "shell:ls"])
def test_a_topic_that_nothing_serves_is_refused(topic: str) -> None:
    assert ("unbound-service", "job") in problems(drawing.sequence("Own", service(topic)))


@pytest.mark.parametrize(
    ("topic", "inner"),
    [
        ("http", asked("url", "http://lab.example.org/api/x?q=1") + asked("body", "${b}") + asked("retries", "0")),
        ("http", asked("url", "${address}")),
        ("mail", asked("to_patient", "${p}") + asked("template", "visit-over") + asked("ticketid", "${t}")),
        ("mail", asked("to_role", "ops") + asked("subject", "On {day}") + asked("text", "T") + asked("day", "${d}")),
        ("temporal:AttendVisitWorkflow", asked("ticketid", "${t}")),
        ("temporal:BillVisitWorkflow", asked("ticketid", "${t}") + asked("charge", "20.00")),
    ],
)
def test_what_a_topic_can_do_is_deployed(monkeypatch: pytest.MonkeyPatch, topic: str, inner: str) -> None:
    allow(monkeypatch, url="http://lab.example.org/api", models=True)
    assert not {rule for rule, _ in problems(drawing.sequence("Own", service(topic, inner)))} & {
        "job-inputs", "unbound-service",
    }  # fmt: skip


def test_a_connection_of_flows_alone_is_not_for_models(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, url="http://lab.example.org/api")
    assert ("job-inputs", "job") in problems(call("http://lab.example.org/api/x"))


async def test_a_call_is_made_and_its_answer_goes_on(staff: Actor, laboratory: Laboratory) -> None:
    body = '<camunda:inputParameter name="body"><camunda:map><camunda:entry key="docid">${doctor}</camunda:entry>'
    body += "</camunda:map></camunda:inputParameter>"
    model = call(
        laboratory.address + "/find?x=1", asked("method", "POST"), body, kept("found", "${body.found}"),
    )  # fmt: skip
    await deploy(staff, model)
    instance = await start(staff, "Own", variables={"doctor": "HSP-1"})
    run = await run_of(instance.id)
    assert (run.engine, run.name, run.status) == ("http", "POST 127.0.0.1", "requested")
    await carry()
    after = await shown(staff, instance.id)
    assert (after.status, after.variables) == ("completed", {"doctor": "HSP-1", "found": [1, 2]})
    [(method, path, headers, sent)] = laboratory.asked
    assert (method, path, sent) == ("POST", "/api/find?x=1", {"docid": "HSP-1"})
    assert (headers["Idempotency-Key"], headers["Authorization"]) == (str(run.id), "Bearer t-1")
    assert headers["Host"] == laboratory.address.removeprefix("http://").removesuffix("/api")
    assert (await run_of(instance.id)).input == {}  # what was handed over is not kept


async def test_a_call_that_fails_for_a_moment_is_the_same_call_again(staff: Actor, laboratory: Laboratory) -> None:
    laboratory.answers = [(503, {}, b""), (429, {}, b"")]
    await deploy(staff, call(laboratory.address))
    instance = await start(staff, "Own")
    for _ in range(3):
        await due()
    assert (await shown(staff, instance.id)).status == "completed"
    assert len(laboratory.asked) == 3
    assert len({headers["Idempotency-Key"] for _, _, headers, _ in laboratory.asked}) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((404, {}, b""), "http-404"),
        ((302, {"Location": "http://169.254.169.254/"}, b""), "http-302"),
        ((200, {"Content-Type": "application/json"}, b"{"), "http-answer"),
        ((200, {"Content-Type": "text/plain"}, b"x" * 300_000), "http-too-large"),
        ((503, {}, b""), "http-failed"),
    ],
)
async def test_an_answer_that_is_no_answer_is_an_incident_that_ops_tries_again(
    staff: Actor, ops: Actor, laboratory: Laboratory, answer: Any, code: str
) -> None:
    laboratory.answers = [answer]
    await deploy(staff, call(laboratory.address, asked("retries", "0")))
    instance = await start(staff, "Own")
    await carry()
    run = await run_of(instance.id)
    async with reading() as session:
        assert (run.status, await runs.code_of(session, run.id)) == ("failed", code)
    assert (await shown(staff, instance.id)).status == "running"
    async with transaction() as session:
        await control.retry(session, ops, run.id)
    await carry()
    assert (await shown(staff, instance.id)).status == "completed"


async def test_a_private_address_is_called_only_where_the_connection_says_so(
    staff: Actor, laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deploy(staff, call(laboratory.address))
    allow(monkeypatch, url=laboratory.address, models=True)
    instance = await start(staff, "Own")
    await carry()
    run = await run_of(instance.id)
    async with reading() as session:
        assert await runs.code_of(session, run.id) == "http-private"
    assert laboratory.asked == []


async def test_an_address_that_a_variable_names_is_held_to_the_same_list(staff: Actor, laboratory: Laboratory) -> None:
    await deploy(staff, call("${address}"))
    instance = await start(staff, "Own", variables={"address": "http://169.254.169.254/latest"})
    run = await run_of(instance.id)
    assert (run.status, "may not be called" in run.error) == ("failed", True)
    assert laboratory.asked == []


async def test_a_call_that_nobody_waits_for_any_more_is_not_made(staff: Actor, laboratory: Laboratory) -> None:
    await deploy(staff, call(laboratory.address))
    instance = await start(staff, "Own")
    async with transaction() as session:
        await instances.cancel(session, staff, instance.id, "by mistake")
    await carry()
    assert laboratory.asked == []


async def test_a_letter_is_sent_with_its_places_filled_and_the_process_goes_on(staff: Actor, post: Post) -> None:
    inner = asked("to", "${address}") + asked("template", "visit-over") + asked("ticketid", "${ticket}")
    await deploy(staff, drawing.sequence("Own", service("mail", inner)))
    instance = await start(staff, "Own", variables={"address": "ana@demo.example", "ticket": "{clinic}"})
    await carry()
    run = await run_of(instance.id)
    assert (run.engine, run.status, post.got, post.recipients) == (
        "mail", "completed", [f"<{run.id}@dams>"], [["ana@demo.example"]],
    )  # fmt: skip
    assert (await shown(staff, instance.id)).status == "completed"


async def test_a_letter_that_is_refused_for_good_is_an_incident(staff: Actor, post: Post) -> None:
    post.usual = "554 never"
    inner = asked("to", "ana@demo.example") + asked("subject", "S") + asked("text", "T")
    await deploy(staff, drawing.sequence("Own", service("mail", inner)))
    instance = await start(staff, "Own")
    await carry()
    async with reading() as session:
        assert await runs.code_of(session, (await run_of(instance.id)).id) == "undeliverable"


async def test_a_message_of_whatever_name_completes_no_job(staff: Actor) -> None:
    await announce("count")
    name = "job~job"
    both = drawing.definitions(
        "Own", '<bpmn:startEvent id="start" />', drawing.gateway("parallel", "g"), service(), drawing.user_task("a"),
        '<bpmn:intermediateThrowEvent id="throw"><bpmn:messageEventDefinition messageRef="m" />'
        '</bpmn:intermediateThrowEvent>', '<bpmn:endEvent id="end" /><bpmn:endEvent id="end2" />',
        drawing.flow("start", "g"), drawing.flow("g", "job"), drawing.flow("g", "a"), drawing.flow("a", "throw"),
        drawing.flow("throw", "end2"), drawing.flow("job", "end"),
    )  # fmt: skip
    model = both.replace(b"<bpmn:process", f'<bpmn:message id="m" name="{name}" /><bpmn:process'.encode(), 1)
    await deploy(staff, model)
    instance = await start(staff, "Own")
    after = await complete(staff, instance.tasks[0].id)
    assert [one["kind"] for one in after.waiting] == ["job"]


async def test_a_run_that_ops_call_off_is_told_to_its_task(staff: Actor, ops: Actor) -> None:
    await announce("count")
    await deploy(staff, drawing.sequence("Own", service()))
    instance = await start(staff, "Own")
    run = await run_of(instance.id)
    async with transaction() as session:
        await control.cancel(session, ops, run.id, "not today")
    async with reading() as session:
        assert await runs.code_of(session, run.id) == "cancelled"
    async with transaction() as session:
        await control.retry(session, ops, run.id)
    await ends(run.id, {"x": 1})
    assert (await shown(staff, instance.id)).status == "completed"


def test_a_refusal_reads_as_a_sentence() -> None:
    found = checks.run([BundleFile("m.bpmn", call("http://no.example/"))]).problems
    [problem] = [one for one in found if one.rule == "job-inputs"]
    assert (problem.severity, problem.element_id) == ("error", "job")
    assert "may not be called" in problem.message
    with pytest.raises(ModelRefused):
        raise ModelRefused([problem])
