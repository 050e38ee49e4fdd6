"""Many running instances moved to another version while people go on working on it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from app.bench import clients
from app.bench.engine import APPOINTMENT, FORMS
from app.bench.flow import PROCESS, machine

Call = Callable[..., Any]
"""`(method, path, json=…)` of the API, answers the body."""
STARTERS, WORKERS = 8, 2
NEW = (b'name="Finish the appointment"', b'name="Make the appointment"')
"""What differs in the second version."""


async def measure(
    url: str, token: str, call: Call, deploy: Callable[[bytes], int], count: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Start *count* instances, half of them past their first form; try their migration, then carry it out under load.

    *deploy* puts a file of the model there and gives its version.
    """
    content = APPOINTMENT.read_bytes()
    old = deploy(content)
    report(f"{count} instances")
    await asyncio.to_thread(_fill, url, token, count)
    new = deploy(content.replace(*NEW))
    plan = {"from_version": old, "to_version": new}
    report("the trial")
    tried = [await _timed(call, f"/models/{PROCESS}/migrations/trial", plan) for _ in range(5)]
    report(f"the migration, with {WORKERS} people at work")
    return (
        machine()
        | {"instances": tried[-1][0]["running"], "trial_ms": median(ms for _, ms in tried)}
        | await _carry_out(url, token, call, plan)
    )


async def _timed(call: Call, path: str, given: dict[str, Any]) -> tuple[dict[str, Any], float]:
    began = time.perf_counter()
    answer = await asyncio.to_thread(call, "POST", path, json=given)
    return answer, (time.perf_counter() - began) * 1000


async def _carry_out(url: str, token: str, call: Call, plan: dict[str, Any]) -> dict[str, Any]:
    seen, ended = clients.Seen(), threading.Event()

    def work() -> None:
        while not ended.is_set():
            found, _ = clients.run(url, token, PROCESS, FORMS, WORKERS, 1.0)
            seen.add(found)

    worker = asyncio.create_task(asyncio.to_thread(work))
    began = time.perf_counter()
    path = f"/models/{PROCESS}/migrations"
    found = await asyncio.to_thread(call, "POST", path, json=plan | {"reason": "measured"})
    while found["state"] == "running":
        await asyncio.sleep(0.2)
        found = await asyncio.to_thread(call, "GET", f"/migrations/{found['id']}")
    seconds = time.perf_counter() - began
    ended.set()
    await worker
    return {
        "moved": found["moved"],
        "stayed": found["refused"],
        "seconds": seconds,
        "moved_per_s": found["moved"] / seconds,
        "complete_p50_ms": median(seen.complete or [0.0]),
        "complete_p99_ms": clients.percentile(seen.complete, 0.99),
        "meanwhile": seen.instances,
        "errors": len(seen.errors),
        "last_error": seen.errors[-1] if seen.errors else "",
    }


def _fill(url: str, token: str, count: int) -> None:
    left = iter(range(count))
    lock = threading.Lock()

    def work() -> None:
        client = clients.Client(url, token)
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            instance, _ = client.post(f"/models/{PROCESS}/instances", {"variables": {}})
            if number % 2:
                client.post(f"/tasks/{instance['tasks'][0]['id']}/complete", {"variables": FORMS[0]})

    threads = [threading.Thread(target=work) for _ in range(STARTERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
