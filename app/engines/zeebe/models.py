"""Models of Zeebe: which job types are served, what a file declares, and how a deployment reaches the broker."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Sequence
from typing import Any

from app.core.errors import ModelRefused, Problem
from app.core.settings import settings
from app.db.session import Session
from app.engines import heartbeat
from app.engines.spiff import intake
from app.engines.spiff.specs import CheckReport, CompiledModel
from app.engines.zeebe import broker
from app.engines.zeebe.broker import Definition

KIND = "zeebe-worker"
Z, B = f"{{{intake.ZEEBE}}}", f"{{{intake.BPMN}}}"
CLEAR = "dams:clear"


def declared_clear(xml: bytes) -> frozenset[str]:
    """The variables that a model keeps in clear: `zeebe:property` `dams:clear`, names separated by commas."""
    root = intake.read(xml)
    found = [one.get("value", "") for one in root.iter(f"{Z}property") if one.get("name") == CLEAR]
    return frozenset(name.strip() for text in found for name in text.split(",") if name.strip())


async def served(session: Session) -> set[str] | None:
    """The job types that running workers serve; None while no worker runs."""
    alive = [sign for sign in await heartbeat.signs(session) if sign.kind == KIND and sign.alive]
    return {type_ for sign in alive for type_ in sign.data.get("types", [])} if alive else None


async def with_workers(session: Session, report: CheckReport) -> CheckReport:
    """*report* with a problem for each job type of its Zeebe models that nobody serves: an instance would wait there
    for ever. While no worker runs at all nobody can say, so it is a warning.
    """
    ours = [model for model in report.models if model.engine == "zeebe"]
    if not ours:
        return report
    known = await served(session)
    foreign = settings().zeebe.foreign_job_types
    found = [
        _unserved(model, node, known)
        for model in ours
        for node in intake.read(model.xml).iter(f"{Z}taskDefinition")
        if _is_missing(node.get("type", ""), known, foreign)
    ]
    problems = sorted({*report.problems, *found}, key=lambda one: (one.file, one.line, one.element_id, one.rule))
    refused = any(problem.severity == "error" for problem in problems)
    return CheckReport(problems, [] if refused else report.models)


def _is_missing(type_: str, known: set[str] | None, foreign: Sequence[str]) -> bool:
    if type_.startswith("="):  # only the broker knows what it will be
        return False
    return type_ not in (known or ()) and not any(fnmatch.fnmatchcase(type_, pattern) for pattern in foreign)


def _unserved(model: CompiledModel, node: Any, known: set[str] | None) -> Problem:
    type_ = node.get("type", "")
    element = node.getparent().getparent()
    near = difflib.get_close_matches(type_, known or (), 3)
    fix = f"did you mean {' or '.join(near)}?" if near else "correct the job type, or add its handler to workers/jobs"
    message = f"no running worker serves the job type {type_!r}"
    if known is None:
        message = f"no worker is running, so nobody can say whether {type_!r} is served"
    return Problem(
        file=model.file,
        line=node.sourceline or 0,
        element_type=str(element.tag).rpartition("}")[2],
        element_id=element.get("id", ""),
        element_name=" ".join(element.get("name", "").split()),
        rule="job-type-unserved" if known is not None else "no-worker",
        severity="error" if known is not None else "warning",
        message=message,
        fix=fix,
    )


async def publish(models: Sequence[CompiledModel]) -> dict[str, Definition]:
    """Deploy the Zeebe models among *models* to the broker, outside any transaction; what it made of each process.

    Deploying the same again changes nothing there.

    Raises:
        ModelRefused: Zeebe's own findings, as problems.
        Unavailable: the broker does not answer; nothing was deployed.
    """
    files = {model.file: model for model in models if model.engine == "zeebe"}
    if not files:
        return {}
    # The broker tells versions apart by name and content: the name is the process's, not the modeler's file name.
    names = {_resource(model.process_id): model for model in files.values()}
    try:
        made = await broker.deploy({name: model.xml for name, model in names.items()})
    except broker.Refused as error:
        raise ModelRefused(problems(error.detail, names)) from error
    return {one.process_id: one for one in made}


def _resource(process_id: str) -> str:
    return f"{process_id}.bpmn"


_RESOURCE = re.compile(r"^'(?P<name>[^']+)': ?(?P<rest>.*)$")
_ELEMENT = re.compile(r"^-? ?- ?Element: (?P<path>.+)$")
_FINDING = re.compile(r"^\s*- (?P<severity>ERROR|WARNING): (?P<message>.+)$")


def problems(words: str, names: dict[str, CompiledModel]) -> list[Problem]:
    """Zeebe's refusal as problems: its element and message stay, file and line are those of the upload."""
    model, element, found = next(iter(names.values())), "", list[Problem]()
    for line in words.splitlines():
        if match := _RESOURCE.match(line):
            model = names.get(match["name"], model)
            line = match["rest"]
        if match := _ELEMENT.match(line.strip()) or _ELEMENT.match(f"- {line.strip()}"):
            element = match["path"].split(" > ")[0].strip()
        elif match := _FINDING.match(line):
            found.append(_finding(model, element, match["message"]))
    return found or [_finding(model, "", words.strip()[-1000:])]


def _finding(model: CompiledModel, element_id: str, message: str) -> Problem:
    node = next((one for one in intake.read(model.xml).iter(f"{B}*") if one.get("id") == element_id), None)
    known = node is not None
    return Problem(
        file=model.file,
        line=(node.sourceline or 0) if known else 0,
        element_type=str(node.tag).rpartition("}")[2] if known else "",
        element_id=element_id if known else model.process_id,
        element_name=" ".join(node.get("name", "").split()) if known else "",
        rule="zeebe-refused",
        severity="error",
        message=f"Zeebe says: {message}",
        fix="correct the element in the modeler",
    )
