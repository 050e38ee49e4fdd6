"""Spiff's service task operators bind to the topics; names that nothing answers to are found at deployment."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.core.actor import Actor
from app.core.errors import Problem
from app.db.session import transaction
from app.engines import deployments
from app.engines.spiff.specs import BundleFile
from tests import drawing
from tests.engines.spiff.test_instances import deploy, start
from tests.engines.spiff.test_jobs import announce, asked, ends, run_of, service, shown
from tests.engines.spiff.test_topics import allow, problems

SPIFF = "http://spiffworkflow.org/bpmn/schema/1.0/core"


def operator(named: str, *parameters: tuple[str, str], attributes: str = "") -> bytes:
    """A process of Spiff's own dialect with one service task."""
    given = "".join(f'<spiffworkflow:parameter id="{name}" type="any" value="{value}" />' for name, value in parameters)
    task = (
        '<bpmn:serviceTask id="job" name="Count"><bpmn:extensionElements>'
        f'<spiffworkflow:serviceTaskOperator id="{named}" {attributes}>'
        f"<spiffworkflow:parameters>{given}</spiffworkflow:parameters></spiffworkflow:serviceTaskOperator>"
        "</bpmn:extensionElements></bpmn:serviceTask>"
    )
    model = drawing.sequence("Own", task).decode()
    others = [part for part in model.split() if part.startswith("xmlns:camunda=")]
    return model.replace(others[0], f'xmlns:spiffworkflow="{SPIFF}"').encode()


async def test_an_operator_has_its_topic_do_the_work(staff: Actor) -> None:
    await announce("count")
    parameters = (("docid", "&quot;HSP-1&quot;"), ("days", "days + 1"))
    await deploy(staff, operator("pipeline:count", *parameters, attributes='resultVariable="found"'))
    instance = await start(staff, "Own", variables={"days": 6})
    run = await run_of(instance.id)
    assert (run.engine, run.name, run.input) == ("celery", "count", {"docid": "HSP-1", "days": 7})
    await ends(run.id, {"patients": 2})
    after = await shown(staff, instance.id)
    assert (after.status, after.variables) == ("completed", {"days": 6, "found": {"patients": 2}})


async def test_a_connector_of_spiff_is_a_call_with_its_method(staff: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, url="http://lab.example.org/api", models=True)
    await deploy(staff, operator("http/PostRequest", ("url", "'http://lab.example.org/api/x'"), ("body", "{'a': n}")))
    instance = await start(staff, "Own", variables={"n": 1})
    run = await run_of(instance.id)
    assert run.engine == "http"
    assert run.input == {"method": "POST", "url": "http://lab.example.org/api/x", "body": {"a": 1}}


@pytest.mark.parametrize(
    ("model", "rule", "message"),
    [
        (operator("slack/PostMessage"), "unbound-service", "nothing serves the operator 'slack/PostMessage'"),
        (operator("http/GetRequest", ("url", "'http://elsewhere.example/x'")), "job-inputs", "its url: "),
        (operator("http/GetRequest", ("url", "x"), ("params", "{}")), "job-inputs", "has no input 'params'"),
        (operator("pipeline:count", ("a", "import os")), "input-output", "the parameter a cannot be read"),
        (operator("pipeline:count", ("a b", "1")), "input-output", "'a b' cannot be the name of a variable"),
        (operator("temporal:Nothing"), "job-inputs", "there is no workflow 'Nothing' for models"),
    ],
    ids=["connector", "address", "input", "import", "name", "workflow"],
)
@pytest.mark.usefixtures("database_url")
async def test_an_operator_that_cannot_run_is_refused_with_its_cure(model: bytes, rule: str, message: str) -> None:
    report = await deployments.check([BundleFile("m.bpmn", model)])
    [found] = [one for one in report.problems if one.severity == "error"]
    assert (found.rule, found.element_id, found.line > 0, bool(found.fix)) == (rule, "job", True, True)
    assert message in found.message


def test_a_task_that_says_twice_what_does_it_is_refused() -> None:
    model = operator("pipeline:count").replace(
        b'<bpmn:serviceTask id="job"',
        b'<bpmn:serviceTask xmlns:camunda="http://camunda.org/schema/1.0/bpmn" camunda:type="external" '
        b'camunda:topic="http" id="job"',
    )
    assert ("unbound-service", "job") in problems(model)


async def checked(topic: str, *beside: bytes) -> list[Problem]:
    files = [drawing.sequence("Asking", service(topic, asked("docid", "HSP-1"))), *beside]
    report = await deployments.check([BundleFile(f"m{number}.bpmn", one) for number, one in enumerate(files)])
    return [one for one in report.problems if one.rule.startswith("topic-")]


@pytest.mark.usefixtures("database_url")
async def test_a_pipeline_that_nobody_offers_is_refused_with_the_nearest_names() -> None:
    [found] = await checked("pipeline:cuont")
    assert (found.severity, "no Celery worker has said yet" in found.message) == ("warning", True)
    await announce("count")
    assert await checked("pipeline:count") == []
    [found] = await checked("pipeline:cuont")
    assert (found.rule, found.severity, found.element_id, found.file) == ("topic-unknown", "error", "job", "m0.bpmn")
    assert (found.line > 0, found.fix) == (True, "did you mean count?")


async def test_a_process_that_zeebe_does_not_have_yet_is_a_warning_and_one_of_dams_is_refused(staff: Actor) -> None:
    [found] = await checked("zeebe:Elsewhere")
    assert (found.rule, found.severity) == ("topic-unseen", "warning")
    await deploy(staff, drawing.sequence("Elsewhere", drawing.user_task("a")))
    [found] = await checked("zeebe:Elsewhere")
    assert (found.rule, found.severity) == ("topic-unknown", "error")
    async with transaction() as session:
        await session.execute(text("update model set engine = 'zeebe'"))
    assert await checked("zeebe:Elsewhere") == []
