"""`dams chaos`: what breaks when parts of the service are killed, stopped, frozen or cut off under load."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from app.cli import ending, output

if TYPE_CHECKING:
    from app.dev.chaos.cells import Cell
    from app.dev.chaos.controls import Verdict
    from app.dev.chaos.reckoning import Reckoning
    from app.dev.chaos.trial import Outcome

EXAMPLES = """
\b
Examples:
  dams chaos                                24 cells, every kill among them
  dams chaos --seed 7 --json seven.json     the same cells again, and a file of the results
  dams chaos --cells redis:kill,web:freeze  these cells; `relay:*` is every fault of one part
  dams chaos --cells race:slot,race:queue   many at once for one thing, without a fault
  dams chaos --small                        the kills of web, relay, Redis and PostgreSQL, without any engine
  dams chaos --full                         all 36 cells, 20 further ones and all 9 races
  dams chaos --cells everything:kill,everything:full,everything:restore
  dams chaos --without aof                  one guard taken away: its race must be lost (exit code 0 then)
  dams chaos --controls                     that for all six guards, each beside the guarded run
  dams chaos --journeys 300                 300 patient journeys while every part is killed once
  dams chaos --journeys 20 --cells web:kill,zeebe:freeze
"""
FAULTS_SHOWN = 10
RACE = "race:"
GUARDS = ("exclusion", "revision", "inbox", "aof", "reconnects", "skip-locked")


@click.command(epilog=EXAMPLES)
@click.option("--seed", type=click.IntRange(0), help="Chooses cells and their order; printed at each run.")
@click.option("--cells", "names", metavar="PART:FAULT,…", help="Only these cells and races.")
@click.option("--full", is_flag=True, help="Every cell of the matrix, and every race.")
@click.option("--small", is_flag=True, help="Web, relay, Redis and PostgreSQL alone: a minute in place of ten.")
@click.option("--rate", default=25.0, show_default=True, type=click.FloatRange(0.1, 1000), help="Submits a second.")
@click.option("--strict", is_flag=True, help="A cell that serves again later than its limit has fallen.")
@click.option("--without", "guard", type=click.Choice(GUARDS), help="A race without its guard, which must be lost.")
@click.option("--controls", is_flag=True, help="Every guard: its race is won with it and lost without it.")
@click.option("--journeys", type=click.IntRange(1, 10_000), help="So many patient journeys, and what became of each.")
@click.option("--at-once", default=16, show_default=True, type=click.IntRange(1, 64), help="Journeys under way.")
@click.option("--size", type=click.IntRange(1, 10_000), help="So many in a race, in place of what its row says.")
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the results there.")
def chaos(
    seed: int | None,
    names: str | None,
    full: bool,
    small: bool,
    rate: float,
    strict: bool,
    guard: str | None,
    controls: bool,
    journeys: int | None,
    at_once: int,
    size: int | None,
    file: Path | None,
) -> None:
    """Hurt a service of its own under load, and see that nothing is lost or doubled.

    Starts every server and process on free ports in a folder that goes afterwards; what `dams up` runs is not touched.
    Parts: web, relay, celery, zeebe-worker, temporal-worker, redis, postgresql, zeebe, temporal. Faults: kill (-9),
    term, freeze (ten seconds), cut (ten seconds without network). Further cells: duplicate of web, relay and the three
    workers, reorder of relay and the workers, clock of the five and of zeebe, everything:kill, everything:restore,
    everything:overload, everything:upgrade, and everything:full, which mounts a disk in memory and so needs root.
    Races: slot, tasks, timers, starts, payment, relays, deliveries, queue, reconnects. At the end the database is held
    against what clients were told. Limits are those of a quiet machine. Exit code 1: a cell fell, something was lost or
    doubled, or a guard would not be missed.

    --journeys has patients treated from the booking to the mail that closes their case, over every engine, and spreads
    the nine kills (or --cells) over them. Each journey must end closed, or with an incident that ops sees, and none
    of what it does may be there twice.

    Not there: Airflow.
    """
    if (guard is not None) + controls + (names is not None) + full > 1 or (small and (full or controls or guard)):
        raise click.UsageError(
            "--cells, --full, --without and --controls exclude each other; --small goes with --cells alone"
        )
    if journeys is not None and (guard is not None or controls or full or small):
        raise click.UsageError("--journeys goes with --cells, --seed, --at-once, --strict and --json alone")
    if guard is not None or controls:
        _controls([guard] if guard is not None else list(GUARDS), size, file, guarded=controls)
        return
    seed = secrets.randbelow(10_000) if seed is None else seed
    cells, races = _chosen(names, full, small, seed, kills=journeys is not None)
    if journeys is not None and races:
        raise click.UsageError("--journeys goes with cells, not with races")
    work = _travel(cells, seed, journeys, at_once) if journeys else _play(cells, seed, rate, small) if cells else None
    outcome, verdicts = _run(work, races, size, seed)
    result = {"races": [verdict.as_dict() for verdict in verdicts]} | (outcome.as_dict() if outcome else {})
    _write(file, result)
    if outcome is not None:
        _show(outcome)
    if verdicts:
        _show_races(verdicts)
    late = strict and outcome is not None and any(one.is_late for one in outcome.results)
    well = (outcome is None or outcome.held) and all(verdict.held for verdict in verdicts)
    sys.exit(0 if well and not late else 1)


def _chosen(names: str | None, full: bool, small: bool, seed: int, *, kills: bool) -> tuple[list[Cell], list[str]]:
    from app.dev.chaos import cells
    from app.dev.chaos.races import RACES

    if full:
        return [*cells.MATRIX, *cells.FURTHER], list(RACES)
    if names is None:
        return cells.kills(seed) if kills else cells.small() if small else cells.chosen(seed), []
    given = [name.strip() for name in names.split(",")]
    races = [name.removeprefix(RACE) for name in given if name.startswith(RACE)]
    if unknown := [name for name in races if name not in RACES]:
        raise click.UsageError(f"{unknown[0]!r} is no race; there are {', '.join(RACES)}")
    try:
        found = cells.named(name for name in given if not name.startswith(RACE))
    except cells.NoSuchCell as error:
        raise click.UsageError(str(error)) from error
    if small and (missing := [cell.name for cell in found if cell.part not in cells.SMALL]):
        raise click.UsageError(f"{missing[0]} is not there with --small")
    return found, races


def _run(
    work: Coroutine[Any, Any, Outcome] | None, races: list[str], size: int | None, seed: int
) -> tuple[Outcome | None, list[Verdict]]:
    from app.dev.chaos.clients import GivenUp
    from app.dev.chaos.controls import alone
    from app.dev.chaos.place import DidNotStart

    outcome: Outcome | None = None
    verdicts: list[Verdict] = []
    try:
        if work is not None:
            click.echo(f"seed {seed}; starting a service", err=True)
            outcome = ending.run(work)
        for name in races:
            verdicts.append(ending.run(alone(name, size)))
            click.echo(verdicts[-1].line(), err=True)
    except (DidNotStart, GivenUp) as error:
        raise click.ClickException(str(error)) from error
    return outcome, verdicts


async def _play(chosen: list[Cell], seed: int, rate: float, small: bool) -> Outcome:
    from app.dev.chaos import cells, ground, models, place, trial

    needed, drawn = (place.CORE, models.WITHOUT_ENGINES) if small else (None, None)
    disk = any(cell.fault == cells.FULL for cell in chosen)
    further = place.CONTROLLED if any(cell in cells.MOVES_ZEEBE for cell in chosen) else None
    async with place.fresh(needed, further=further, disk=disk) as made, ground.opened(made, drawn) as standing:
        return await trial.play(standing, chosen, seed=seed, rate=rate, report=lambda what: click.echo(what, err=True))


async def _travel(chosen: list[Cell], seed: int, number: int, at_once: int) -> Outcome:
    from app.dev.chaos import ground, place, probes, trial

    def report(what: str) -> None:
        click.echo(what, err=True)

    async with place.fresh() as made, ground.opened(made) as standing:
        await probes.seconds(standing, probes.possible(standing), time.monotonic())
        report(f"everything serves; {number} journeys, {len(chosen)} cells")
        outcome = await trial.travel(standing, chosen, number, at_once=at_once, report=report)
    outcome.seed = seed
    return outcome


def _controls(guards: list[str], size: int | None, file: Path | None, *, guarded: bool) -> None:
    """Exit code 1 where a race is lost with its guard, or won without it."""
    from app.dev.chaos.clients import GivenUp
    from app.dev.chaos.controls import CONTROLS, alone, every
    from app.dev.chaos.place import DidNotStart

    def tell(verdict: Verdict) -> None:
        click.echo(verdict.line(), err=True)

    try:
        if guarded:
            verdicts = ending.run(every(guards, tell))
        else:
            verdicts = [ending.run(alone(CONTROLS[guard].race, size, guard)) for guard in guards]
            tell(verdicts[-1])
    except (DidNotStart, GivenUp) as error:
        raise click.ClickException(str(error)) from error
    _write(file, {"controls": [verdict.as_dict() for verdict in verdicts]})
    _show_races(verdicts)
    red = sum(verdict.is_red for verdict in verdicts if verdict.without)
    click.echo(f"\n{red} of {len(guards)} controls are red")
    sys.exit(0 if red == len(guards) and all(verdict.held for verdict in verdicts if not verdict.without) else 1)


def _write(file: Path | None, result: dict[str, Any]) -> None:
    if file is not None:
        file.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))


def _show_races(verdicts: list[Verdict]) -> None:
    lines = [
        (one.race, one.without or "", "yes" if one.held else "NO", f"{one.seconds:.0f}", one.why) for one in verdicts
    ]
    output.rows(("race", "without", "held", "seconds", ""), lines, "no race was run")


def _show(outcome: Outcome) -> None:
    rows = [
        (
            one.cell,
            "yes" if one.held else "NO",
            "" if one.recovery is None else f"{one.recovery:.1f}",
            "" if one.limit is None else f"≤ {one.limit:.0f}{', LATE' if one.is_late else ''}",
            "" if one.steady is None else f"{one.steady:.1f}",
            one.why if one.met is None else f"{one.met} journeys under way {one.why}",
        )
        for one in outcome.results
    ]
    output.rows(("cell", "held", "recovery s", "limit s", "all serve s", ""), rows, "no cell was played")
    held = sum(one.held for one in outcome.results)
    click.echo(f"\n{held} of {len(outcome.results)} cells held")
    done = "submits" if outcome.journeys is None else "journeys"
    click.echo(f"{outcome.answers} answers, {outcome.submits_per_s:.2f} {done}/s")
    if outcome.journeys is not None:
        _show_journeys(outcome.journeys)
    for name, faults in outcome.broken.items():
        click.echo(f"{name} is broken {len(faults)} times:")
        for fault in faults[:FAULTS_SHOWN]:
            click.echo(f"  {fault}")
    if not outcome.broken:
        click.echo("nothing lost, nothing doubled: I1-I8 and I10 hold")
    for note in outcome.notes[:FAULTS_SHOWN]:
        click.echo(f"note: {note}")
    click.echo(f"seed {outcome.seed}, {outcome.seconds:.0f} s, load of the machine {outcome.load:.1f}")


def _show_journeys(found: Reckoning) -> None:
    row = (found.asked, found.closed, len(found.stopped), len(found.missing), len(found.doubled))
    output.rows(("journeys", "closed", "with an incident", "missing", "doubled"), [row], "")
    for what in [*found.missing, *found.doubled, *(f"incident of {one}" for one in found.stopped)][:FAULTS_SHOWN]:
        click.echo(f"  {what}")


commands = [chaos]
