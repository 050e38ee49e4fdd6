"""The topic `http`: a service task calls an address that the clinic allows, and gets its answer.

An address is allowed where a connection (`connections`) that serves models is the beginning of it. The host is
looked up here and the call goes to the address that was found, so a name cannot lead elsewhere a moment later; private
addresses are called only where the connection says so, and a redirect is an answer like any other.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import httpx
import orjson

from app.core import trust
from app.core.errors import DamsError, Invalid
from app.core.ids import uuid7
from app.core.settings import Connection, settings
from app.db.session import Session, transaction
from app.engines import connections, control, outbox, runs, topics
from app.engines.runs import Run
from app.engines.senders import Effect, sender
from app.engines.topics import Asked, Fault

ENGINE, KIND = "http", "http-call"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
INPUTS = ("url", "method", "headers", "body", "timeout", "retries")
LONGEST, RETRIES = 25.0, 3
PASSING = (429, 502, 503, 504)
"""Answers after which the same call is made again; every other one from 300 on fails the task as `http-STATUS`."""
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_|~-]{1,100}")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "idempotency-key", "authorization"})


class CallFailed(DamsError):
    """The call did not succeed"""

    code, status = "http-failed", 502


class _Passing(Exception):
    """It may succeed a little later: the relay makes the call again"""


@topics.checks(ENGINE)
def faults(_name: str, inputs: Mapping[str, str | None]) -> list[Fault]:
    """What a model gets wrong; a value of None is one that is computed."""
    found = [
        (f"the topic http has no input {name!r}", f"use {', '.join(INPUTS)}") for name in inputs if name not in INPUTS
    ]
    if "url" not in inputs:
        found.append(("does not say what to call", "add the input parameter url"))
    try:
        known = {name: value for name, value in inputs.items() if value is not None and name in INPUTS}
        _check(known, connections.at_hand())
    except Invalid as error:
        found += [(f"its {name}: {text}", "correct it") for name, text in error.errors.items()]
    return found


@topics.serves(ENGINE)
async def serve(session: Session, asked: Asked) -> None:
    """A task asks for a call. Raises :class:`Invalid` for one that may not be made."""
    _check(asked.given, await connections.known(session))
    if "url" not in asked.given:
        raise Invalid({"url": "It does not say what to call."})
    run_id = uuid7()
    name = f"{asked.given.get('method') or 'GET'} {httpx.URL(str(asked.given['url'])).host}"
    await runs.request(
        session,
        ENGINE,
        name,
        asked.given,
        run_id=run_id,
        external_id=str(run_id),
        case=asked.case,
        instance_id=asked.instance_id,
        task_id=asked.task_id,
        started_by=asked.started_by,
    )
    await outbox.enqueue(session, KIND, str(run_id), {"run": str(run_id)}, case=asked.case)


def _check(given: Mapping[str, Any], among: Mapping[str, Connection]) -> None:
    wrong: dict[str, str] = {}
    if "url" in given and connections.allowing(str(given["url"]), among) is None:
        wrong["url"] = "This address may not be called; the page of connections says which may."
    if (given.get("method") or "GET") not in METHODS:
        wrong["method"] = f"One of {', '.join(METHODS)}."
    for name, most in (("timeout", LONGEST), ("retries", 5.0)):
        if not 0 <= _number(given.get(name)) <= most:
            wrong[name] = f"A number from 0 to {most:g}."
    headers = given.get("headers") or {}
    if not isinstance(headers, dict) or not all(
        _TOKEN.fullmatch(str(name)) and str(name).lower() not in _OURS and str(value).isprintable()
        for name, value in headers.items()
    ):
        wrong["headers"] = "A map of names and values on one line; Authorization comes from the connection."
    if wrong:
        raise Invalid(wrong)


def _number(given: Any) -> float:
    try:
        return float(given or 0)
    except (TypeError, ValueError):
        return -1.0


@sender(KIND)
async def send(effect: Effect) -> None:
    """Make the call, with the run's id as its Idempotency-Key at every try, and give the answer to the task."""
    run_id = UUID(effect.payload["run"])
    async with transaction() as session:
        run = await runs.get(session, run_id)
        if run is None or run.status not in ("requested", "running"):
            return  # called off, or answered before
        await runs.began(session, run_id)
        among = await connections.known(session)
    tries = 1 + int(float(run.input["retries"] if run.input.get("retries") not in (None, "") else RETRIES))
    try:
        answer = await _call(run, among)
    except _Passing as passing:
        if effect.attempts < tries:
            raise
        await _failed(run_id, "http-failed", str(passing))
    except CallFailed as error:
        await _failed(run_id, error.context.get("error", error.code), error.detail)
    except Invalid as error:  # no longer allowed
        await _failed(run_id, error.code, error.detail)
    else:
        async with transaction() as session:
            await runs.completed(session, run_id, answer)


async def _failed(run_id: UUID, code: str, why: str) -> None:
    async with transaction() as session:
        await runs.failed(session, run_id, code, why)


async def _call(run: Run, among: Mapping[str, Connection]) -> dict[str, Any]:
    _check(run.input, among)
    url = httpx.URL(str(run.input["url"]))
    connection = connections.allowing(str(url), among)
    if connection is None:
        raise Invalid({"url": "This address may not be called any more."})
    address = await _address(url, private=connection.private)
    headers = {str(name): str(value) for name, value in (run.input.get("headers") or {}).items()}
    headers |= {"Host": url.netloc.decode(), "Idempotency-Key": str(run.id), "Accept-Encoding": "identity"}
    if token := connection.token.get_secret_value():
        headers["Authorization"] = f"Bearer {token}"
    content, kind = _content(run.input.get("body"))
    if kind and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = kind
    seconds = float(run.input.get("timeout") or 10.0)
    trusted = trust.context(of_environment=False)
    async with httpx.AsyncClient(trust_env=False, verify=trusted, follow_redirects=False, timeout=seconds) as client:
        request = client.build_request(
            run.input.get("method") or "GET",
            url.copy_with(host=address),
            headers=headers,
            content=content,
            extensions={"sni_hostname": url.host},
        )
        try:
            async with asyncio.timeout(seconds):
                return await _answer(client, request)
        except (httpx.TransportError, TimeoutError) as error:
            raise _Passing(f"{url.host} did not answer: {type(error).__name__}") from error


async def _answer(client: httpx.AsyncClient, request: httpx.Request) -> dict[str, Any]:
    most = settings().engine.variable_kb * 1024
    answer = await client.send(request, stream=True)
    try:
        if answer.status_code in PASSING:
            raise _Passing(f"the answer was {answer.status_code}")
        if answer.status_code >= 300:
            raise CallFailed(f"The answer was {answer.status_code}.", error=f"http-{answer.status_code}")
        read = bytearray()
        async for part in answer.aiter_bytes():
            read += part
            if len(read) > most:
                raise CallFailed(f"The answer is larger than {most // 1024} KB.", error="http-too-large")
    finally:
        await answer.aclose()
    return {"status": answer.status_code, "body": _body(bytes(read), answer.headers.get("Content-Type", ""))}


def _body(read: bytes, kind: str) -> Any:
    if "json" in kind:
        try:
            return orjson.loads(read)
        except orjson.JSONDecodeError:
            raise CallFailed("The answer is no JSON.", error="http-answer") from None
    return read.decode(errors="replace")


def _content(body: Any) -> tuple[bytes | None, str]:
    if body is None:
        return None, ""
    return (
        (body.encode(), "text/plain; charset=utf-8")
        if isinstance(body, str)
        else (orjson.dumps(body), "application/json")
    )


async def _address(url: httpx.URL, *, private: bool) -> str:
    """The host's address; every one it has must be public unless the connection may be private."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _Passing(f"{url.host} is not known") from error
    addresses = [str(one[4][0]) for one in found]
    if not private and not all(ipaddress.ip_address(one.partition("%")[0]).is_global for one in addresses):
        raise CallFailed(f"{url.host} stands at a private address.", error="http-private")
    return addresses[0]


@control.retries(ENGINE)
async def ask_again(session: Session, run: Run, key: str) -> None:
    """The same call with the same Idempotency-Key."""
    await outbox.enqueue(session, KIND, key, {"run": str(run.id)}, case=run.case_no)


@control.cancels(ENGINE)
async def call_off(session: Session, run: Run, key: str) -> None:
    """Nothing is told: a call that has not gone out does not go out any more."""
