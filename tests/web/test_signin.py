"""Signing in and out: one answer for every failure, guessing is slow, sessions rotate and can be ended."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from app.clinic import accounts
from app.core.settings import settings
from app.db.session import transaction
from app.web.security import COOKIE
from tests.conftest import CHEAP_HASHES, PASSWORD_OF_ALL
from tests.web.conftest import API, Caller, Visitor, at_once, forget_hashes, rows, value


def cookie(person: Visitor) -> str | None:
    found = person.browser.get_cookie(COOKIE)
    return found.value if found else None


def test_who_signs_in_lands_on_the_tasks(visitor: Callable[[], Visitor]) -> None:
    person = visitor()
    assert person.sign_in("staff").headers["Location"] == "/home"
    assert "Rosa Alvarez" in person.get("/home").text
    assert person.get("/login", 302).headers["Location"] == "/home"


def test_after_signing_in_one_is_where_one_wanted_to_go(visitor: Callable[[], Visitor]) -> None:
    person = visitor()
    wanted = person.get("/instances?status=running", 302).headers["Location"]
    assert wanted == "/login?next=/instances?status%3Drunning"
    assert person.sign_in("staff", next="/instances?status=running").headers["Location"] == "/instances?status=running"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/a\nb"],
)
def test_signing_in_never_leads_to_another_site(visitor: Callable[[], Visitor], elsewhere: str) -> None:
    assert visitor().sign_in("staff", next=elsewhere).headers["Location"] == "/home"


async def test_every_failure_has_the_same_answer(visitor: Callable[[], Visitor]) -> None:
    async with transaction() as session:
        number = await accounts.create(session, "closed", "closed-account", ["staff"])
        await accounts.disable(session, number)
    pages = []
    for username, password in (
        ("staff", "wrong"),
        ("nobody", "wrong"),
        ("closed", "closed-account"),
        ("", ""),
        ("x" * 5000, "y" * 5000),
    ):
        page = visitor().post("/login", 401, username=username, password=password).text
        assert accounts.REFUSED in page
        pages.append(page.replace(f'value="{username}"', "").split("<main")[1].split('name="csrf_token"')[0])
    assert len(set(pages)) == 1


def test_the_api_gives_every_failure_the_same_answer(app: Flask) -> None:
    client = app.test_client()
    answers = [
        client.post(f"{API}/token", json={"username": username, "password": "wrong"}).get_json(force=True)
        for username in ("staff", "nobody", "hsp-201")
    ]
    assert [answer["status"] for answer in answers] == [401] * 3
    assert answers[0] == answers[1] == answers[2]


async def test_an_unknown_name_takes_as_long_as_a_known_one(
    visitor: Callable[[], Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the clock tells which names exist. Only the ratio is looked at, of the processor's time: never a speed.

    The hashes are as dear as those of a clinic, or a name that is not even looked at would not show.
    """
    for name in CHEAP_HASHES:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DAMS_SECURITY__SIGN_IN_TRIES", "1000")
    settings.cache_clear()
    forget_hashes()
    async with transaction() as session:
        await accounts.create(session, "somebody", "a-long-password", ["staff"])
    person = visitor()

    def seconds(username: str) -> float:
        began = time.process_time()
        person.post("/login", 401, username=username, password="wrong")
        return time.process_time() - began

    seconds("somebody"), seconds("nobody")
    pairs = [(seconds("somebody"), seconds("nobody")) for _ in range(7)]
    ratio = statistics.median(known / unknown for known, unknown in pairs)
    assert 0.4 < ratio < 2.5


def test_guessing_has_to_wait(visitor: Callable[[], Visitor]) -> None:
    person = visitor()
    for _ in range(settings().security.sign_in_tries):
        person.post("/login", 401, username="staff", password="guess")
    waits = person.post("/login", 429, username="staff", password=PASSWORD_OF_ALL)
    assert waits.headers["Retry-After"] == "3600"
    assert "Wait 3600 seconds" in waits.text
    assert cookie(person) is None
    person.sign_in("doctor")


def test_the_api_makes_guessing_wait_too(app: Flask) -> None:
    client, given = app.test_client(), {"username": "ops", "password": "guess"}
    statuses = [client.post(f"{API}/token", json=given).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert client.post(f"{API}/token", json=given).headers["Retry-After"] == "3600"


def test_many_tries_at_once_are_counted_one_by_one(app: Flask) -> None:
    def attempt() -> int:
        given = {"username": "ops", "password": "guess"}
        return app.test_client().post(f"{API}/token", json=given).status_code

    assert sorted(at_once(*[attempt] * 9)) == [401] * 5 + [429] * 4


def test_an_address_that_tries_many_names_has_to_wait(app: Flask) -> None:
    client = app.test_client()
    statuses = [
        client.post(f"{API}/token", json={"username": f"name{number}", "password": "guess"}).status_code
        for number in range(52)
    ]
    assert statuses == [401] * 50 + [429] * 2


def test_a_whole_clinic_behind_one_address_signs_in(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAMS_SECURITY__SIGN_IN_TRIES", "1")
    settings.cache_clear()
    given = {"username": "staff", "password": PASSWORD_OF_ALL}
    statuses = {app.test_client().post(f"{API}/token", json=given).status_code for _ in range(15)}
    assert statuses == {200}


def test_a_right_password_clears_the_count(visitor: Callable[[], Visitor]) -> None:
    for _ in range(2):
        for _ in range(settings().security.sign_in_tries - 1):
            visitor().post("/login", 401, username="staff", password="guess")
        visitor().sign_in("staff")


def test_signing_in_works_without_redis(visitor: Callable[[], Visitor], monkeypatch: pytest.MonkeyPatch) -> None:
    from app.core.loop import loop_thread
    from app.dev.state import free_ports
    from app.web import throttle

    monkeypatch.setenv("DAMS_REDIS__URL", f"redis://127.0.0.1:{free_ports(1)[0]}/0")
    settings.cache_clear()
    loop_thread.run(throttle.forget())
    visitor().sign_in("staff")
    for _ in range(settings().security.sign_in_tries):
        visitor().post("/login", 401, username="ops", password="guess")
    visitor().post("/login", 429, username="ops", password="guess")


def test_each_sign_in_gets_a_session_of_its_own(visitor: Callable[[], Visitor]) -> None:
    person = visitor()
    person.browser.set_cookie(COOKIE, "planted-by-somebody")
    person.sign_in("staff")
    first = cookie(person)
    assert first not in (None, "planted-by-somebody")
    person.sign_in("staff")
    assert cookie(person) != first
    old = visitor()
    old.browser.set_cookie(COOKIE, first or "")
    old.get("/home", 302)


def test_a_form_token_from_before_signing_in_is_worth_nothing_after(visitor: Callable[[], Visitor]) -> None:
    """Somebody who planted the form's cookie would know the token of the person who signs in."""
    person = visitor()
    person.get("/login")
    planted = person.browser.get_cookie("dams_form")
    person.sign_in("staff")
    assert planted is not None
    token = person.token
    person.browser.set_cookie("dams_form", planted.value)
    assert person.browser.post("/logout", data={"csrf_token": token}).status_code == 400


def test_signing_out_ends_the_session_on_the_server(visitor: Callable[[], Visitor]) -> None:
    person = visitor()
    person.sign_in("staff")
    value_ = cookie(person)
    assert person.post("/logout").headers["Location"] == "/login"
    assert cookie(person) is None
    thief = visitor()
    thief.browser.set_cookie(COOKIE, value_ or "")
    thief.get("/home", 302)


@pytest.mark.parametrize("change", ["password", "disabled"])
async def test_a_changed_account_is_signed_out_everywhere(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller], change: str
) -> None:
    browser, program = visitor("staff"), caller("staff")
    number = await value("select id from login where username = 'staff'")
    async with transaction() as session:
        if change == "password":
            await accounts.set_password(session, number, "quite-another-one")
        else:
            await accounts.disable(session, number)
    browser.get("/home", 302)
    program("GET", "/tasks", 401)


async def test_a_role_taken_away_is_gone_at_once(visitor: Callable[[str], Visitor]) -> None:
    person = visitor("modeler")
    person.get("/models")
    async with transaction() as session:
        await accounts.set_roles(session, await value("select id from login where username = 'modeler'"), ["patient"])
    person.get("/models", 403)


async def test_an_idle_session_ends(visitor: Callable[[str], Visitor]) -> None:
    person = visitor("staff")
    async with transaction() as session:
        await session.execute(text("update web_session set expires_at = now() - interval '1 s'"))
    person.get("/home", 302)


async def test_an_old_token_is_refused(caller: Callable[[str], Caller]) -> None:
    program = caller("staff")
    async with transaction() as session:
        await session.execute(text("update access_token set expires_at = now() - interval '1 s'"))
    assert program("GET", "/tasks", 401)["detail"] == "The token is unknown, expired or revoked."


async def test_the_database_holds_no_password_and_no_token(
    visitor: Callable[[str], Visitor], caller: Callable[[str], Caller]
) -> None:
    person, program = visitor("staff"), caller("staff")
    kept = await rows(
        "select encode(token_hash, 'hex') from web_session union select encode(token_hash, 'hex') from access_token"
    )
    values = {cookie(person), program.token}
    assert not values & {row[0] for row in kept}
    stored = await value("select password from login where username = 'staff'")
    assert stored.startswith("$argon2id$")
    assert PASSWORD_OF_ALL not in stored


async def test_a_weaker_hash_is_made_anew_at_sign_in(
    visitor: Callable[[], Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CHEAP_HASHES:
        monkeypatch.delenv(name)
    settings.cache_clear()
    forget_hashes()
    visitor().sign_in("staff")
    stored = await value("select password from login where username = 'staff'")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_good_and_bad_sign_ins_are_recorded(visitor: Callable[[], Visitor]) -> None:
    visitor().post("/login", 401, username="staff", password="a-secret-guess")
    visitor().sign_in("staff")
    found = await rows("select kind, data from case_event where kind like 'account.%' order by id desc limit 2")
    assert [row.kind for row in found] == ["account.signed-in", "account.sign-in-refused"]
    assert "a-secret-guess" not in str(found)


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    visitor: Callable[[], Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_cookies = "\n".join(visitor().sign_in("staff").headers.getlist("Set-Cookie"))
    session = next(line for line in set_cookies.splitlines() if line.startswith(COOKIE))
    assert "HttpOnly" in session
    assert "SameSite=Lax" in session
    monkeypatch.setenv("DAMS_WEB__SECURE_COOKIES", "true")
    settings.cache_clear()
    secure = visitor().sign_in("staff").headers.getlist("Set-Cookie")
    assert "Secure" in next(line for line in secure if line.startswith(COOKIE))
