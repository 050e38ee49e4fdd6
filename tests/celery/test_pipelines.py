"""The shipped pipelines: chunks, maps, groups in chains, conditions; started from the page and from the API."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import re
import zipfile
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from app.clinic import accounts
from app.core.actor import Actor
from app.db.session import transaction
from app.web.security import COOKIE
from tests import drawing
from tests.celery.conftest import Clinic, token, value
from tests.waiting import until

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("celery")]
HEADER = "firstname,lastname,email,mobile,birthday,address,patientid,profession"
numbers = itertools.count(1)


async def call(client: FlaskClient, method: str, path: str, headers: dict[str, str], **given: Any) -> Any:
    return await asyncio.to_thread(client.open, path, method=method, headers=headers, buffered=True, **given)


async def ended(client: FlaskClient, headers: dict[str, str], path: str) -> dict[str, Any]:
    async def over() -> Any:
        found = (await call(client, "GET", path, headers)).json
        return found if found["status"] not in ("requested", "running") else None

    return await until(over)


async def ran(client: FlaskClient, name: str, given: dict[str, Any], username: str = "admin") -> dict[str, Any]:
    """Start a pipeline by the API and follow it to its end."""
    headers = await token(username)
    asked = await call(client, "POST", f"/api/v1/pipelines/{name}/runs", headers, json={"input": given})
    assert asked.status_code == 202, asked.text
    return await ended(client, headers, asked.headers["Location"])


def people(count: int, **change: str) -> list[str]:
    """Lines of a file of patients, each with a number of its own."""
    found = []
    for number in itertools.islice(numbers, count):
        row = {"birthday": "1980-02-29", "patientid": str(20_000 + number)} | change
        found.append(
            f"Eva,Novak{number},eva{number}@clinic.example,555-0100,{row['birthday']},Quay,{row['patientid']},baker"
        )
    return found


def file(lines: list[str]) -> dict[str, Any]:
    return {"name": "patients.csv", "text": "\n".join([HEADER, *lines]) + "\n"}


async def test_patients_are_imported_in_chunks_and_refused_rows_are_given_back_with_their_reason(
    client: FlaskClient,
) -> None:
    before = await value("select count(*) from patient")
    lines = [*people(23), *people(1, birthday="yesterday"), *people(1, patientid="1")]
    found = await ran(client, "patient-import", {"file": file(lines), "size": 10}, "staff")
    assert found["status"] == "completed", found["error"]
    assert (found["result"]["added"], found["result"]["refused_rows"]) == (23, 2)
    assert [one["row"] for one in found["result"]["refused"]] == [25, 26]
    assert await value("select count(*) from patient") == before + 23
    assert found["done"] == found["total"]
    tasks = [step["step"] for step in found["steps"] if step["task"] == "import_patient"]
    assert len(tasks) == 25
    assert len({step.split(".")[0] for step in tasks}) == 3  # jobs of 10, 10 and 5 rows
    answer = await call(client, "GET", f"/api/v1/pipelines/runs/{found['id']}/files/refused.csv", await token("staff"))
    back = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert ["birthday" in back[0]["why"], back[0]["birthday"], "patientid" in back[1]["why"]] == [
        True,
        "yesterday",
        True,
    ]
    assert await value("select input from engine_run where id = :id", id=UUID(found["id"])) == {}


async def test_an_import_without_refused_rows_writes_no_file_of_them(client: FlaskClient, clinic: Clinic) -> None:
    found = await ran(client, "patient-import", {"file": file(people(3)), "size": 50})
    assert found["result"] == {"added": 3, "refused_rows": 0}
    assert "write_refused" not in {step["task"] for step in found["steps"]}
    assert not (clinic.files / found["id"] / "refused.csv").exists()


async def test_a_file_without_a_needed_column_is_refused_by_name(client: FlaskClient) -> None:
    before = await value("select count(*) from patient")
    found = await ran(client, "patient-import", {"file": {"name": "x.csv", "text": "firstname,lastname\nEva,Novak\n"}})
    assert found["status"] == "failed"
    assert "birthday" in found["error"]
    assert await value("select count(*) from patient") == before
    assert await value("select count(*) from incident where run_id = :id", id=UUID(found["id"])) == 0


async def test_an_archive_is_a_chain_with_a_group_inside(client: FlaskClient) -> None:
    found = await ran(client, "archive", {})
    assert found["result"]["tables"] == 7, found["error"]
    answer = await call(client, "GET", f"/api/v1/pipelines/runs/{found['id']}/files/archive.zip", await token("admin"))
    with zipfile.ZipFile(io.BytesIO(answer.data)) as packed:
        assert len(packed.namelist()) == 8
        doctors = packed.read("doctor.csv").decode().splitlines()
    assert len(doctors) == 1 + await value("select count(*) from doctor")


async def test_the_workload_is_a_starmap_over_doctors_and_days(client: FlaskClient) -> None:
    first = await value("select min(date_scheduled) from appointment where ticketid like 'DEMO-%'")
    found = await ran(client, "workload", {"first": first.isoformat(), "days": 10})
    working = await value("select count(*) from doctor where status")
    assert (found["status"], found["result"]["rows"]) == ("completed", working * 10), found["error"]
    booked = """select count(*) from appointment
                where status = 'booked' and date_scheduled between :f and cast(:f as date) + 9"""
    assert found["result"]["appointments"] == await value(booked, f=first)
    assert found["done"] == found["total"]


async def test_panel_sizes_are_a_map_over_doctors(client: FlaskClient) -> None:
    found = await ran(client, "panel-sizes", {}, "doctor")
    assert found["result"]["rows"] == await value("select count(*) from doctor where status"), found["error"]
    sql = """select count(distinct (docid, patientid)) from appointment join doctor on docid = empid
             where doctor.status"""
    assert found["result"]["patients"] == await value(sql)


async def test_a_group_takes_unlike_tasks_and_gives_their_results_together(client: FlaskClient, clinic: Clinic) -> None:
    """One reads the database, one writes a file, one asks another server."""
    found = await ran(client, "inspection", {})
    assert found["status"] == "completed", found["error"]
    rows = await value("select count(*) from appointment")
    assert found["result"]["database"] == f"up, {rows} rows in appointment"
    assert re.fullmatch(r"up, \d+ MiB free", found["result"]["files"])
    assert re.fullmatch(r"up, answers [234]\d\d", found["result"]["payments"])
    assert not [path for path in clinic.files.iterdir() if path.name.startswith(".")]
    asked = {step["task"] for step in found["steps"]}
    assert asked == {"inspect_database", "inspect_files", "inspect_server", "report_inspection"}


async def test_wrong_input_is_refused_beside_its_field_and_nothing_is_asked_for(client: FlaskClient) -> None:
    before, admin = await value("select count(*) from engine_run"), await token("admin")
    path = "/api/v1/pipelines/workload/runs"
    answer = await call(client, "POST", path, admin, json={"input": {"first": "soon", "days": 99}})
    assert answer.status_code == 422
    assert set(answer.json["errors"]) == {"first", "days"}
    missing = await call(client, "POST", "/api/v1/pipelines/patient-import/runs", admin, json={"input": {}})
    assert set(missing.json["errors"]) == {"file"}
    assert await value("select count(*) from engine_run") == before


async def test_a_pipeline_belongs_to_its_roles(client: FlaskClient) -> None:
    doctor = await token("doctor")
    listed = (await call(client, "GET", "/api/v1/pipelines", doctor)).json["items"]
    assert {"panel-sizes", "doctor-stats"} <= {one["name"] for one in listed}
    assert not {"backup", "signup", "login-count"} & {one["name"] for one in listed}
    assert (await call(client, "POST", "/api/v1/pipelines/backup/runs", doctor, json={})).status_code == 404
    admins = await ran(client, "archive", {})
    assert (await call(client, "GET", f"/api/v1/pipelines/runs/{admins['id']}", doctor)).status_code == 404


async def test_the_same_idempotency_key_is_the_same_run(client: FlaskClient) -> None:
    admin = await token("admin") | {"Idempotency-Key": "once-only"}
    path = "/api/v1/pipelines/panel-sizes/runs"
    one, two = [await call(client, "POST", path, admin, json={}) for _ in range(2)]
    assert one.json["id"] == two.json["id"]
    other = await call(client, "POST", "/api/v1/pipelines/archive/runs", admin, json={})
    assert other.status_code == 409


async def sign_in(client: FlaskClient, username: str) -> None:
    async with transaction() as session:
        from sqlalchemy import text

        login = (await session.execute(text("select id, roles from login where username = :n"), {"n": username})).one()
        cookie = await accounts.open_session(session, Actor(login.id, username, username, frozenset(login.roles)))
    client.set_cookie(COOKIE, cookie)


async def test_the_page_makes_a_form_from_the_input_starts_the_pipeline_and_shows_its_result(
    client: FlaskClient,
) -> None:
    await sign_in(client, "admin")
    listing = await call(client, "GET", "/pipelines", {})
    assert "Workload of the doctors" in listing.text
    form = (await call(client, "GET", "/pipelines/workload", {})).text
    assert 'name="first"' in form
    assert 'name="days"' in form
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', form)
    assert csrf
    wrong = await call(
        client, "POST", "/pipelines/workload", {}, data={"csrf_token": csrf[1], "first": "x", "days": "7"}
    )
    assert wrong.status_code == 422
    assert "Enter a date" in wrong.text
    given = {"csrf_token": csrf[1], "first": date(2026, 11, 30).isoformat(), "days": "2"}
    started = await call(client, "POST", "/pipelines/workload", {}, data=given)
    assert started.status_code == 303

    async def complete() -> bool:
        return "workload.csv" in (await call(client, "GET", started.headers["Location"], {})).text

    await until(complete)


async def test_a_drawn_process_hands_work_to_a_pipeline_and_goes_on_with_its_result(client: FlaskClient) -> None:
    task = (
        '<bpmn:serviceTask id="job" camunda:type="external" camunda:topic="pipeline:doctor-stats">'
        "<bpmn:extensionElements><camunda:inputOutput>"
        '<camunda:inputParameter name="docid">${doctor}</camunda:inputParameter>'
        '<camunda:outputParameter name="seen">${patients}</camunda:outputParameter>'
        "</camunda:inputOutput></bpmn:extensionElements></bpmn:serviceTask>"
    )
    headers = await token("admin")
    model = {"file": (io.BytesIO(drawing.sequence("Figures", task)), "figures.bpmn")}
    deployed = await call(client, "POST", "/api/v1/deployments", headers, data=model)
    assert deployed.status_code == 201, deployed.text
    given = {"variables": {"doctor": "HSP-200"}}
    begun = await call(client, "POST", "/api/v1/models/Figures/instances", headers, json=given)
    assert begun.json["waiting"][0]["name"] == "pipeline:doctor-stats"
    found = await ended(client, headers, f"/api/v1/instances/{begun.json['id']}")
    assert (found["status"], found["variables"]) == ("completed", {"doctor": "HSP-200", "seen": 2})
