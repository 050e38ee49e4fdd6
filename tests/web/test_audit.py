"""Every change that a route makes is written down: who, what, on which case."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.clinic import contacts, patients, turns
from app.core.settings import settings
from app.db.session import transaction
from app.engines import pipelines, runs, schedules
from tests import drawing
from tests.conftest import PASSWORD_OF_ALL, RUN
from tests.temporal import server
from tests.temporal.conftest import namespace, person
from tests.web.conftest import API, APPOINTMENT, ENTRIES, Caller, Visitor, rows, upload, value
from tests.web.routes import routes
from tests.web.test_schedule import at, open_day

HOURS = {"begins": "09:00", "ends": "11:00", "slot_minutes": "20", "valid_from": "2026-12-01"}
OPEN_DAY = open_day(4)
BLOCKED = {"from_day": str(OPEN_DAY), "from_time": "14:00", "until_day": str(OPEN_DAY), "until_time": "15:00"}
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
DRAFT = {"xml": "<half", "file": "new.bpmn"}
NOTHING_CHANGES = {
    "api_migrations.attempt",
    "api_models.check",
    "api_dry_runs.walk",
    "models.preview",
    "models.try_out",
    "api_drafts.check",
    "api_drafts.lock",
    "api_drafts.unlock",
    "language.choose",
    "tasks.draft",
    "api_tasks.draft",
    "schedule.hold",
    "schedule.release",
    "payment.released",
    "payment.held",
}
"""A check and a dry run store nothing; a draft, kept every ten seconds, is its owner's alone until the task is done; a
hold is gone after five minutes, who draws a model after one; the pages of a payment's outcome get the form that was
booked before."""


@dataclass
class Scene:
    """A started appointment, an instance that stopped with an incident, an hour in which a doctor sees nobody,
    a place on the waiting list with its offer, a doctor's hours, runs of Temporal, of Celery, and one that failed,
    patients' contact data as a page shows them, a migration that nobody carries out, the
    event with which the appointment began."""

    instance: str
    task: str
    broken: str
    block: int
    entry: int
    offer: str
    hours: int
    incident: int
    run: str
    pipeline: str
    failed: str
    seen: dict[int, str]
    migration: str
    first: int


@dataclass
class Change:
    """What a route is called with, and the kinds of rows that it must write."""

    kinds: list[str]
    who: str = "staff"
    path: Callable[[Scene], str] = lambda _: ""
    given: Callable[[Scene], dict[str, Any]] = lambda _: {}
    forms: int = 0
    """Forms of the appointment that were completed before."""
    temporal: bool = False
    """Whether it asks Temporal, where a schedule `nightly` stands unless it is made by this."""


ELSEWHERE = {
    "api_accounts.sign_up",
    "api_reports.create",
    "api_outbox.retry",
    "schedules.pause_dag",
    "schedules.resume_dag",
    "schedules.run_dag",
}
"""Written by a pipeline's tasks, after the relay gave up, or with a real Airflow: their own tests hold it."""
PLANNED = {"id": "nightly", "flow": "report_login_count", "cron": "@daily"}
PERSON = {
    "username": "ops",
    "firstname": "Kwame",
    "lastname": "Boateng",
    "email": "ops@demo.example",
    "mobile": "555-0101",
}
ADMINISTRATOR = PERSON | {"empid": "HSP-900", "position": "Night shift"}
DOCTOR = ADMINISTRATOR | {"age": 44, "specialization": "Cardiology"}
PAYMENT = {"ticketid": "DEMO-001", "patientid": "1", "charge": "100", "amount": "100", "discount": "0"}
PATIENT = PERSON | {"birthday": "1980-02-03", "address": "1 Harbour Street"}
CONTACT = {"email": "new@demo.example", "mobile": "555-0199", "address": "2 Harbour Street", "reminders": "true"}
UNWATCHED = {
    "api_appointments.reserve",
    "api_appointments.close",
    "api_appointments.reschedule",
    "api_appointments.arrival",
    "api_appointments.absence",
    "api_diagnosis.deploy",
    "api_diagnosis.analyse",
    "api_diagnosis.begin",
    "diagnosis.analyse",
    "api_subscriptions.subscribe",
    "api_subscriptions.unsubscribe",
}
"""Not watched here yet: they need the engine that they ask. A new route goes into CHANGES, not in here."""
OF_NO_CASE = (
    "appointment",
    "patient",
    "schedule",
    "waiting",
    "hours",
    "clinic",
    "account",
    "profile",
    "token",
    "model",
    "migration",
    "connection",
    "signal",
    "clock",
    "temporal",
    "celery",
)
"""What the kind of an event of no case begins with; a planned run is a `schedule`, as a doctor's day is."""

LAB = {"url": "https://lab.example/api", "token": "secret"}
_PLAN = {"from_version": 1, "to_version": 2, "reason": "asks for more"}
CHANGES: dict[str, Change] = {
    "connections.add": Change(
        ["connection.added"], "admin", lambda _: "/connections", lambda _: {"data": LAB | {"name": "another"}}
    ),
    "connections.change": Change(
        ["connection.changed"], "admin", lambda _: "/connections/lab", lambda _: {"data": LAB | {"revision": "1"}}
    ),
    "connections.remove": Change(
        ["connection.removed"], "admin", lambda _: "/connections/lab/remove", lambda _: {"data": {"revision": "1"}}
    ),
    "migrations.begin": Change(
        ["migration.started"],
        "modeler",
        lambda _: "/models/Waiting/migrate",
        lambda _: {"data": {"from": "1", "to": "2", "reason": "asks for more"}},
    ),
    "migrations.stop": Change(
        ["migration.stopped"], "modeler", lambda at: f"/models/Broken/migrations/{at.migration}/stop"
    ),
    "api_migrations.begin": Change(
        ["migration.started"], "modeler", lambda _: f"{API}/models/Waiting/migrations", lambda _: {"json": _PLAN}
    ),
    "api_migrations.stop": Change(["migration.stopped"], "modeler", lambda at: f"{API}/migrations/{at.migration}/stop"),
    "reset.go": Change(
        ["instance.reset"],
        "admin",
        lambda at: f"/instances/{at.instance}/back",
        lambda at: {"data": {"to": str(at.first), "reason": "a wrong doctor"}},
        forms=1,
    ),
    "api_instances.go_back": Change(
        ["instance.reset"],
        "admin",
        lambda at: f"{API}/instances/{at.instance}/reset",
        lambda at: {"json": {"to": at.first, "reason": "a wrong doctor"}},
        forms=1,
    ),
    "api_instances.fork": Change(
        ["instance.forked"],
        "admin",
        lambda at: f"{API}/instances/{at.instance}/fork",
        lambda at: {"json": {"to": at.first, "reason": "a wrong doctor"}},
    ),
    "portability.take": Change(["model.draft-saved"], "modeler", lambda _: f"/models/{APPOINTMENT}/portability"),
    "models.retire": Change(["model.retired"], "modeler", lambda _: "/models/Waiting/retire"),
    "models.activate": Change(["model.activated"], "modeler", lambda _: "/models/Waiting/1/activate"),
    "api_models.retire": Change(["model.retired"], "modeler", lambda _: f"{API}/models/Waiting/retire"),
    "api_models.activate": Change(
        ["model.activated"], "modeler", lambda _: f"{API}/models/Waiting/versions/1/activate"
    ),
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
    "ops.retry": Change(["incident.retried"], "ops", lambda at: f"/ops/incidents/{at.incident}/retry"),
    "ops.cancel": Change(
        ["instance.cancelled"],
        "ops",
        lambda at: f"/ops/incidents/{at.incident}/cancel",
        lambda _: {"data": {"reason": "moved"}},
    ),
    "ops.cancel_run": Change(
        ["temporal.cancelled"],
        "ops",
        lambda at: f"/ops/runs/{at.run}/cancel",
        lambda _: {"data": {"reason": "not needed"}},
    ),
    "payment.take": Change(
        ["instance.started", "task.completed", "document.issued"],
        path=lambda _: "/payment/start",
        given=lambda _: {"data": PAYMENT},
    ),
    "models.upload": Change(
        ["model.deployed"],
        "modeler",
        lambda _: "/models",
        lambda _: {"data": {"file": upload(BROKEN.replace(b"Broken", b"New"))}},
    ),
    "drafts.save": Change(
        ["model.draft-saved"],
        "modeler",
        lambda _: "/models/New/edit",
        lambda _: {"data": {"file": upload(BROKEN), "revision": "0"}},
    ),
    "drafts.discard": Change(
        ["model.draft-discarded"],
        "modeler",
        lambda _: "/models/Begun/edit/discard",
        lambda _: {"data": {"revision": "1"}},
    ),
    "drafts.restore": Change(
        ["model.draft-restored"],
        "modeler",
        lambda _: "/models/Gone/edit/restore",
        lambda _: {"data": {"revision": "2"}},
    ),
    "api_drafts.save": Change(
        ["model.draft-saved"], "modeler", lambda _: f"{API}/drafts/New", lambda _: {"json": DRAFT | {"revision": 0}}
    ),
    "api_drafts.discard": Change(["model.draft-discarded"], "modeler", lambda _: f"{API}/drafts/Begun?revision=1"),
    "api_drafts.restore": Change(
        ["model.draft-restored"], "modeler", lambda _: f"{API}/drafts/Gone/restore?revision=2"
    ),
    "tasks.claim": Change(["task.claimed"], path=lambda at: f"/tasks/{at.task}/claim"),
    "tasks.release": Change(["task.claimed", "task.released"], path=lambda at: f"/tasks/{at.task}/release"),
    "tasks.assign": Change(
        ["task.reassigned"],
        path=lambda at: f"/tasks/{at.task}/assign",
        given=lambda _: {"data": {"assignee": "doctor"}},
    ),
    "tasks.comment": Change(
        ["comment.added"],
        path=lambda at: f"/tasks/{at.task}/comments",
        given=lambda _: {"data": {"comment": "She called twice."}},
    ),
    "tasks.complete": Change(
        ["task.completed"],
        path=lambda at: f"/tasks/{at.task}/complete",
        given=lambda _: {"data": {"specialization": "Neurology"}},
    ),
    "schedule.book": Change(
        ["appointment.booked"],
        path=lambda _: "/schedule/book",
        given=lambda _: {"data": {"doctor": "HSP-201", "patient": "7", "day": OPEN_DAY.isoformat(), "time": "10:00"}},
    ),
    "schedule.walk_in": Change(
        ["appointment.booked", "appointment.arrived"],
        path=lambda _: "/schedule/walk-in",
        given=lambda _: {"data": {"doctor": "HSP-201", "patient": "7"}},
    ),
    "schedule.block": Change(
        ["schedule.blocked"],
        path=lambda _: "/schedule/block",
        given=lambda _: {"data": {"doctor": "HSP-201", "kind": "block", **BLOCKED}},
    ),
    "schedule.unblock": Change(["schedule.unblocked"], path=lambda at: f"/schedule/blocks/{at.block}/delete"),
    "visits.mark": Change(
        ["appointment.arrived"],
        path=lambda _: "/schedule/visits/DEMO-003/mark",
        given=lambda _: {"data": {"status": "arrived"}},
    ),
    "visits.move": Change(
        ["appointment.rescheduled"],
        path=lambda _: "/schedule/visits/DEMO-003/move",
        given=lambda _: {"data": {"day": OPEN_DAY.isoformat(), "time": "11:00"}},
    ),
    "visits.cancel": Change(
        ["appointment.cancelled"],
        path=lambda _: "/schedule/visits/DEMO-003/cancel",
        given=lambda _: {"data": {"reason": "moved away"}},
    ),
    "waitlist.join": Change(
        ["waiting.joined"],
        path=lambda _: "/waiting",
        given=lambda _: {
            "data": {"patient": "7", "doctor": "HSP-201", "earliest": str(OPEN_DAY), "latest": str(OPEN_DAY)}
        },
    ),
    "waitlist.withdraw": Change(["waiting.withdrawn"], path=lambda at: f"/waiting/{at.entry}/withdraw"),
    "waitlist.accept": Change(["waiting.taken", "appointment.booked"], path=lambda at: f"/offers/{at.offer}/accept"),
    "waitlist.decline": Change(["waiting.declined"], path=lambda at: f"/offers/{at.offer}/decline"),
    "register.send": Change(
        ["account.created", "profile.added", "account.signed-in"],
        path=lambda _: "/register",
        given=lambda _: {"data": PATIENT | {"username": "newcomer", "password": "long-enough-1"}},
    ),
    "people.contact": Change(
        ["patient.contact-changed"],
        path=lambda _: "/patients/7/contact",
        given=lambda at: {"data": CONTACT | {"was": at.seen[7]}},
    ),
    "my.contact": Change(
        ["patient.contact-changed"],
        "patient",
        lambda _: "/my/contact",
        lambda at: {"data": CONTACT | {"was": at.seen[1]}},
    ),
    "my.move": Change(
        ["appointment.rescheduled"],
        "patient",
        lambda _: "/my/visits/DEMO-001/move",
        lambda _: {"data": {"slot": f"HSP-200 {at(10, 0, OPEN_DAY).isoformat()}"}},
    ),
    "my.cancel": Change(
        ["appointment.cancelled"],
        "patient",
        lambda _: "/my/visits/DEMO-001/cancel",
        lambda _: {"data": {"reason": "travels"}},
    ),
    "people.add_hours": Change(
        ["hours.added"],
        path=lambda _: "/doctors/HSP-201/hours",
        given=lambda _: {"data": {"weekday": "6", **HOURS}},
    ),
    "people.remove_hours": Change(["hours.removed"], path=lambda at: f"/doctors/HSP-202/hours/{at.hours}/delete"),
    "clinic.open_on": Change(
        ["clinic.opened"],
        "admin",
        lambda _: "/clinic/hours",
        lambda _: {"data": {"weekday": "6", "opens": "09:00", "closes": "12:00"}},
    ),
    "clinic.close_on": Change(["clinic.closed"], "admin", lambda _: "/clinic/hours/1/delete"),
    "clinic.add_holiday": Change(
        ["clinic.holiday-added"],
        "admin",
        lambda _: "/clinic/holidays",
        lambda _: {"data": {"day": "2028-05-01", "name": "Spring"}},
    ),
    "clinic.remove_holiday": Change(
        ["clinic.holiday-removed"], "admin", lambda _: "/clinic/holidays/2027-07-04/delete"
    ),
    "admin.create": Change(
        ["account.created"],
        "admin",
        lambda _: "/admin/users",
        lambda _: {"data": {"username": "newcomer", "password": "long-enough", "roles": ["staff"]}},
    ),
    "admin.set_roles": Change(
        ["account.roles-changed", "account.groups-changed"],
        "admin",
        lambda _: "/admin/users/staff/roles",
        lambda _: {"data": {"roles": ["staff", "ops"], "groups": ["billing"]}},
    ),
    "admin.set_password": Change(
        ["account.password-changed"],
        "admin",
        lambda _: "/admin/users/staff/password",
        lambda _: {"data": {"password": "quite-another-one"}},
    ),
    "admin.disable": Change(["account.disabled"], "admin", lambda _: "/admin/users/staff/disable"),
    "admin.enable": Change(["account.enabled"], "admin", lambda _: "/admin/users/staff/enable"),
    "admin.unlock": Change(["account.released"], "admin", lambda _: "/admin/users/staff/unlock"),
    "admin.create_group": Change(
        ["account.group-created"], "admin", lambda _: "/admin/groups", lambda _: {"data": {"group": "night"}}
    ),
    "admin.delete_group": Change(["account.group-deleted"], "admin", lambda _: "/admin/groups/billing/delete"),
    "sheets.make": Change(
        ["schedule.feed-made"], path=lambda _: "/calendar", given=lambda _: {"data": {"doctor": "HSP-201"}}
    ),
    "sheets.revoke": Change(
        ["schedule.feed-revoked"], path=lambda _: "/calendar/revoke", given=lambda _: {"data": {"doctor": "HSP-201"}}
    ),
    **{
        f"booking.give_{page}": Change(
            kinds,
            path=lambda at, page=page: f"/doctor/{page}?booking={at.instance}",
            given=lambda _, entries=entries: {"data": dict(entries)},
            forms=forms,
        )
        for forms, (page, kinds, entries) in enumerate(
            zip(
                ("expertise", "select", "schedule", "patient"),
                (["task.completed"],) * 3
                + (["task.completed", "appointment.booked", "document.issued", "document.issued"],),
                ENTRIES.values(),
                strict=True,
            )
        )
    },
    "consultation.begin": Change(["instance.started", "task.claimed"], "doctor", lambda _: "/doctor/diagnosis"),
    "signup.send": Change(
        ["account.created", "instance.started", "task.completed", "task.completed"],
        "admin",
        lambda _: "/signup",
        lambda _: {"data": {"kind": "doctor", "username": "newcomer", "password": "long-enough-1"}},
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
    "api_tasks.assign": Change(
        ["task.reassigned"],
        path=lambda at: f"{API}/tasks/{at.task}/assign",
        given=lambda _: {"json": {"assignee": "doctor"}},
    ),
    "api_tasks.comment": Change(
        ["comment.added"],
        path=lambda at: f"{API}/tasks/{at.task}/comments",
        given=lambda _: {"json": {"comment": "She called twice."}},
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
    "api_bills.ask": Change(
        ["temporal.requested"],
        path=lambda _: f"{API}/bills",
        given=lambda _: {"json": {"ticketid": "DEMO-001", "charge": "80.00"}},
    ),
    "pipelines.start": Change(["celery.requested"], "ops", lambda _: "/pipelines/nothing"),
    "pipelines.cancel": Change(["celery.cancelled"], "ops", lambda at: f"/pipelines/runs/{at.pipeline}/cancel"),
    "pipelines.retry": Change(["celery.requested"], "ops", lambda at: f"/pipelines/runs/{at.failed}/retry"),
    "api_pipelines.start": Change(
        ["celery.requested"], "ops", lambda _: f"{API}/pipelines/nothing/runs", lambda _: {"json": {}}
    ),
    "api_pipelines.cancel": Change(
        ["celery.cancelled"],
        "ops",
        lambda at: f"{API}/pipelines/runs/{at.pipeline}",
        lambda _: {"json": {"reason": "not needed"}},
    ),
    "api_pipelines.retry": Change(
        ["celery.requested"], "ops", lambda at: f"{API}/pipelines/runs/{at.failed}/retry", lambda _: {"json": {}}
    ),
    "api_login_report.trigger": Change(["temporal.requested"], "ops", lambda _: "/login/dag/report/login/count"),
    "api_tasks.broadcast": Change(
        ["signal.broadcast"], path=lambda _: f"{API}/signals", given=lambda _: {"json": {"name": "Called"}}
    ),
    "schedules.create": Change(
        ["schedule.created"], "ops", lambda _: "/schedules", lambda _: {"data": dict(PLANNED)}, temporal=True
    ),
    "api_schedules.create": Change(
        ["schedule.created"], "ops", lambda _: f"{API}/schedules", lambda _: {"json": PLANNED}, temporal=True
    ),
    **{
        f"{module}.{act}": Change(
            [f"schedule.{what}"],
            "ops",
            lambda _, path=f"{before}/schedules/nightly{after}": path,
            temporal=True,
        )
        for module, before in (("schedules", ""), ("api_schedules", API))
        for act, what, after in (
            ("pause", "paused", "/pause"),
            ("resume", "resumed", "/resume"),
            ("run_now", "run", "/run"),
            ("delete", "deleted", "/delete" if module == "schedules" else ""),
        )
    },
}


def test_every_route_that_changes_something_is_watched_here(app: Flask) -> None:
    changing = {route.endpoint for route in routes(app) if route.changes}
    assert changing - NOTHING_CHANGES - ELSEWHERE - UNWATCHED - set(CHANGES) == set(), "add what it writes to CHANGES"
    assert set(CHANGES) - changing == set()


@pytest.fixture
async def scene(caller: Callable[[str], Caller]) -> Scene:
    caller("modeler").deploy(BROKEN)
    caller("modeler").deploy(WAITING)
    staff = caller("staff")
    instance = staff.start()
    broken = staff.start("Broken")
    staff.complete(broken["tasks"][0]["id"])
    staff.start("Waiting")
    async with transaction() as session:
        await session.execute(text("delete from holiday"))
        await session.execute(
            text("""insert into opening_hours (weekday, opens, closes)
                    select n, '00:00', '00:01' from generate_series(0, 6) n on conflict do nothing""")
        )
        block = await session.scalar(
            text("""insert into doctor_block (docid, during, kind)
                    values ('HSP-202', tstzrange(now(), now() + interval '1 hour'), 'block') returning id""")
        )
        await session.execute(text("insert into holiday (day, name) values (date '2027-07-04', 'Summer')"))
        await session.execute(
            text("""insert into model_draft (key, engine, file, name, xml, revision, discarded_at)
                    values ('Begun', 'spiff', 'b.bpmn', '', '<x/>', 1, null),
                           ('Gone', 'spiff', 'g.bpmn', '', '<x/>', 2, now())""")
        )
        await session.execute(
            text("""insert into connection (name, url, models, private, revision)
                    values ('lab', 'https://lab.example/api', false, false, 1)""")
        )
        hours = await session.scalar(text("select min(id) from doctor_hours where docid = 'HSP-202'"))
        entry = await session.scalar(
            text("""insert into waiting_entry (patientid, docid, earliest, latest)
                    values (9, 'HSP-203', current_date, current_date + 90) returning id""")
        )
        offer = (await turns.offer_next(session))[0].id
        seen = {number: contacts.seen(await patients.find(session, number)) for number in (1, 7)}
    task = instance["tasks"][0]["id"]
    incident = await value("select id from incident")
    run = caller("ops").open("POST", "/login/dag/report/login/count").get_json()["run_id"]
    agenda = block or 0, entry or 0, str(offer), hours or 0
    caller("modeler").deploy(WAITING.replace(b'name="', b'name="New ', 1))
    async with transaction() as session:
        migration = await session.scalar(
            text("""insert into instance_migration (id, process_id, from_model, to_model, elements, reason, state)
                    select gen_random_uuid(), 'Broken', id, id, '{}', 'drawn anew', 'running' from model
                    where process_id = 'Broken' returning id""")
        )
    first = await value("select min(id) from case_event where instance_id = :own", own=instance["id"])
    engines = run, *await asked_of_celery()
    return Scene(instance["id"], task, broken["id"], *agenda, incident, *engines, seen, str(migration), first)


async def asked_of_celery() -> tuple[str, str]:
    """A run of a pipeline, and one that failed."""
    async with transaction() as session:
        await session.execute(
            text("""insert into pipeline (name, title, description, input_schema, roles)
                    values ('nothing', 'Nothing', '', '{"type": "object", "properties": {}}', '{ops}')""")
        )
        made = await pipelines.start(session, "nothing", {})
        failed = await pipelines.start(session, "nothing", {})
        await runs.failed(session, failed, "task-failed", "nothing failed")
    return str(made), str(failed)


@pytest.fixture
async def temporal(app: Flask, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's Temporal server for a change that asks it, with a namespace of the test's own."""
    change = CHANGES[request.node.callspec.params["endpoint"]]
    if not change.temporal:
        return
    address = await server.address(Path(os.environ[RUN]) / "temporal")
    monkeypatch.setenv("DAMS_TEMPORAL__ADDRESS", address)
    monkeypatch.setenv("DAMS_TEMPORAL__NAMESPACE", await namespace(address))
    monkeypatch.setenv("DAMS_TEMPORAL__CALL_SECONDS", "60")
    monkeypatch.setenv("DAMS_WEB__VIEW_TIMEOUT_SECONDS", "120")
    settings.cache_clear()
    if change.kinds != ["schedule.created"]:
        await schedules.create(await person("ops"), PLANNED["id"], PLANNED["flow"], PLANNED["cron"])


@pytest.mark.parametrize(
    "endpoint",
    [pytest.param(name, marks=[pytest.mark.engine] if change.temporal else []) for name, change in CHANGES.items()],
)
@pytest.mark.usefixtures("temporal")
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
    for entries in list(ENTRIES.values())[: change.forms]:
        task = program("GET", f"/instances/{scene.instance}")["tasks"][0]["id"]
        program.complete(task, **entries)
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
    for statement in ("update case_event set kind = 'x'", "delete from case_event", "truncate case_event"):
        with pytest.raises(DBAPIError):
            async with transaction() as session:
                await session.execute(text(statement))
    assert await value("select count(*) from case_event")
