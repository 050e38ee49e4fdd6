"""What is measured in this process, for Prometheus: requests and steps. Labels are words of ours, never data.

With PROMETHEUS_MULTIPROC_DIR the processes of one machine count into files there, and whichever is asked tells the sum.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
if FOLDER:  # prometheus_client wants it there before the first instrument is made
    Path(FOLDER).mkdir(parents=True, exist_ok=True)

from prometheus_client import CollectorRegistry, Histogram  # noqa: E402 - reads the variable when it is imported
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402 - the same

REQUESTS = Histogram(
    "dams_http_request_seconds",
    "Time to answer a request, by route",
    ("method", "route", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
STEPS = Histogram(
    "dams_step_seconds",
    "Time of one step of a process instance, from one wait to the next, without the database",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)


def collected() -> CollectorRegistry:
    """Everything that this process, or all that share its folder, have counted."""
    registry = CollectorRegistry()
    if FOLDER:
        MultiProcessCollector(registry, FOLDER)
    else:
        registry.register(REQUESTS)
        registry.register(STEPS)
    return registry
