"""The appointment flow under load: start, four forms each in its own request, two scripts, a gateway, end."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app.bench import clients, usage
from app.bench.engine import FORMS
from app.bench.place import Place

PROCESS = "Process_Bench"


async def measure(
    place: Place, token: str, report: Callable[[str], None], *, count: int, seconds: float, warm_up: float
) -> dict[str, Any]:
    """Load *place* with *count* clients and say what it took.

    Costs are per instance. Figures that cannot be had from here are None: a named service shows only its answers.
    """
    work = (place.url, token, PROCESS, FORMS, count)
    report(f"warming up for {warm_up:.0f} s")
    await asyncio.to_thread(clients.run, *work, warm_up)
    if place.database:
        await usage.analyze(place.database)
    report(f"{count} clients for {seconds:.0f} s")
    before, trees = await _counters(place), usage.trees(place.processes)
    seen, elapsed = await asyncio.to_thread(clients.run, *work, seconds)
    after, trees_after = await _counters(place), usage.trees(place.processes)
    figures = machine() | {"clients": count, "seconds": elapsed} | seen.figures(elapsed)
    done = max(seen.instances, 1)
    for name, (cpu, memory) in trees_after.items():
        figures[f"{name}_cpu_ms"] = (cpu - trees[name][0]) * 1000 / done
        figures[f"{name}_pss_mb"] = memory
    spent = after.since(before) if before and after else {}
    return figures | {name: None if total is None else total / done for name, total in spent.items()}


async def _counters(place: Place) -> usage.Counters | None:
    return await usage.counters(place.database) if place.database else None


def machine() -> dict[str, Any]:
    """What the figures were taken on, and when."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
    }
