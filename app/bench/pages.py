"""How long the pages of the desk take in a large clinic: each asked for in turn, by somebody who is signed in."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from app.bench import plans
from app.bench.clients import Failed, percentile

PAGES = {
    "schedule, day": ("staff", "/schedule"),
    "schedule, day, one doctor": ("staff", "/schedule?doctor=B-7"),
    "schedule, week": ("staff", "/schedule?view=week&doctor=B-7"),
    "patient search for booking": ("staff", "/schedule/book?doctor=B-7&day=2027-01-04&time=09:00&q=ana"),
    "walk-in, search by a part of a name": ("staff", "/schedule/walk-in?q=c4ca"),
    "waiting list": ("staff", "/waiting"),
    "patients": ("staff", "/patients"),
    "patients, search": ("staff", "/patients?q=grace+a8"),
    "patients, by telephone": ("staff", "/patients?q=555-77777"),
    "a patient's record": ("doctor", "/patients/100777"),
    "doctors": ("staff", "/doctors"),
    "a doctor": ("staff", "/doctors/B-7"),
    "diagnoses": ("doctor", "/diagnoses"),
    "diagnoses, search": ("doctor", "/diagnoses?q=grace"),
    "payments": ("staff", "/payments"),
    "payments, search": ("staff", "/payments?q=B-1234"),
    "day sheet": ("staff", "/schedule/sheet"),
    "accounts": ("admin", "/admin"),
    "accounts, search": ("admin", "/admin?q=bp777"),
    "my visits": ("patient", "/my"),
}
"""What is asked for, and whose page it is."""


def measure(url: str, cookies: Mapping[str, str], rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Milliseconds of every page, p50 and p95 over *rounds*. Raises :class:`Failed` for anything but 200."""
    seen: dict[str, list[float]] = {name: [] for name in PAGES}
    with closing(_connect(url)) as connection:
        for turn in range(rounds + 1):
            say(f"round {turn} of {rounds}")
            for name in PAGES:
                took = _ask(connection, cookies, name)
                if turn:  # the first turn warms the caches
                    seen[name].append(took)
    return {name: {"p50": median(found), "p95": percentile(found, 0.95)} for name, found in seen.items()}


def explain(url: str, cookies: Mapping[str, str], log: Path) -> dict[str, dict[str, Any]]:
    """What each page asks of PostgreSQL: how many statements, and the slowest with its plan.

    *log* is the server's, in which plans are written since :func:`app.bench.plans.switch_on`. Nothing else may ask it.
    """
    found: dict[str, dict[str, Any]] = {}
    with closing(_connect(url)) as connection:
        for name in PAGES:
            _ask(connection, cookies, name)  # whoever was idle takes the new settings with its first statement
        for name in PAGES:
            begins = log.stat().st_size
            _ask(connection, cookies, name)
            queries = plans.read(log, begins)
            found[name] = {"statements": len(queries), "slowest": asdict(queries[0]) if queries else None}
    return found


def _connect(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)


def _ask(connection: http.client.HTTPConnection, cookies: Mapping[str, str], name: str) -> float:
    """How many milliseconds one page took, to its last byte."""
    who, path = PAGES[name]
    began = time.perf_counter()
    connection.request("GET", path, headers={"Cookie": cookies[who]})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise Failed(f"{path}: {answer.status}")
    return (time.perf_counter() - began) * 1000
