"""Airflow from DAMS' side: one client of its REST API, each call with a limit; DAGs and their runs as Airflow has them.

Airflow is optional: without `airflow.url` it is off and nobody asks for it. `dags` keeps the runs that DAMS asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpx

from app.core import trust
from app.core.errors import Conflict, DamsError, NotFound, Unavailable
from app.core.settings import settings

ENGINE = "airflow"
API = "/api/v2"
LISTED = 10
_tokens: dict[tuple[str, str], str] = {}


class Refused(DamsError):
    """Airflow has refused this"""

    code, status = "refused", 409


@dataclass(frozen=True, slots=True)
class Dag:
    """A DAG as Airflow has parsed it. `next_time` is None while it is paused or has no schedule."""

    id: str
    description: str
    cron: str
    paused: bool
    next_time: datetime | None
    runs: tuple[DagRun, ...] = ()


@dataclass(frozen=True, slots=True)
class DagRun:
    """One run; `state` is queued, running, success or failed, `kind` scheduled, manual or another of Airflow's."""

    id: str
    state: str
    kind: str
    began: datetime | None
    ended: datetime | None


def is_on() -> bool:
    """Whether an Airflow belongs to this installation."""
    return bool(settings().airflow.url)


async def dag(dag_id: str) -> Dag:
    """One DAG with its newest runs. Raises :class:`NotFound` until Airflow has read its file."""
    found = await call("GET", f"/dags/{dag_id}")
    listed = await call("GET", f"/dags/{dag_id}/dagRuns?order_by=-run_after&limit={LISTED}")
    paused = bool(found["is_paused"])
    return Dag(
        found["dag_id"],
        found["description"] or "",
        found["timetable_summary"] or "",
        paused,
        None if paused else _moment(found["next_dagrun_run_after"]),
        tuple(_run(one) for one in listed["dag_runs"]),
    )


async def pause(dag_id: str, paused: bool) -> None:
    """It fires no more, or fires again. A paused DAG also leaves what is triggered waiting."""
    await call("PATCH", f"/dags/{dag_id}", {"is_paused": paused})


async def start(dag_id: str, run_id: str) -> None:
    """Run a DAG once under *run_id*; the same id again is the same run."""
    try:
        await call("POST", f"/dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None})
    except Conflict:
        return


async def run(dag_id: str, run_id: str) -> DagRun:
    """Raises :class:`NotFound`."""
    return _run(await call("GET", f"/dags/{dag_id}/dagRuns/{run_id}"))


async def shared(dag_id: str, run_id: str, task_id: str, key: str) -> Any:
    """The value that a task of a run has shared under *key* (XCom). Raises :class:`NotFound`."""
    return (await call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"))["value"]


async def failed_tasks(dag_id: str, run_id: str) -> list[str]:
    """The ids of the tasks that failed."""
    found = await call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
    return [one["task_id"] for one in found["task_instances"] if one["state"] == "failed"]


async def end(dag_id: str, run_id: str) -> None:
    """End a run; its tasks are stopped. Raises :class:`NotFound`."""
    await call("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", {"state": "failed"})


async def again(dag_id: str, run_id: str) -> None:
    """Run the failed tasks of a run, and what waited for them, once more. Raises :class:`NotFound`."""
    await call("POST", f"/dags/{dag_id}/dagRuns/{run_id}/clear", {"dry_run": False, "only_failed": True})


async def call(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """What Airflow answers, as JSON.

    Raises:
        Unavailable: it does not answer within `airflow.call_seconds`, or does not let DAMS in.
        NotFound, Conflict, Refused: its own 404, 409, and any other refusal.
    """
    given = settings().airflow
    if not given.url:
        raise Unavailable("Airflow is not switched on.", engine=ENGINE)
    trusted = trust.context()
    try:
        async with httpx.AsyncClient(base_url=given.url, timeout=given.call_seconds, verify=trusted) as client:
            answer = await _asked(client, method, path, body, fresh=False)
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                answer = await _asked(client, method, path, body, fresh=True)
    except httpx.TransportError as error:
        raise Unavailable("Airflow does not answer.", engine=ENGINE, retry_after=5) from error
    return _read(answer)


async def _asked(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None, *, fresh: bool
) -> httpx.Response:
    given = settings().airflow
    who = given.url, given.username
    if fresh or who not in _tokens:
        secret = {"username": given.username, "password": given.password.get_secret_value()}
        signed_in = await client.post("/auth/token", json=secret)
        if signed_in.status_code != HTTPStatus.CREATED:
            raise Unavailable("Airflow does not let DAMS in: see airflow.username and password.", engine=ENGINE)
        _tokens[who] = signed_in.json()["access_token"]
    return await client.request(method, API + path, json=body, headers={"Authorization": f"Bearer {_tokens[who]}"})


def _read(answer: httpx.Response) -> Any:
    status = answer.status_code
    if answer.is_success:
        return answer.json()
    if status == HTTPStatus.NOT_FOUND:
        raise NotFound("Airflow knows nothing of this name.")
    if status == HTTPStatus.CONFLICT:
        raise Conflict("Airflow has this already.")
    if answer.is_server_error or status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS):
        raise Unavailable(f"Airflow answers {status}.", engine=ENGINE, retry_after=5)
    raise Refused(f"Airflow answers {status} to {answer.request.method} {answer.request.url.path}.")


def _run(found: dict[str, Any]) -> DagRun:
    moments = _moment(found["start_date"]), _moment(found["end_date"])
    return DagRun(found["dag_run_id"], found["state"], found["run_type"], *moments)


def _moment(given: str | None) -> datetime | None:
    return datetime.fromisoformat(given) if given else None
