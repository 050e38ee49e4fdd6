"""The backup group writes three files at the same time; the chord counts a doctor's patients and requests."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app.clinic import reports
from app.db.session import transaction
from tests.celery.conftest import Clinic, token, value
from tests.waiting import until

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("celery")]
FILES = {"dams_admin.csv": "administrator", "dams_patient.csv": "patient", "dams_doc.csv": "doctor"}


async def get(client: FlaskClient, path: str, headers: dict[str, str] | None = None) -> Any:
    return await asyncio.to_thread(client.get, path, headers=headers, buffered=True)


async def backup(client: FlaskClient, headers: dict[str, str]) -> dict[str, Any]:
    """Ask for a backup and wait for it as a program would."""
    asked = await asyncio.to_thread(client.post, "/admin/reports/create", headers=headers)
    assert asked.status_code == 202, asked.text

    async def complete() -> Any:
        answer = await get(client, asked.headers["Location"], headers)
        assert answer.status_code == 200
        return answer.json if answer.json["status"] not in ("requested", "running") else None

    found = await until(complete)
    assert found["status"] == "completed", found
    return found


AWKWARD = text("""
    with made as (insert into login (username, password) values ('awkward', '!') returning username)
    insert into patient (username, role, firstname, midname, lastname, email, mobile, patientid, birthday, age,
        profession, address, date_registered)
    select username, 2, '=1+1', 'says "hi"', 'a, b', 'x@clinic.example', '555', 50000, '1990-01-01', 30,
        E'two\\nlines', 'Quay', '2024-01-01' from made
""")


async def test_a_backup_writes_three_correct_files_with_every_column(client: FlaskClient) -> None:
    async with transaction() as session:
        await session.execute(AWKWARD)
    admin = await token("admin")
    found = await backup(client, admin)
    assert {one["name"] for one in found["files"]} == set(FILES)
    for one in found["files"]:
        table = FILES[one["name"]]
        answer = await get(client, one["href"], admin)
        assert answer.mimetype == "text/csv"
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert len(rows) == one["rows"] == await value(f"select count(*) from {table}")  # noqa: S608 - names above
        columns = await value(
            "select array_agg(column_name::text) from information_schema.columns where table_name = :t", t=table
        )
        assert set(rows[0]) == set(columns)
    patients = list(csv.DictReader(io.StringIO((await get(client, found["files"][1]["href"], admin)).text, newline="")))
    row = next(row for row in patients if row["username"] == "awkward")
    assert (row["midname"], row["lastname"], row["profession"]) == ('says "hi"', "a, b", "two\nlines")
    assert row["firstname"] == "'=1+1"  # no formula for a spreadsheet


async def test_the_three_files_are_written_at_the_same_time(client: FlaskClient) -> None:
    """Nobody can read the tables until all three tasks have begun."""
    admin = await token("admin")
    running = "select count(*) from pipeline_step where state = 'running' and task like 'generate_csv_%'"
    async with transaction() as session:
        await session.execute(text("lock table administrator, patient, doctor in access exclusive mode"))
        waiting = asyncio.create_task(backup(client, admin))

        async def all_three() -> bool:
            return await value(running) == 3

        await until(all_three)
    assert (await waiting)["status"] == "completed"


async def test_an_empty_table_is_its_header_alone(clinic: Clinic) -> None:
    path = clinic.files / "empty" / "payment.csv"
    async with transaction() as session:
        assert await reports.write_table(session, "payment", path) == 0
    lines = path.read_text().splitlines()
    assert len(lines) == 1
    assert '"paymentid"' in lines[0]


async def test_two_backups_at_the_same_time_do_not_mix(client: FlaskClient) -> None:
    admin = await token("admin")
    one, two = await asyncio.gather(backup(client, admin), backup(client, admin))
    assert one["id"] != two["id"]
    for found in (one, two):
        for file in found["files"]:
            assert (await get(client, file["href"], admin)).text.count("\n") >= file["rows"]


async def test_only_an_administrator_reads_a_backup_and_no_other_file(client: FlaskClient, clinic: Clinic) -> None:
    admin = await token("admin")
    found = await backup(client, admin)
    href = found["files"][0]["href"]
    assert (await get(client, href, await token("doctor"))).status_code == 403
    assert (await get(client, href)).status_code == 401
    (clinic.files / "secret").write_text("secret")
    for name in ("..%2Fsecret", ".hidden", "other.csv"):
        assert (await get(client, f"/admin/reports/{found['id']}/{name}", admin)).status_code == 404
    assert (await get(client, href, admin)).status_code == 200
    assert await value("select count(*) from case_event where kind = 'report.downloaded'") >= 1


async def test_a_doctors_figures_count_different_patients_and_requests(client: FlaskClient) -> None:
    answer = await get(client, "/admin/doc/stats?docid=HSP-200", await token("admin"))
    assert answer.status_code == 200
    assert (answer.json["patients"], answer.json["requests"]) == (2, 0)
    assert answer.json["patients"] == await value(
        "select count(distinct patientid) from appointment where docid='HSP-200'"
    )
    assert "2 patients and 0 requests" in answer.json["message"]


async def test_the_figures_stand_in_the_order_of_the_chords_header(client: FlaskClient) -> None:
    async with transaction() as session:
        await session.execute(
            text("""insert into request (docid, adminid, details, status)
                    select 'HSP-201', 'HSP-100', 'blood', false from generate_series(1, 3)""")
        )
    answer = await get(client, "/admin/doc/stats?docid=HSP-201", await token("admin"))
    assert (answer.json["patients"], answer.json["requests"]) == (1, 3)


async def test_an_unknown_doctor_is_not_found_and_a_missing_one_a_bad_request(client: FlaskClient) -> None:
    admin = await token("admin")
    incidents = await value("select count(*) from incident")
    unknown = await get(client, "/admin/doc/stats?docid=NOBODY", admin)
    assert unknown.status_code == 404
    assert unknown.json["task"] in ("count_patients_doctor", "count_request_doctor")
    assert (await get(client, "/admin/doc/stats", admin)).status_code == 400
    assert await value("select count(*) from incident") == incidents
