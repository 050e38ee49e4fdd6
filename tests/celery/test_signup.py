"""Sign-up is a chain on a real worker: an account with its one profile, or nothing at all."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.core.settings import settings
from app.engines import broker, pipelines
from tests.celery.conftest import Clinic, sign_up, token, value
from tests.conftest import alone
from tests.waiting import until

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("celery")]
TABLES = ("administrator", "doctor", "patient")
numbers = itertools.count(1)


async def counts() -> list[int]:
    return [await value(f"select count(*) from {table}") for table in ("login", *TABLES)]  # noqa: S608 - names above


async def post(client: FlaskClient, body: Any, headers: dict[str, str] | None = None) -> Any:
    return await asyncio.to_thread(client.post, "/login/user/add", json=body, headers=headers)


@pytest.mark.parametrize("role", [0, 1, 2])
async def test_one_call_makes_an_account_and_exactly_one_profile_in_the_table_of_its_role(
    client: FlaskClient, role: int
) -> None:
    before, body = await counts(), sign_up(role, next(numbers))
    answer = await post(client, body, await token("admin"))
    assert answer.status_code == 201, answer.text
    expected = [before[0] + 1] + [count + (number == role) for number, count in enumerate(before[1:])]
    assert await counts() == expected
    account = answer.json
    assert (account["username"], account["role"]) == (body["username"], role)
    assert account["profile"]["lastname"] == "Osei"
    assert "password" not in answer.text
    assert await value("select disabled_at is null from login where username = :name", name=body["username"])


async def test_the_same_again_is_a_conflict_and_writes_nothing(client: FlaskClient) -> None:
    body, admin = sign_up(1, next(numbers)), await token("admin")
    assert (await post(client, body, admin)).status_code == 201
    before = await counts()
    again = await post(client, body, admin)
    assert again.status_code == 409
    assert again.json["task"] == "add_user_login"
    assert await counts() == before


async def test_an_unknown_role_is_refused_before_anything_is_written(client: FlaskClient) -> None:
    before, runs = await counts(), await value("select count(*) from engine_run")
    answer = await post(client, sign_up(2, next(numbers)) | {"role": 7}, await token("admin"))
    assert answer.status_code == 422
    assert "role" in answer.json["errors"]
    assert await counts() == before
    assert await value("select count(*) from engine_run") == runs


async def test_when_the_profile_cannot_be_stored_the_account_is_taken_back_and_the_task_is_named(
    client: FlaskClient,
) -> None:
    before = await counts()
    answer = await post(client, sign_up(1, next(numbers)) | {"empid": "HSP-200"}, await token("admin"))
    assert answer.status_code == 409
    assert answer.json["task"] == "add_user_profile"
    assert "empid" in answer.json["detail"]
    assert await counts() == before


async def test_without_an_account_people_sign_up_as_patients_only(client: FlaskClient) -> None:
    assert (await post(client, sign_up(2, next(numbers)))).status_code == 201
    before = await counts()
    assert (await post(client, sign_up(1, next(numbers)))).status_code == 401
    assert (await post(client, sign_up(0, next(numbers)), await token("staff"))).status_code == 403
    assert await counts() == before


async def test_wrong_fields_are_named_at_once(client: FlaskClient) -> None:
    before = await counts()
    answer = await post(client, sign_up(2, next(numbers)) | {"email": "no", "birthday": "2999-01-01"})
    assert answer.status_code == 422
    assert {"email"} <= set(answer.json["errors"])
    assert await counts() == before


async def test_neither_password_nor_its_hash_is_kept_where_it_passed_through(client: FlaskClient) -> None:
    body = sign_up(2, next(numbers)) | {"password": "Canary-Password-1"}
    assert (await post(client, body)).status_code == 201
    kept = await value("select count(*) from engine_run where input::text like '%argon2%' or input::text like '%Osei%'")
    assert kept == 0
    assert await value("select count(*) from pipeline_step where result::text like '%argon2%'") == 0


async def test_without_a_worker_the_call_ends_in_its_time_and_nothing_is_kept(
    client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue of a Redis database that no worker reads."""
    monkeypatch.setenv("DAMS_CELERY__BROKER_URL", alone("sign-up"))
    monkeypatch.setenv("DAMS_PIPELINES__ANSWER_SECONDS", "1")
    settings.cache_clear()
    broker.forget()
    before = await counts()
    answer = await post(client, sign_up(2, next(numbers)))
    assert answer.status_code == 504
    assert await counts() == before
    open_ones = "select count(*) from engine_run where name = 'signup' and status in ('requested', 'running')"
    assert await value(open_ones) == 0


async def test_what_was_called_off_writes_nothing_when_a_worker_takes_it_after_all(
    client: FlaskClient, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.db.session import transaction
    from app.engines import runs

    before = await counts()
    async with transaction() as session:
        run_id = await runs.request(session, "celery", "signup", {"username": "late"}, external_id="late")
        assert run_id
        await runs.cancelled(session, run_id)
    await broker.send(pipelines.LAUNCH, [str(run_id)], str(run_id))
    mark = await pipelines.call("login-count", {})
    await until(lambda: value("select 1 from engine_run where id = :id and status = 'cancelled'", id=run_id))
    assert mark["count"] == before[0]
    assert await counts() == before


async def test_without_redis_the_call_is_refused_with_its_name(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.dev.state import free_ports

    monkeypatch.setenv("DAMS_CELERY__BROKER_URL", f"redis://127.0.0.1:{free_ports(1)[0]}/0")
    settings.cache_clear()
    broker.forget()
    before = await counts()
    answer = await post(client, sign_up(2, next(numbers)))
    assert answer.status_code == 503
    assert answer.json["engine"] == "redis"
    assert await counts() == before
