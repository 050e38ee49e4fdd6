"""Signing up by oneself: everything or nothing, patients only, every wrong field named, closed by a setting."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lxml import html

from app.core.settings import settings
from tests.web.conftest import Visitor, rows, value
from tests.web.test_schedule import said

GIVEN = {
    "firstname": "Nora",
    "lastname": "Lind",
    "birthday": "1991-05-06",
    "email": "nora@demo.example",
    "mobile": "+1 555 0142",
    "address": "3 Harbour Street",
    "username": "nora",
    "password": "long-enough-1",
}


async def test_who_signs_up_has_a_profile_is_signed_in_and_can_book(visitor: Callable[[str], Visitor]) -> None:
    stranger = visitor("")
    assert stranger.get("/login").text.count('href="/register"') == 1
    assert stranger.post("/register", 303, **GIVEN).headers["Location"] == "/my"
    assert "Nora Lind" in stranger.get("/my").text
    stranger.get("/doctor/expertise")
    stranger.get("/patients", 403)
    (made,) = await rows("select p.*, l.roles from patient p join login l using (username) where username = 'nora'")
    assert (made.lastname, made.roles, str(made.birthday)) == ("Lind", ["patient"], "1991-05-06")
    visitor("").sign_in("nora", GIVEN["password"])


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"birthday": "2999-01-01"}, {"birthday"}),
        ({"birthday": "yesterday", "email": "nobody", "mobile": "call me"}, {"birthday", "email", "mobile"}),
        ({"firstname": " ", "lastname": "x" * 51, "address": ""}, {"firstname", "lastname", "address"}),
        ({"username": "x" * 21, "password": "short"}, {"username", "password"}),
        ({"username": "", "firstname": ""}, {"username", "firstname"}),
    ],
)
async def test_what_cannot_be_is_named_and_nothing_is_written(
    visitor: Callable[[str], Visitor], wrong: dict[str, str], fields: set[str]
) -> None:
    before = await value("select count(*) from login")
    answer = visitor("").post("/register", 422, **(GIVEN | wrong))
    assert set(said(answer)) == fields
    assert answer.text.count(GIVEN["password"]) == 0
    if "lastname" not in wrong:
        assert html.fromstring(answer.text).xpath("string(//input[@name='lastname']/@value)") == "Lind"
    assert await value("select count(*) from login") == before


async def test_a_taken_name_is_said_beside_its_field_and_roles_cannot_be_asked_for(
    visitor: Callable[[str], Visitor],
) -> None:
    assert "is taken" in said(visitor("").post("/register", 409, **(GIVEN | {"username": "staff"})))["username"]
    assert await value("select count(*) from patient where lastname = 'Lind'") == 0
    visitor("").post("/register", 303, **GIVEN, role="0", roles="admin", patientid="1", empid="HSP-1")
    (made,) = await rows("select roles from login where username = 'nora'")
    assert made.roles == ["patient"]
    assert await value("select patientid from patient where username = 'nora'") != 1


def test_a_setting_closes_the_page(visitor: Callable[[str], Visitor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_WEB__SIGN_UP", "false")
    settings.cache_clear()
    stranger = visitor("")
    assert "/register" not in stranger.get("/login").text
    stranger.get("/register", 403)
    stranger.post("/register", 403, **GIVEN)


def test_many_tries_for_one_name_have_to_wait(visitor: Callable[[str], Visitor]) -> None:
    stranger = visitor("")
    for _ in range(settings().security.sign_in_tries):
        stranger.post("/register", 409, **(GIVEN | {"username": "staff"}))
    stranger.post("/register", 429, **(GIVEN | {"username": "staff"}))
