"""From a JSON file to what the engine's parser reads, with its forms and elements: the counterpart of `checks.run`."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import lxml.etree as etree

from app.core.errors import Problem
from app.engines.spiff.checks import fields, vendor
from app.engines.spiff.checks.model import Model
from app.engines.spiff.checks.run import CheckedFile, CheckedProcess, process_of
from app.engines.spiff.coded import drawing, reading
from app.engines.spiff.coded.reading import Spec


class File(Protocol):
    """One uploaded file."""

    @property
    def name(self) -> str: ...
    @property
    def content(self) -> bytes: ...


def is_coded(file: str) -> bool:
    """Whether a file of this name holds a process written as JSON."""
    return file.lower().endswith(".json")


def check(file: File) -> tuple[CheckedFile | None, list[Problem]]:
    """The checked file, or None and what must be mended. Never raises for bad input."""
    spec, problems = reading.read(file.name, file.content)
    if spec is None:
        return None, problems
    root = drawing.draw(spec)
    model = Model(file.name, root, "python")
    forms, tasks = fields.check(model), vendor.check(model)
    problems += [_placed(problem, spec) for problem in model.problems]
    if model.refused:
        return None, problems
    processes = tuple(_placed_process(process_of(model, process, forms, tasks), spec) for process in model.processes)
    return CheckedFile(file.name, file.content, "spiff", root, processes, coded=True), problems


def drawn(file: str, content: bytes) -> bytes:
    """The diagram of a deployed file: its own XML, or the one drawn for a coded process."""
    if not is_coded(file):
        return content
    spec, _ = reading.read(file, content)
    return b"" if spec is None else etree.tostring(drawing.draw(spec), encoding="UTF-8", xml_declaration=True)


def _placed(problem: Problem, spec: Spec) -> Problem:
    """What was found in the drawing, at its place in the uploaded file."""
    step = spec.steps.get(problem.element_id)
    return replace(problem, line=step.line if step else 1, element_type="task spec")


def _placed_process(process: CheckedProcess, spec: Spec) -> CheckedProcess:
    elements = {
        own: replace(element, line=spec.steps[own].line if own in spec.steps else 0)
        for own, element in process.elements.items()
    }
    return replace(process, elements=elements)
