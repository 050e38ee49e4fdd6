"""The web as its server runs it: requests as greenlets on one loop, each with its own person, body and bounds."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from app.core.root import ROOT
from app.core.settings import settings
from app.web.rsgi import AT_ONCE
from tests.conftest import PASSWORD_OF_ALL
from tests.serving import API, APPOINTMENT, Served, serving

pytestmark = pytest.mark.slow
MODELS = f"{API}/models/{APPOINTMENT}/instances"


@pytest.fixture(scope="module")
def web(clinic_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(clinic_template, tmp_path_factory.mktemp("mail")) as served:
        yield served


def bearer(web: Served, username: str = "staff") -> dict[str, str]:
    given = {"username": username, "password": PASSWORD_OF_ALL}
    token = httpx.post(f"{web.url}{API}/token", json=given, timeout=60).raise_for_status().json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


@contextlib.contextmanager
def connected(web: Served) -> Iterator[socket.socket]:
    address = urlsplit(web.url)
    with socket.create_connection((address.hostname, address.port), 60) as connection:
        yield connection


def said(connection: socket.socket, head: list[str], body: bytes = b"") -> bytes:
    """The whole answer to a request that is written by hand; the connection is closed after it."""
    lines = [*head, "Host: 127.0.0.1", "Connection: close", "", ""]
    connection.sendall("\r\n".join(lines).encode() + body)
    answer = b""
    while part := connection.recv(65536):
        answer += part
    return answer


async def test_requests_at_once_do_not_see_each_others_person(web: Served) -> None:
    people = {name: bearer(web, name) for name in ("staff", "doctor", "admin", "ops")}

    def ask(name: str) -> str:
        url = f"{web.url}{API}/models/{APPOINTMENT}/instances"
        return httpx.post(url, headers=people[name], json={}, timeout=60).json()["id"]

    names = [*people] * 10
    with ThreadPoolExecutor(40) as threads:
        asked = dict(zip(threads.map(ask, names), names, strict=True))
    rows = await web.rows("select i.id, l.username from instance i join login l on l.id = i.started_by")
    assert {str(row["id"]): row["username"] for row in rows if str(row["id"]) in asked} == asked


def test_who_sends_slowly_takes_nobodys_turn(web: Served) -> None:
    head = "\r\n".join([f"POST {MODELS} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Content-Length: 2"])
    head += "\r\nContent-Type: application/json"
    staff = bearer(web)
    head += f"\r\nAuthorization: {staff['Authorization']}\r\n\r\n"
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(web)) for _ in range(2 * AT_ONCE)]
        for connection in slow:
            connection.sendall(head.encode() + b"{")
        assert httpx.post(f"{web.url}{MODELS}", headers=staff, json={}, timeout=60).status_code == 201
        for connection in slow:
            connection.sendall(b"}")
        answers = [connection.recv(65536) for connection in slow]
    assert all(answer.startswith(b"HTTP/1.1 201") for answer in answers)


def test_too_much_is_refused_whether_or_not_its_length_is_told(web: Served) -> None:
    most, head = settings().web.max_body_bytes, [f"POST {MODELS} HTTP/1.1", "Content-Type: application/json"]
    head += [f"{name}: {value}" for name, value in bearer(web).items()]
    with connected(web) as connection:
        told = said(connection, [*head, f"Content-Length: {most + 1}"])
    assert told.startswith(b"HTTP/1.1 413"), told[:200]
    body = json.dumps({"variables": {"a": "x" * most}}).encode()
    url = f"{web.url}{MODELS}"
    headers = bearer(web) | {"Content-Type": "application/json"}
    untold = httpx.post(url, headers=headers, content=iter([body[:1000], body[1000:]]), timeout=60)
    assert untold.status_code == 413
    small = httpx.post(url, headers=headers, content=iter([b'{"varia', b'bles": {}}']), timeout=60)
    assert small.status_code == 201, small.text


def test_a_name_with_an_underscore_passes_for_no_other_header(web: Served) -> None:
    head = [f"GET {API}/tasks HTTP/1.1"]
    own = bearer(web)["Authorization"]
    with connected(web) as connection:
        assert b" 200 " in said(connection, [*head, f"Authorization: {own}"])[:20]
    key = [f"POST {MODELS} HTTP/1.1", f"Authorization: {own}", "Content-Type: application/json", "Content-Length: 2"]

    def start(name: str) -> str:
        with connected(web) as connection:
            return json.loads(said(connection, [*key, f"{name}: one-of-a-kind"], b"{}").partition(b"\r\n\r\n")[2])["id"]

    assert start("Idempotency-Key") == start("Idempotency-Key")
    assert start("Idempotency_Key") != start("Idempotency_Key")


def test_a_path_is_decoded_once(web: Served) -> None:
    answer = httpx.get(f"{web.url}{API}/models/a%2520b", headers=bearer(web), timeout=60)
    assert answer.status_code == 404
    assert "a%20b" in answer.text
    assert httpx.get(f"{web.url}/static/%2e%2e/rsgi.py", timeout=60).status_code == 404
    accented = httpx.get(f"{web.url}{API}/models/caf%C3%A9", headers=bearer(web), timeout=60)
    assert "'café'" in accented.json()["detail"]


def test_a_large_file_arrives_whole_and_head_sends_none_of_it(web: Served) -> None:
    largest = max((ROOT / "app/web/static/dist").iterdir(), key=lambda file: file.stat().st_size)
    url = f"{web.url}/static/dist/{largest.name}"
    assert httpx.get(url, timeout=60).content == largest.read_bytes()
    head = httpx.head(url, timeout=60)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(largest.stat().st_size)


def test_cookies_in_two_lines_are_both_read(web: Served) -> None:
    with httpx.Client(base_url=web.url, timeout=60, follow_redirects=True) as browser:
        page = browser.get("/login").text
        token = page.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
        browser.post("/login", data={"csrf_token": token, "username": "staff", "password": PASSWORD_OF_ALL})
        session = browser.cookies["dams_session"]
    with connected(web) as connection:
        answer = said(connection, ["GET /home HTTP/1.1", "Cookie: other=1", f"Cookie: dams_session={session}"])
    assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
