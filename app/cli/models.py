"""Commands about models: check files, deploy them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID
from xml.etree import ElementTree

import click

from app.cli import output
from app.cli.connection import Connection, connected

if TYPE_CHECKING:
    from app.engines.spiff.dry_run import DryRun, Move, Verdict
    from app.engines.spiff.specs import CheckReport

files_argument = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)

CHECK_EXAMPLES = """
\b
Examples:
  dams check visit.bpmn
  dams check visit.bpmn payment.bpmn --junit > check.xml
Exit code: 0 nothing to say, 1 warnings, 2 errors.
"""


@click.command(epilog=CHECK_EXAMPLES)
@files_argument
@click.option("--json", "form", flag_value="json", help="The answer of POST /api/v1/checks.")
@click.option("--junit", "form", flag_value="junit", help="JUnit XML: errors are failures.")
def check(files: tuple[Path, ...], form: str | None) -> None:
    """Say what is wrong with models, without a service: the verdict is the one a deployment gets.

    All FILES are checked as one bundle, so a call activity finds the process it calls.
    """
    from app.engines.spiff.specs import BundleFile, check_bundle

    report = check_bundle([BundleFile(str(path), path.read_bytes()) for path in files])
    severities = {problem.severity for problem in report.problems}
    {"json": _print_json, "junit": _print_junit}.get(form or "", _print_list)(files, report)
    sys.exit(2 if "error" in severities else 1 if severities else 0)


def _print_json(_files: tuple[Path, ...], report: CheckReport) -> None:
    models = [{"process_id": m.process_id, "name": m.name, "engine": m.engine} for m in report.models]
    problems = [asdict(problem) for problem in report.problems]
    ok = not any(problem.severity == "error" for problem in report.problems)
    output.as_json({"ok": ok, "problems": problems, "models": models})


def _print_list(files: tuple[Path, ...], report: CheckReport) -> None:
    for line in output.problem_lines(asdict(problem) for problem in report.problems):
        click.echo(line)
    errors = sum(problem.severity == "error" for problem in report.problems)
    warnings = len(report.problems) - errors
    click.echo(f"{len(files)} file(s), {errors} error(s), {warnings} warning(s)", err=True)


def _print_junit(files: tuple[Path, ...], report: CheckReport) -> None:
    root = ElementTree.Element("testsuites", name="dams check")
    for path in files:
        found = [asdict(problem) for problem in report.problems if problem.file == str(path)]
        failures = [problem for problem in found if problem["severity"] == "error"]
        suite = ElementTree.SubElement(
            root, "testsuite", name=str(path), tests=str(max(len(found), 1)), failures=str(len(failures)), errors="0"
        )
        for problem in found or [None]:
            _case(suite, str(path), problem)
    click.echo(ElementTree.tostring(root, encoding="unicode", xml_declaration=True))


def _case(suite: ElementTree.Element, path: str, problem: dict[str, Any] | None) -> None:
    if problem is None:
        ElementTree.SubElement(suite, "testcase", classname=path, name="nothing to say")
        return
    where = problem["element_id"] or f"line {problem['line']}"
    case = ElementTree.SubElement(suite, "testcase", classname=path, name=f"{problem['rule']} {where}")
    text = "\n".join(output.problem_lines([problem]))
    if problem["severity"] == "error":
        ElementTree.SubElement(
            case, "failure", message=output.plain(problem["message"]), type=problem["rule"]
        ).text = text
    else:
        ElementTree.SubElement(case, "system-out").text = text


DRY_RUN_EXAMPLES = """
\b
Examples:
  dams dry-run visit.bpmn
  dams dry-run visit.bpmn visit.test.json
  dams dry-run visit.bpmn --seconds 30 --junit > dry-run.xml
Exit code: 0 everything reached, 1 something was not, 2 something fails, a case does not hold, a model is refused.
"""


@click.command("dry-run", epilog=DRY_RUN_EXAMPLES)
@files_argument
@click.option(
    "--seconds", default=10.0, show_default=True, type=click.FloatRange(0.1, 600), help="At most, each model."
)
@click.option("--json", "form", flag_value="json", help="The answer of POST /api/v1/dry-runs.")
@click.option("--junit", "form", flag_value="junit", help="JUnit XML: what fails or is not reached is a failure.")
def dry_run(files: tuple[Path, ...], seconds: float, form: str | None) -> None:
    """Walk models with generated entries until every element was reached, and play their test cases (NAME.test.json).

    Nothing is stored. Work of other engines and bookings are taken as done.
    """
    from app.engines.spiff import dry_run as dry
    from app.engines.spiff.specs import BundleFile, check_bundle

    read = [BundleFile(str(path), path.read_bytes()) for path in files]
    report = check_bundle([file for file in read if not dry.is_cases(file.name)])
    held = dry.run([file for file in read if dry.is_cases(file.name)], report.models, datetime.now(UTC))
    walked = [dry.walk(one, datetime.now(UTC), seconds=seconds) for one in report.models if one.engine == "spiff"]
    failed = not report.ok or any(one.failures or one.unfilled for one in walked)
    failed = failed or not all(one.holds for one in held)
    if form == "json":
        problems = [asdict(problem) for problem in report.problems]
        cases = [{**asdict(one), "holds": one.holds} for one in held]
        models = [one.as_dict() for one in walked]
        output.as_json({"ok": not failed, "problems": problems, "models": models, "cases": cases})
    elif form == "junit":
        _print_walked_as_junit(report, walked, held)
    else:
        for line in output.problem_lines(asdict(problem) for problem in report.problems if problem.severity == "error"):
            click.echo(line)
        for one in walked:
            click.echo("\n".join(_walked_lines(one)))
        for one in held:
            click.echo(f"  case {output.plain(one.name)}: {output.plain(one.said) or 'holds'}")
    sys.exit(2 if failed else 1 if any(one.missed for one in walked) else 0)


def _walked_lines(run: DryRun) -> list[str]:
    lines = [f"{run.process_id}: {run.coverage:.0f} % of its elements reached, {run.ways} ways, {run.seconds:.2f} s"]
    if run.needs:
        lines.append(f"  whoever starts it brings: {', '.join(run.needs)}")
    for one in run.failures:
        lines.append(f"  fails: {one.element_id}: {output.plain(one.message)}")
        lines += [f"    {_move_line(move)}" for move in one.moves]
    unfilled = "takes nothing that was tried; give its field with a pattern a default"
    lines += [f"  fails: {one}: {unfilled}" for one in run.unfilled]
    lines += [f"  not reached: {one.element_id}: {output.plain(one.reason)}" for one in run.missed]
    return lines if not run.spent else [*lines, "  stopped there; --seconds gives it longer"]


def _move_line(move: Move) -> str:
    given = ", ".join(f"{name}={output.plain(value)}" for name, value in move.given.items())
    return f"{move.kind} {move.element_id}" + (f": {given}" if given else "")


def _print_walked_as_junit(report: CheckReport, walked: Sequence[DryRun], held: Sequence[Verdict]) -> None:
    root = ElementTree.Element("testsuites", name="dams dry-run")
    errors = [asdict(problem) for problem in report.problems if problem.severity == "error"]
    if errors:
        count = str(len(errors))
        suite = ElementTree.SubElement(root, "testsuite", name="check", tests=count, failures=count, errors="0")
        for problem in errors:
            _case(suite, problem["file"], problem)
    for run in walked:
        bad = {one.element_id: f"{one.code}: {one.message}" for one in run.failures}
        bad |= {one.element_id: one.reason for one in run.missed} | dict.fromkeys(
            run.unfilled, "its form takes nothing"
        )
        names = dict.fromkeys([*run.reached, *bad])
        suite = ElementTree.SubElement(
            root, "testsuite", name=run.process_id, tests=str(len(names)), failures=str(len(bad)), errors="0"
        )
        for name in names:
            case = ElementTree.SubElement(suite, "testcase", classname=run.process_id, name=name)
            if name in bad:
                ElementTree.SubElement(case, "failure", message=output.plain(bad[name]))
    if held:
        broken = str(sum(not one.holds for one in held))
        suite = ElementTree.SubElement(
            root, "testsuite", name="cases", tests=str(len(held)), failures=broken, errors="0"
        )
        for verdict in held:
            case = ElementTree.SubElement(suite, "testcase", classname=verdict.process_id, name=verdict.name)
            if not verdict.holds:
                ElementTree.SubElement(case, "failure", message=output.plain(verdict.said))
    click.echo(ElementTree.tostring(root, encoding="unicode", xml_declaration=True))


DEPLOY_EXAMPLES = """
\b
Examples:
  dams deploy visit.bpmn --note "asks for the ticket first"
  dams deploy visit.bpmn payment.bpmn --no-activate
  dams deploy visit.bpmn --url https://dams.example
"""


@click.command(epilog=DEPLOY_EXAMPLES)
@files_argument
@click.option("--note", default="", help="Why; shown beside the version.")
@click.option("--no-activate", is_flag=True, help="Store the version, but start new instances on the old one.")
@click.option("--engine", default="auto", show_default=True, help="Which engine runs it.")
@output.json_option
@connected
def deploy(
    connection: Connection, files: tuple[Path, ...], note: str, no_activate: bool, engine: str, as_json: bool
) -> None:
    """Deploy FILES as one bundle: a new version of each process in them, or nothing."""
    sent = [("file", (path.name, path.read_bytes(), "application/xml")) for path in files]
    fields = {"note": note, "activate": str(not no_activate).lower(), "engine": engine}
    done = connection.call("POST", "/deployments", files=sent, data=fields)
    if as_json:
        output.as_json(done)
        return
    for line in output.problem_lines(done["problems"]):
        click.echo(line, err=True)
    output.rows(
        ("process", "name", "version", "engine", ""),
        [
            (m["process_id"], m["name"], m["version"], m["engine"], "new" if m["changed"] else "unchanged")
            for m in done["models"]
        ],
        "nothing was deployed",
    )


RECORD_EXAMPLES = """
\b
Examples:
  dams record 01a21804-74f6-7a49-a2b6-a01c6355e9bb > visit.test.json
  dams dry-run visit.bpmn visit.test.json
"""


@click.command(epilog=RECORD_EXAMPLES)
@click.argument("instance", type=click.UUID)
@connected
def record(connection: Connection, instance: UUID) -> None:
    """Write INSTANCE, which has completed, as a test case of its model. Its values are the real ones.

    Ends with 1 where the case, played in memory, does not go the same way.
    """
    made = connection.call("GET", f"/instances/{instance}/test-case")
    output.as_json(made["file"])
    if not made["holds"]:
        click.echo(f"it does not hold in memory: {output.plain(made['said'])}", err=True)
        sys.exit(1)


PORT_EXAMPLES = """
\b
Examples:
  dams port visit.bpmn                         what of it would run on the other engine
  dams port visit.bpmn --write visit-zeebe.bpmn
"""


@click.command(epilog=PORT_EXAMPLES)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--write", "target", type=click.Path(dir_okay=False, path_type=Path), help="Keep the ported file here.")
@output.json_option
def port(file: Path, target: Path | None, as_json: bool) -> None:
    """Say what of FILE would run on the other engine: from DAMS to Zeebe, or back; nothing is stored.

    Ends with 1 where something is left to be mended by hand.
    """
    from app.engines import portability
    from app.engines.spiff.intake import XmlRefused
    from app.engines.spiff.specs import BundleFile

    try:
        found = portability.ported(BundleFile(file.name, file.read_bytes()))
    except XmlRefused as error:
        raise click.ClickException(f"{file}: {error.message}; {error.fix}") from error
    if target:
        target.write_bytes(found.content)
    if as_json:
        problems = [asdict(problem) for problem in found.problems]
        changes = [asdict(change) for change in found.changes]
        output.as_json({"target": found.target, "runs": found.runs, "changes": changes, "problems": problems})
    else:
        click.echo(f"{file.name} on {'Zeebe' if found.target == 'zeebe' else 'DAMS'}:")
        for change in found.changes:
            click.echo(f"  done: {change.element_id}: {output.plain(change.what)}")
        for line in output.problem_lines(asdict(problem) for problem in found.problems):
            click.echo(line)
    sys.exit(0 if found.runs else 1)


commands = [check, dry_run, deploy, record, port]
