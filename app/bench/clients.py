"""People who make appointments over the API as fast as they are answered, each on a connection of its own."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from urllib.parse import urlsplit


class Failed(RuntimeError):
    """The service answered something else than the flow expects"""


@dataclass(slots=True)
class Seen:
    """What one client saw: milliseconds of each call that ended within the measured time."""

    start: list[float] = field(default_factory=list[float])
    complete: list[float] = field(default_factory=list[float])
    instances: int = 0
    errors: list[str] = field(default_factory=list[str])

    def add(self, other: Seen) -> None:
        self.start += other.start
        self.complete += other.complete
        self.instances += other.instances
        self.errors += other.errors

    def figures(self, seconds: float) -> dict[str, Any]:
        return {
            "instances": self.instances,
            "instances_per_s": self.instances / seconds,
            "start_p50_ms": median(self.start or [0.0]),
            "complete_p50_ms": median(self.complete or [0.0]),
            "complete_p99_ms": percentile(self.complete, 0.99),
            "errors": len(self.errors),
            "last_error": self.errors[-1] if self.errors else "",
        }


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which *part* of all lie (nearest rank)."""
    return sorted(values)[round(part * (len(values) - 1))] if values else 0.0


class Client:
    """One kept-alive connection with a bearer token."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=60)
        self._prefix = f"{parts.path}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """The answer and its milliseconds. Raises :class:`Failed` for anything but 2xx."""
        began = time.perf_counter()
        self._connection.request("POST", self._prefix + path, json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        raw = answer.read()
        milliseconds = (time.perf_counter() - began) * 1000
        if answer.status not in (200, 201):
            raise Failed(f"{path}: {answer.status} {raw[:200].decode(errors='replace')}")
        return json.loads(raw), milliseconds

    def appointment(self, process_id: str, forms: Sequence[dict[str, Any]], seen: Seen) -> None:
        """Start one and complete its forms; `seen` gets the times."""
        instance, milliseconds = self.post(f"/models/{process_id}/instances", {"variables": {}})
        seen.start.append(milliseconds)
        for form in forms:
            if len(instance["tasks"]) != 1:
                raise Failed(f"{len(instance['tasks'])} open tasks in {instance['id']}")
            task = instance["tasks"][0]["id"]
            instance, milliseconds = self.post(f"/tasks/{task}/complete", {"variables": form})
            seen.complete.append(milliseconds)
        if instance["status"] != "completed":
            raise Failed(f"instance {instance['id']} is {instance['status']} after its last form")
        seen.instances += 1


def run(
    url: str, token: str, process_id: str, forms: Sequence[dict[str, Any]], clients: int, seconds: float
) -> tuple[Seen, float]:
    """Let *clients* work for *seconds*; what they saw together, and how long it really took."""
    began = time.perf_counter()
    until = began + seconds
    everybody = [Seen() for _ in range(clients)]

    def work(seen: Seen) -> None:
        client = Client(url, token)
        while time.perf_counter() < until and len(seen.errors) < 20:
            try:
                client.appointment(process_id, forms, seen)
            except (Failed, OSError, http.client.HTTPException) as error:
                seen.errors.append(str(error) or type(error).__name__)
                client = Client(url, token)

    threads = [threading.Thread(target=work, args=(seen,)) for seen in everybody]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Seen()
    for seen in everybody:
        total.add(seen)
    return total, time.perf_counter() - began
