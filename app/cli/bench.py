"""`dams bench`: figures of the engine in process and of the service under load."""

from __future__ import annotations

import asyncio
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import click

from app.cli import ending, output
from app.cli.connection import Connection, local, remote
from app.cli.groups import Commands
from app.core.root import ROOT

if TYPE_CHECKING:
    from app.bench.place import Place

MODEL = ROOT / "bpmn/bench/appointment.bpmn"

Line = tuple[str, str, float | None, float | None]
ENGINE_LINES: tuple[Line, ...] = (
    ("appointment (start and four forms), ms", "appointment_ms", None, None),
    ("one request's step, p50 ms", "request_p50_ms", None, None),
    ("one request's step, p95 ms", "request_p95_ms", None, None),
    ("engine steps/s", "steps_per_s", None, None),
    ("stored specification, bytes", "spec_bytes", None, None),
    ("stored state after each request, bytes", "state_bytes", None, None),
    ("a form in a loop: turn 1, ms", "turn_first_ms", None, None),
    ("a form in a loop: turn 300, ms", "turn_300_ms", None, None),
    ("turn 300 against turn 1", "turn_300_against_first", 3, 1.2),
    ("state at turns 1, 300, 999, bytes", "loop_state_bytes", None, None),
    ("a script loop of 1,000 turns ends correctly", "script_loop_ends_correctly", None, None),
    ("a script loop of 1,000 turns, s", "script_loop_s", None, None),
    ("a step in a model with 10 forms, ms", "forms_10_ms", None, None),
    ("a step in a model with 1,000 forms, ms", "forms_1000_ms", None, None),
    ("1,000 forms against 10", "forms_1000_against_10", 10, 2),
    ("sandbox call, small script, p50 ms", "sandbox_small_p50_ms", None, None),
    ("sandbox call, small script, p95 ms", "sandbox_small_p95_ms", 5, 5),
    ("sandbox call on 100 kB, p95 ms", "sandbox_large_p95_ms", 5, 5),
)
FLOW_LINES: tuple[Line, ...] = (
    ("instances/s", "instances_per_s", None, None),
    ("start p50, ms", "start_p50_ms", None, None),
    ("complete p50, ms", "complete_p50_ms", None, None),
    ("complete p99, ms", "complete_p99_ms", None, None),
    ("CPU per instance, web, ms", "web_cpu_ms", None, None),
    ("CPU per instance, PostgreSQL, ms", "postgresql_cpu_ms", None, None),
    ("CPU per instance, web + PostgreSQL, ms", "cpu_ms", 25, 15),
    ("CPU per instance, relay, ms", "relay_cpu_ms", None, None),
    ("SQL statements per instance", "statements", 60, 35),
    ("commits per instance", "commits", 5.1, 5.1),
    ("WAL per instance, kB", "wal_kb", 20, 10),
    ("database growth per instance, kB", "growth_kb", 10, 5),
    ("memory of the web, MB", "web_pss_mb", 250, 150),
    ("errors", "errors", 0, 0),
)


MIGRATION_LINES: tuple[Line, ...] = (
    ("running instances", "instances", None, None),
    ("trial, ms", "trial_ms", 1000, 1000),
    ("moved", "moved", None, None),
    ("stayed", "stayed", 0, 0),
    ("seconds", "seconds", None, None),
    ("moved/s", "moved_per_s", None, None),
    ("instances that people ran meanwhile", "meanwhile", None, None),
    ("complete meanwhile p50, ms", "complete_p50_ms", None, None),
    ("complete meanwhile p99, ms", "complete_p99_ms", None, None),
    ("errors", "errors", 0, 0),
)
OUTBOX_LINES: tuple[Line, ...] = (
    ("rows", "rows", None, None),
    ("rows/s", "rows_per_s", None, None),
    ("commit to sent p50, ms", "sent_p50_ms", None, None),
    ("commit to sent p95, ms", "sent_p95_ms", 200, 200),
    ("CPU per row, relay, ms", "relay_cpu_ms", None, None),
    ("lost", "lost", 0, 0),
    ("doubled", "doubled", 0, 0),
    ("errors", "errors", 0, 0),
)
OUTBOX_PER_S = 500
PAGE_MS = 300
"""What a page may take, as its 95th percentile."""


@click.group(cls=Commands)
def bench() -> None:
    """Measure: the engine in process, the service under load."""


@bench.command()
@click.option("--rounds", default=300, show_default=True, type=click.IntRange(20), help="Appointments to run.")
@output.json_option
def engine(rounds: int, as_json: bool) -> None:
    """Steps, sizes and growth in process: no web, no database, one thread."""
    from app.bench.engine import measure
    from app.bench.flow import machine

    figures = machine() | measure(lambda what: click.echo(what, err=True), rounds)
    _print(figures, ENGINE_LINES, as_json)


FLOW_EXAMPLES = """
\b
Examples:
  dams bench flow                        a service of its own, gone afterwards
  dams bench flow --running              the one that `dams up` runs on this state
  dams bench flow --url https://dams.example --clients 16
"""


@bench.command(epilog=FLOW_EXAMPLES)
@click.option("--clients", default=8, show_default=True, type=click.IntRange(1, 256), help="How many at once.")
@click.option("--seconds", default=15.0, show_default=True, type=click.FloatRange(0.5), help="How long to measure.")
@click.option("--warm-up", default=3.0, show_default=True, type=click.FloatRange(0), help="Seconds before that.")
@click.option(
    "--web-workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Of a service of its own."
)
@click.option("--running", is_flag=True, help="Measure the service that runs on --state.")
@click.option("--url", help="Measure this service, with DAMS_TOKEN or the kept login of an administrator.")
@click.option("--state", "folder", default=ROOT / ".dams", type=click.Path(path_type=Path), help="For --running.")
@output.json_option
def flow(web_workers: int, running: bool, url: str | None, folder: Path, as_json: bool, **load: Any) -> None:
    """The appointment over the API: instances/s, latency, CPU, statements, WAL, growth, memory.

    It deploys the model bpmn/bench/appointment.bpmn and leaves its instances behind in a service that runs already.
    """
    from app.bench.place import DidNotStart

    given = {"count": load["clients"], "seconds": load["seconds"], "warm_up": load["warm_up"]}
    try:
        figures = ending.run(_flow(web_workers, running, url, folder, given))
    except DidNotStart as error:
        raise click.ClickException(str(error)) from error
    figures["cpu_ms"] = _sum(figures.get("web_cpu_ms"), figures.get("postgresql_cpu_ms"))
    for name in ("wal", "growth"):
        figures[f"{name}_kb"] = figures[f"{name}_bytes"] / 1000 if figures.get(f"{name}_bytes") is not None else None
    _print(figures, FLOW_LINES, as_json)
    if figures["errors"]:
        raise click.ClickException(f"{figures['errors']} calls failed; the last: {figures['last_error']}")


async def _flow(
    web_workers: int, running: bool, url: str | None, folder: Path, given: dict[str, Any]
) -> dict[str, Any]:
    from app.bench import place
    from app.dev.state import State

    if url:
        connection = await asyncio.to_thread(remote, url)
        return await _load(place.Place(connection.url, {}, None), connection, given)
    if running:
        state = State(folder)
        connection = await asyncio.to_thread(local, state, "admin")
        return await _load(place.of_state(state), connection, given)
    click.echo("starting a service", err=True)
    async with place.fresh(web_workers) as (state, made):
        return await _load(made, await asyncio.to_thread(local, state, "admin"), given)


async def _load(where: Place, connection: Connection, given: dict[str, Any]) -> dict[str, Any]:
    from app.bench.flow import measure

    sent = [("file", (MODEL.name, MODEL.read_bytes(), "application/xml"))]
    await asyncio.to_thread(lambda: connection.call("POST", "/deployments", files=sent, data={"note": "bench"}))
    return await measure(where, connection.token, lambda what: click.echo(what, err=True), **given)


@bench.command()
@click.option("--instances", default=10_000, show_default=True, type=click.IntRange(10), help="Running instances.")
@output.json_option
def migration(instances: int, as_json: bool) -> None:
    """Move running instances to another version in a service of its own, while two people go on working."""
    from app.bench.place import DidNotStart

    try:
        figures = ending.run(_migration(instances))
    except DidNotStart as error:
        raise click.ClickException(str(error)) from error
    _print(figures, MIGRATION_LINES, as_json)
    if figures["errors"]:
        raise click.ClickException(f"{figures['errors']} calls failed; the last: {figures['last_error']}")


async def _migration(instances: int) -> dict[str, Any]:
    from app.bench import place
    from app.bench.migration import measure

    def say(what: str) -> None:
        click.echo(what, err=True)

    say("starting a service")
    async with place.fresh(2) as (state, made):
        connection = await asyncio.to_thread(local, state, "admin")

        def deploy(content: bytes) -> int:
            sent = [("file", (MODEL.name, content, "application/xml"))]
            done = connection.call("POST", "/deployments", files=sent, data={"note": "bench"})
            return int(done["models"][0]["version"])

        return await measure(made.url, connection.token, connection.call, deploy, instances, say)


@bench.command()
@click.option("--rows", default=5_000, show_default=True, type=click.IntRange(100), help="Of the burst.")
@click.option(
    "--seconds", default=10.0, show_default=True, type=click.FloatRange(1), help="Of single rows before the burst."
)
@output.json_option
def outbox(rows: int, seconds: float, as_json: bool) -> None:
    """Rows through the relay to the broker of the pipelines, in a service of its own: rows/s, commit to sent.

    No worker takes them from the broker, so each can be counted there.
    """
    from app.bench.place import DidNotStart

    try:
        figures = ending.run(_outbox(rows, seconds))
    except DidNotStart as error:
        raise click.ClickException(str(error)) from error
    _print(figures, OUTBOX_LINES, as_json)
    if not as_json:
        reached = "reached" if figures["rows_per_s"] >= OUTBOX_PER_S else "MISSED"
        click.echo(f"wanted ≥ {OUTBOX_PER_S} rows/s: {reached}")


async def _outbox(rows: int, seconds: float) -> dict[str, Any]:
    from app.bench import place
    from app.bench.outbox import measure
    from app.dev.service import addresses

    def say(what: str) -> None:
        click.echo(what, err=True)

    say("starting a service")
    async with place.fresh(1) as (state, made):
        return await measure(made, addresses(state)["redis"], rows, seconds, say)


@bench.command()
@click.option("--patients", default=100_000, show_default=True, type=click.IntRange(1000), help="In the clinic.")
@click.option(
    "--appointments", default=1_000_000, show_default=True, type=click.IntRange(10_000), help="In the clinic."
)
@click.option("--rounds", default=20, show_default=True, type=click.IntRange(3), help="Times each page is asked for.")
@output.json_option
def pages(patients: int, appointments: int, rounds: int, as_json: bool) -> None:
    """The desk's pages in a large clinic: milliseconds, p50 and p95, and the plan of each page's slowest query.

    Takes minutes to fill the clinic first.
    """
    from app.bench.place import DidNotStart

    try:
        figures = ending.run(_pages(patients, appointments, rounds))
    except DidNotStart as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        output.as_json(figures)
        return
    for name, found in figures["pages"].items():
        if slowest := found["slowest"]:
            click.echo(f"{name}: {slowest['ms']:.1f} ms of {found['statements']} statements\n  {slowest['sql']}\n")
            click.echo(indent(slowest["plan"], "    ") + "\n")
    shown = [
        (
            name,
            f"{found['p50']:.0f}",
            f"{found['p95']:.0f}",
            str(found["statements"]),
            _verdict(found["p95"], PAGE_MS, PAGE_MS),
        )
        for name, found in figures["pages"].items()
    ]
    output.rows(("page", "p50 ms", "p95 ms", "statements", "wanted"), shown, "")
    click.echo(f"\n{figures['cores']} cores, load {figures['load_before']:.1f} before, {figures['at']}")


async def _pages(patients: int, appointments: int, rounds: int) -> dict[str, Any]:
    from app.bench import crowd, place, plans
    from app.bench.flow import machine
    from app.bench.pages import explain, measure

    def say(what: str) -> None:
        click.echo(what, err=True)

    say("starting a service")
    needed = [name for name in place.NEEDED if name != "relay"]  # its statements would stand among those of the pages
    async with place.fresh(1, needed) as (state, made):
        database = made.database or ""
        await crowd.fill(database, patients, appointments, say)
        cookies = await place.cookies(state, ("staff", "doctor", "admin", "patient"))
        figures: dict[str, Any] = machine()
        seen = await asyncio.to_thread(measure, made.url, cookies, rounds, say)
        await plans.switch_on(database)
        asked = await asyncio.to_thread(explain, made.url, cookies, state.log("postgresql"))
    return figures | {"pages": {name: seen[name] | asked[name] for name in seen}}


def _sum(*parts: float | None) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _print(figures: dict[str, Any], lines: tuple[Line, ...], as_json: bool) -> None:
    if as_json:
        output.as_json(figures)
        return
    shown = [
        (label, _shown(figures.get(name)), _verdict(figures.get(name), must, aim)) for label, name, must, aim in lines
    ]
    output.rows(("figure", "measured", "wanted"), shown, "")
    click.echo(f"\n{figures['cores']} cores, load {figures['load_before']:.1f} before, {figures['at']}")


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, dict):
        return " · ".join(map(str, value.values()))
    return " · ".join(map(str, value)) if isinstance(value, list) else output.plain(value)


def _verdict(value: Any, must: float | None, aim: float | None) -> str:
    if must is None or aim is None or value is None:
        return ""
    wanted = f"≤ {must:g}, aim {aim:g}" if must != aim else f"≤ {must:g}"
    return f"{wanted}: {'aim reached' if value <= aim else 'reached' if value <= must else 'MISSED'}"


commands = [bench]
