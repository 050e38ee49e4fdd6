"""Schedules: native ones on Temporal and Airflow's DAGs; what comes next, what was, pause, run now, plan, delete."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.core.actor import Actor
from app.core.errors import Conflict, DamsError, Invalid, NotFound, Unavailable
from app.core.settings import settings
from app.db.session import reading, transaction
from app.engines import airflow, connections, dags, flows, runs, schedules
from app.engines.airflow import Dag
from app.engines.connections import Kept
from app.engines.runs import Run
from app.engines.schedules import Planned
from app.web.security import actor, allow

blueprint = Blueprint("schedules", __name__)
KEEPERS = schedules.KEEPERS
LISTED = 20


@dataclass(slots=True)
class Shown:
    """What could be read: an engine that is away leaves its part empty and says so in `away`."""

    native: list[Planned] = field(default_factory=list[Planned])
    dags: list[Dag] = field(default_factory=list[Dag])
    away: dict[str, str] = field(default_factory=dict[str, str])


@blueprint.get("/schedules")
@allow(*KEEPERS)
async def listing() -> str:
    return await _page()


@blueprint.post("/schedules")
@allow(*KEEPERS)
async def create() -> Response | tuple[str, int]:
    entered = {name: value.replace("\x00", "") for name, value in request.form.items()}
    try:
        made = await schedules.create(
            actor(), entered.get("id", ""), entered.get("flow", ""), entered.get("cron"), entered.get("note", "")
        )
    except Invalid as error:
        return await _page(entered, error.errors), 422
    except Conflict as error:
        return await _page(entered, {"id": error.detail}), 409
    except Unavailable as error:
        return await _page(entered, refused=error), error.status
    flash(f"{made.id} is planned.", "good")
    return redirect(url_for("schedules.listing", made=made.id), 303)


@blueprint.post("/schedules/<name>/pause")
@allow(*KEEPERS)
async def pause(name: str) -> Response | tuple[str, int]:
    note = request.form.get("note", "").replace("\x00", "")[:200]
    return await _done(schedules.pause(actor(), name, note), f"{name} is paused.")


@blueprint.post("/schedules/<name>/resume")
@allow(*KEEPERS)
async def resume(name: str) -> Response | tuple[str, int]:
    return await _done(schedules.resume(actor(), name), f"{name} goes on.")


@blueprint.post("/schedules/<name>/run")
@allow(*KEEPERS)
async def run_now(name: str) -> Response | tuple[str, int]:
    return await _done(schedules.run_now(actor(), name), f"{name} runs now; its message comes to the history below.")


@blueprint.post("/schedules/<name>/delete")
@allow(*KEEPERS)
async def delete(name: str) -> Response | tuple[str, int]:
    return await _done(schedules.delete(actor(), name), f"{name} is deleted; its runs stay.")


@blueprint.post("/schedules/dags/<name>/pause")
@allow(*KEEPERS)
async def pause_dag(name: str) -> Response | tuple[str, int]:
    return await _done(dags.pause(actor(), name, paused=True), f"{name} is paused in Airflow.")


@blueprint.post("/schedules/dags/<name>/resume")
@allow(*KEEPERS)
async def resume_dag(name: str) -> Response | tuple[str, int]:
    return await _done(dags.pause(actor(), name, paused=False), f"{name} goes on in Airflow.")


@blueprint.post("/schedules/dags/<name>/run")
@allow(*KEEPERS)
async def run_dag(name: str) -> Response | tuple[str, int]:
    return await _done(_triggered(actor(), name), f"{name} runs now; its message comes to the history below.")


async def _triggered(person: Actor, name: str) -> None:
    await dags.ready(name)
    async with transaction() as session:
        await dags.trigger(session, name, person)


async def _done(work: Awaitable[None], said: str) -> Response | tuple[str, int]:
    """Do it and come back; what cannot be done is said on the page."""
    try:
        await work
    except (NotFound, Conflict, Unavailable) as error:
        return await _page(refused=error), error.status
    flash(said, "good")
    return redirect(url_for("schedules.listing"), 303)


async def _page(
    entered: dict[str, str] | None = None, errors: dict[str, str] | None = None, refused: DamsError | None = None
) -> str:
    shown = Shown()
    await _read(shown, "Temporal", _native, shown.native)
    if airflow.is_on():
        await _read(shown, "Airflow", _dags, shown.dags)
    return render_template(
        "schedules.html",
        shown=shown,
        airflow_on=airflow.is_on(),
        airflow_page=settings().airflow.url,
        flows=flows.FLOWS.values(),
        presets=schedules.PRESETS,
        history=await _history(),
        connections=await _connections(),
        entered=entered or {},
        errors=errors or {},
        refused=refused,
    )


async def _read(shown: Shown, engine: str, read: Callable[[], Awaitable[list[Any]]], into: list[Any]) -> None:
    try:
        into += await read()
    except DamsError as error:
        shown.away[engine] = error.detail


async def _native() -> list[Planned]:
    """All of them; a schedule made just now may not be in Temporal's list yet."""
    found = await schedules.listing()
    made = request.args.get("made", "")
    if schedules.NAME.fullmatch(made) and made not in {one.id for one in found}:
        with contextlib.suppress(NotFound):
            found.append(await schedules.get(made))
    return found


async def _dags() -> list[Dag]:
    return [await airflow.dag(name) for name in dags.DAGS]


async def _connections() -> list[Kept]:
    async with reading() as session:
        return await connections.listing(session)


async def _history() -> list[Run]:
    """Runs of flows and DAGs that DAMS knows, newest first."""
    async with reading() as session:
        native = [run for name in flows.FLOWS for run in await flows.history(session, name, LISTED)]
        asked = [run for name in dags.DAGS for run in await runs.newest(session, airflow.ENGINE, name, LISTED)]
    return sorted(native + asked, key=lambda run: run.id, reverse=True)[:LISTED]
