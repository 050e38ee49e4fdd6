"""Every change that a route makes is written down: who, what, on which case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from app.core.settings import settings
from tests import drawing
from tests.conftest import PASSWORD_OF_ALL
from tests.web.conftest import API, APPOINTMENT, Caller, Visitor, rows, upload, value
from tests.web.routes import routes

BROKEN = drawing.sequence(
    "Broken",
    drawing.user_task("t", drawing.field("f"), attributes='camunda:candidateGroups="staff"'),
    drawing.script("s", "x = missing + 1"),
)
WAITING = drawing.sequence(
    "Waiting",
    drawing.message("m", "called"),
    before='<bpmn:message id="called" name="Called" />',
)
NOTHING_CHANGES = {"api_models.check", "tasks.draft", "api_tasks.draft"}
"""A check stores nothing; a draft, kept every ten seconds, is its owner's alone until the task is completed."""


@dataclass
class Scene:
    """A started appointment, and an instance that stopped with an incident."""

    instance: str
    task: str
    broken: str


@dataclass
class Change:
    """What a route is called with, and the kinds of rows that it must write."""

    kinds: list[str]
    who: str = "staff"
    path: Callable[[Scene], str] = lambda _: ""
    given: Callable[[Scene], dict[str, Any]] = lambda _: {}


ELSEWHERE = {"api_accounts.sign_up", "api_reports.create", "api_outbox.retry"}
"""Written by a pipeline's tasks, or after the relay gave up: their own tests hold it."""
PERSON = {
    "username": "ops",
    "firstname": "Kwame",
    "lastname": "Boateng",
    "email": "ops@demo.example",
    "mobile": "555-0101",
}
ADMINISTRATOR = PERSON | {"empid": "HSP-900", "position": "Night shift"}
DOCTOR = ADMINISTRATOR | {"age": 44, "specialization": "Cardiology"}
PATIENT = PERSON | {"birthday": "1980-02-03", "address": "1 Harbour Street"}
UNWATCHED = {
    "ops.retry",
    "ops.cancel",
    "ops.cancel_run",
    "payment.take",
    "payment.released",
    "payment.held",
    "pipelines.start",
    "pipelines.cancel",
    "pipelines.retry",
    "api_appointments.reserve",
    "api_appointments.close",
    "api_appointments.reschedule",
    "api_appointments.arrival",
    "api_appointments.absence",
    "api_bills.ask",
    "api_diagnosis.deploy",
    "api_diagnosis.analyse",
    "api_diagnosis.begin",
    "diagnosis.analyse",
    "api_pipelines.start",
    "api_pipelines.cancel",
    "api_pipelines.retry",
    "api_subscriptions.subscribe",
    "api_subscriptions.unsubscribe",
}
"""Not watched here yet: they need the engine that they ask. A new route goes into CHANGES, not in here."""
OF_NO_CASE = ("account", "profile", "token", "model", "signal", "clock")

CHANGES: dict[str, Change] = {
    "signin.send": Change(
        ["account.signed-in", "account.signed-out"],
        path=lambda _: "/login",
        given=lambda _: {"data": {"username": "doctor", "password": PASSWORD_OF_ALL}},
    ),
    "signin.leave": Change(["account.signed-out"], path=lambda _: "/logout"),
    "instances.start": Change(["instance.started"], path=lambda _: f"/models/{APPOINTMENT}/start"),
    "instances.cancel": Change(
        ["instance.cancelled"],
        path=lambda at: f"/instances/{at.instance}/cancel",
        given=lambda _: {"data": {"reason": "moved"}},
    ),
    "instances.retry": Change(["incident.retried"], "ops", lambda at: f"/instances/{at.broken}/incidents/1/retry"),
    "models.upload": Change(
        ["model.deployed"],
        "modeler",
        lambda _: "/models",
        lambda _: {"data": {"file": upload(BROKEN.replace(b"Broken", b"New"))}},
    ),
    "tasks.claim": Change(["task.claimed"], path=lambda at: f"/tasks/{at.task}/claim"),
    "tasks.release": Change(["task.claimed", "task.released"], path=lambda at: f"/tasks/{at.task}/release"),
    "tasks.complete": Change(
        ["task.completed"],
        path=lambda at: f"/tasks/{at.task}/complete",
        given=lambda _: {"data": {"specialization": "Neurology"}},
    ),
    "api_token.issue": Change(
        ["account.signed-in", "token.issued"],
        path=lambda _: f"{API}/token",
        given=lambda _: {"json": {"username": "doctor", "password": PASSWORD_OF_ALL}},
    ),
    "api_models.deploy": Change(
        ["model.deployed"],
        "modeler",
        lambda _: f"{API}/deployments",
        lambda _: {"data": {"file": upload(BROKEN.replace(b"Broken", b"New"))}},
    ),
    "api_instances.start": Change(
        ["instance.started"], path=lambda _: f"{API}/models/{APPOINTMENT}/instances", given=lambda _: {"json": {}}
    ),
    "api_instances.cancel": Change(
        ["instance.cancelled"],
        path=lambda at: f"{API}/instances/{at.instance}",
        given=lambda _: {"json": {"reason": "moved"}},
    ),
    "api_instances.retry": Change(
        ["incident.retried"], "ops", lambda at: f"{API}/instances/{at.broken}/incidents/1/retry"
    ),
    "api_instances.resolve": Change(
        ["incident.retried"],
        "ops",
        lambda at: f"{API}/instances/{at.broken}/incidents/1/resolve",
        lambda _: {"json": {"variables": {"missing": 1}}},
    ),
    "api_tasks.claim": Change(["task.claimed"], path=lambda at: f"{API}/tasks/{at.task}/claim"),
    "api_tasks.release": Change(["task.claimed", "task.released"], path=lambda at: f"{API}/tasks/{at.task}/release"),
    "api_tasks.complete": Change(
        ["task.completed"],
        path=lambda at: f"{API}/tasks/{at.task}/complete",
        given=lambda _: {"json": {"variables": {"specialization": "Neurology"}}},
    ),
    "api_instances.advance": Change(
        ["clock.advanced"], "admin", lambda _: f"{API}/clock", lambda _: {"json": {"advance": "PT1S"}}
    ),
    "api_token.revoke": Change(["token.revoked"], path=lambda _: f"{API}/token"),
    "api_users.create": Change(
        ["account.created"],
        "admin",
        lambda _: f"{API}/users",
        lambda _: {"json": {"username": "newcomer", "password": "long-enough", "roles": ["staff"]}},
    ),
    "api_users.set_roles": Change(
        ["account.roles-changed"],
        "admin",
        lambda _: f"{API}/users/staff/roles",
        lambda _: {"json": {"roles": ["staff", "ops"]}},
    ),
    "api_users.set_password": Change(
        ["account.password-changed"],
        "admin",
        lambda _: f"{API}/users/staff/password",
        lambda _: {"json": {"password": "quite-another-one"}},
    ),
    "api_users.disable": Change(["account.disabled"], "admin", lambda _: f"{API}/users/staff/disable"),
    "api_users.enable": Change(["account.enabled"], "admin", lambda _: f"{API}/users/staff/enable"),
    "api_accounts.add_login": Change(
        ["account.created"],
        "admin",
        lambda _: "/login/add",
        lambda _: {"json": {"username": "newcomer", "password": "long-enough"}},
    ),
    "api_accounts.add_administrator": Change(
        ["profile.added"], "admin", lambda _: "/admin/profile/add", lambda _: {"json": ADMINISTRATOR}
    ),
    "api_accounts.add_doctor": Change(
        ["profile.added"], "admin", lambda _: "/doc/profile/add", lambda _: {"json": DOCTOR}
    ),
    "api_accounts.add_patient": Change(
        ["profile.added"], "staff", lambda _: "/patient/profile/add", lambda _: {"json": PATIENT}
    ),
    "api_tasks.publish": Change(
        ["message.received"], path=lambda _: f"{API}/messages", given=lambda _: {"json": {"name": "Called"}}
    ),
    "api_tasks.broadcast": Change(
        ["signal.broadcast"], path=lambda _: f"{API}/signals", given=lambda _: {"json": {"name": "Called"}}
    ),
}


def test_every_route_that_changes_something_is_watched_here(app: Flask) -> None:
    changing = {route.endpoint for route in routes(app) if route.changes}
    assert changing - NOTHING_CHANGES - ELSEWHERE - UNWATCHED - set(CHANGES) == set(), "add what it writes to CHANGES"
    assert set(CHANGES) - changing == set()


@pytest.fixture
def scene(caller: Callable[[str], Caller]) -> Scene:
    caller("modeler").deploy(BROKEN)
    caller("modeler").deploy(WAITING)
    staff = caller("staff")
    instance = staff.start()
    broken = staff.start("Broken")
    staff.complete(broken["tasks"][0]["id"])
    staff.start("Waiting")
    return Scene(instance["id"], instance["tasks"][0]["id"], broken["id"])


@pytest.mark.parametrize("endpoint", CHANGES)
async def test_a_change_is_written_down(
    app: Flask,
    visitor: Callable[[str], Visitor],
    caller: Callable[[str], Caller],
    scene: Scene,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAMS_WEB__TEST_CLOCK", "true")
    settings.cache_clear()
    change = CHANGES[endpoint]
    route = next(route for route in routes(app) if route.endpoint == endpoint)
    method = route.method
    path, given = change.path(scene), change.given(scene)
    person, program = visitor(change.who), caller(change.who)
    last = await value("select max(id) from case_event")
    if "release" in endpoint:
        program("POST", f"/tasks/{scene.task}/claim")
    if route.is_api:
        answer = program.open(method, path, **given)
    else:
        given.setdefault("data", {})["csrf_token"] = person.token
        answer = person.browser.open(path, method=method, **given)
    assert answer.status_code < 400, answer.text
    written = await rows("select * from case_event where id > :last order by id", last=last)
    assert [row.kind for row in written] == change.kinds
    for row in written:
        assert row.actor_id is not None
        assert row.case_no is not None or row.kind.split(".")[0] in OF_NO_CASE


async def test_what_was_written_cannot_be_changed_or_deleted(app: Flask) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    from app.db.session import transaction

    for statement in ("update case_event set kind = 'x'", "delete from case_event", "truncate case_event"):
        with pytest.raises(DBAPIError):
            async with transaction() as session:
                await session.execute(text(statement))
    assert await value("select count(*) from case_event")
