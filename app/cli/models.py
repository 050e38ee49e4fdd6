"""Commands about models: check files, deploy them."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import click

from app.cli import output
from app.cli.connection import Connection, connected

if TYPE_CHECKING:
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


commands = [check, deploy]
