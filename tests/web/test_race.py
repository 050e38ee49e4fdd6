"""Two hundred people at a real web want one slot: one has it, everybody else is told and shown the nearest free."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from lxml import html

from tests.serving import Served, serving
from tests.web.test_schedule import DOCTOR, at, open_day

PEOPLE = 200
DESKS = """
    insert into login (username, password, roles, display_name)
        select 'desk' || n, '!', '{staff}', 'Desk ' || n from generate_series(1, $1::int) n;
"""
PATIENTS = """
    with made as (insert into login (username, password, roles)
                  select 'racer' || n, '!', '{patient}' from generate_series(1, $1::int) n returning username)
    insert into patient (username, role, firstname, midname, lastname, email, mobile, patientid, birthday, age,
                         profession, address, date_registered)
    select username, 2, 'Racer', '', username, '', '', 5000 + substr(username, 6)::int, '1990-01-01', 36, '', '',
           '2024-01-01' from made
"""
SESSIONS = """
    insert into web_session (id, token_hash, login_id, expires_at)
    select gen_random_uuid(), sha256(username::bytea), id, now() + interval '1 hour' from login
    where username like 'desk%' and substr(username, 5) ~ '^[0-9]+$'
"""


async def prepare(web: Served) -> None:
    """As many people at the desk as patients, everybody signed in in a browser of their own."""
    connection = await asyncpg.connect(web.database)
    try:
        for sql in (DESKS, PATIENTS):
            await connection.execute(sql.replace("$1::int", str(PEOPLE)))
        await connection.execute(SESSIONS)
    finally:
        await connection.close()


async def book(client: httpx.AsyncClient, ready: asyncio.Barrier, number: int) -> httpx.Response:
    """One person's click on Book: the form was opened before, the time is the same for all."""
    cookies = {"Cookie": f"dams_session=desk{number}"}
    page = await client.get("/schedule/walk-in", headers=cookies)
    token = html.fromstring(page.text).xpath("string(//input[@name='csrf_token']/@value)")
    form = page.cookies.get("dams_form")
    given = {"csrf_token": token, "doctor": DOCTOR, "patient": str(5000 + number), "priority": "3"}
    given |= {"day": open_day().isoformat(), "time": "10:00"}
    await ready.wait()
    headers = {"Cookie": f"{cookies['Cookie']}; dams_form={form}"}
    return await client.post("/schedule/book", data=given, headers=headers)


@pytest.fixture
def web(clinic_template: str, tmp_path: Path) -> Iterator[Served]:
    with serving(clinic_template, tmp_path) as served:
        yield served


@pytest.mark.slow
async def test_of_two_hundred_people_one_has_the_slot_and_the_others_the_three_nearest(web: Served) -> None:
    await prepare(web)
    ready = asyncio.Barrier(PEOPLE)
    limits = httpx.Limits(max_connections=PEOPLE)
    async with httpx.AsyncClient(base_url=web.url, limits=limits, timeout=300) as client:
        answers = await asyncio.gather(*(book(client, ready, number) for number in range(1, PEOPLE + 1)))
    sql = "select patientid from appointment where docid = $1 and lower(during) = $2"
    booked = await web.rows(sql, DOCTOR, at(10))
    assert Counter(answer.status_code for answer in answers) == {303: 1, 409: PEOPLE - 1}
    winner = next(number for number, answer in enumerate(answers, 1) if answer.status_code == 303)
    assert [row["patientid"] for row in booked] == [5000 + winner]
    nearest = [f"{DOCTOR} {at(*when).isoformat()}" for when in ((9, 0), (9, 30), (10, 30))]
    for answer in answers:
        if answer.status_code == 409:
            page = html.fromstring(answer.text)
            assert page.xpath("//*[@data-summary]//button[@name='slot']/@value") == nearest, answer.text
