"""Logins and profiles of the specification's own calls: added by who may, listed in full, counted by a chain."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.celery.conftest import sign_up, token, value

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("celery")]
numbers = itertools.count(500)
PLACES = {"admin": 0, "doc": 1, "patient": 2}


async def call(client: FlaskClient, method: str, path: str, headers: dict[str, str], body: Any = None) -> Any:
    return await asyncio.to_thread(client.open, path, method=method, json=body, headers=headers)


@pytest.mark.parametrize("place", PLACES)
async def test_a_profile_is_added_to_an_account_once_and_is_listed(client: FlaskClient, place: str) -> None:
    admin, body = await token("admin"), sign_up(PLACES[place], next(numbers))
    added = await call(client, "POST", "/login/add", admin, {name: body[name] for name in ("username", "password")})
    assert added.status_code == 201
    first = await call(client, "POST", f"/{place}/profile/add", admin, body)
    assert first.status_code == 201, first.text
    assert (await call(client, "POST", f"/{place}/profile/add", admin, body)).status_code == 409
    listed = (await call(client, "GET", f"/{place}/profile/list/all", admin)).json["records"]
    assert [row["username"] for row in listed].count(body["username"]) == 1
    table = {"admin": "administrator", "doc": "doctor", "patient": "patient"}[place]
    assert len(listed) == await value(f"select count(*) from {table}")  # noqa: S608 - names above
    roles = await value("select roles from login where username = :name", name=body["username"])
    assert roles == [{"admin": "admin", "doc": "doctor", "patient": "patient"}[place]]


async def test_logins_are_listed_without_passwords_and_counted_by_the_chain(client: FlaskClient) -> None:
    admin = await token("admin")
    listed = await call(client, "GET", "/login/list/all", admin)
    assert listed.status_code == 200
    assert "argon2" not in listed.text
    assert "password" not in listed.text
    counted = await call(client, "GET", "/login/list/count", admin)
    assert counted.json["count"] == len(listed.json["records"])


async def test_a_profile_of_nobody_or_with_wrong_fields_is_refused(client: FlaskClient) -> None:
    admin, body = await token("admin"), sign_up(1, next(numbers))
    assert (await call(client, "POST", "/doc/profile/add", admin, body)).status_code == 404
    wrong = await call(client, "POST", "/doc/profile/add", admin, body | {"age": "old", "mobile": "call me"})
    assert wrong.status_code == 422
    assert set(wrong.json["errors"]) == {"age", "mobile"}


async def test_accounts_and_profiles_are_closed_to_others(client: FlaskClient) -> None:
    doctor = await token("doctor")
    for path in ("/login/list/all", "/login/list/count", "/patient/profile/list/all", "/admin/profile/list/all"):
        assert (await call(client, "GET", path, doctor)).status_code == 403
        assert (await call(client, "GET", path, {})).status_code == 401
