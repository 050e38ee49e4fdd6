"""Deployable models: what a checked bundle becomes, and the loaded form that instances run on.

Checking is done by `checks`, storing by `models`; here the two meet SpiffWorkflow's parser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.core.errors import Problem
from app.engines.spiff import blueprints, checks
from app.engines.spiff.blueprints import LoadedSpec
from app.engines.spiff.checks import CheckedFile, CheckedProcess
from app.engines.spiff.coded import compiling
from app.engines.spiff.elements import Element, UserTaskInfo
from app.engines.spiff.forms import Form
from app.engines.spiff.library import ValidationException
from app.engines.spiff.parsing import ModelParser, prepare

__all__ = ["BundleFile", "CheckReport", "CompiledModel", "LoadedSpec", "UserTaskInfo", "check_bundle", "load_spec"]


@dataclass(frozen=True, slots=True)
class BundleFile:
    """An uploaded file, unread."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """One executable process of a bundle. ``spec`` holds it and everything it calls, in our own stored form."""

    process_id: str
    name: str
    engine: Literal["spiff", "zeebe"]
    file: str
    xml: bytes
    sha256: str
    elements: dict[str, Element]
    forms: dict[str, Form]
    tasks: dict[str, UserTaskInfo]
    spec: bytes

    @property
    def diagram(self) -> bytes:
        """BPMN with places: the file itself, or what is drawn for a coded process."""
        return compiling.drawn(self.file, self.xml)

    def element_name(self, element_id: str) -> str:
        """The label people see; the id where the modeler gave none."""
        element = self.elements.get(element_id)
        return (element.name if element else "") or element_id


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All problems of a bundle, and its models if none of the problems is an error."""

    problems: list[Problem]
    models: list[CompiledModel]

    @property
    def ok(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)


def check_bundle(files: Sequence[BundleFile]) -> CheckReport:
    """Check a bundle and compile its processes. Never raises for bad input: what is wrong stands in the report."""
    checked = checks.run([file for file in files if not compiling.is_coded(file.name)])
    problems, ready = list(checked.problems), list(checked.files)
    for file in files:
        if compiling.is_coded(file.name):
            found, complaints = compiling.check(file)
            problems += complaints + _taken(file.name, found, ready)
            ready += [found] if found else []
    if any(problem.severity == "error" for problem in problems):
        return CheckReport(problems, [])
    return _compile(ready, problems)


def load_spec(spec: bytes) -> LoadedSpec:
    """A stored model, ready to run; any number of threads may run instances on it at once.

    Raises:
        ForeignForm: the bytes are another program's or a newer release's.
    """
    return blueprints.load(spec)


def _taken(file: str, found: CheckedFile | None, others: list[CheckedFile]) -> list[Problem]:
    """A process is started by its id, whatever file it stands in."""
    known = {process.id: other.name for other in others for process in other.processes}
    return [
        Problem(file, 1, "process", process.id, process.name, "duplicate-id", "error",
                f"the id {process.id} also stands in {known[process.id]}", "change one of them")
        for process in (found.processes if found else ())
        if process.id in known
    ]  # fmt: skip


def _compile(checked: Sequence[CheckedFile], problems: list[Problem]) -> CheckReport:
    parser, file_ids = ModelParser(), dict[str, str]()
    taken = {process.id for file in checked for process in file.processes}
    for file in checked:
        if file.engine == "spiff":
            try:
                parser.add_bpmn_xml(prepare(file.tree, taken, file_ids), file.name)
            except ValidationException as error:
                return CheckReport([*problems, _refusal(file.name, file.processes[0].id, error, file_ids)], [])
    models: list[CompiledModel] = []
    for file in checked:
        for process in file.processes:
            try:
                spec = (
                    blueprints.store(parser, process.id, file_ids, coded=file.coded) if file.engine == "spiff" else b""
                )
            except (ValidationException, KeyError, ValueError, TypeError, NotImplementedError) as error:
                problems.append(_refusal(file.name, process.id, error, file_ids))
                continue
            models.append(_model(file, process, spec))
    report = CheckReport(problems, models)
    return report if report.ok else CheckReport(problems, [])


def _model(file: CheckedFile, process: CheckedProcess, spec: bytes) -> CompiledModel:
    return CompiledModel(
        process_id=process.id,
        name=process.name,
        engine=file.engine,
        file=file.name,
        xml=file.content,
        sha256=hashlib.sha256(file.content).hexdigest(),
        elements=dict(process.elements),
        forms=dict(process.forms),
        tasks=dict(process.tasks),
        spec=spec,
    )


def _refusal(file: str, process_id: str, error: Exception, file_ids: dict[str, str]) -> Problem:
    """What only the engine's parser found; the checks should have, so it is named as plainly as can be."""
    element = str(getattr(error, "id", "") or process_id)
    return Problem(
        file=file,
        line=int(getattr(error, "line_number", 0) or 0),
        element_type=str(getattr(error, "tag", "")).removeprefix("bpmn:"),
        element_id=file_ids.get(element, element),
        element_name="",
        rule="engine-refused",
        severity="error",
        message=f"the engine cannot read it: {error}",
        fix="correct the element, or leave it out",
    )
